//! Admission by the core alone: threads that hammer three levels, histories beside a naive ledger, and what a restart may
//! give.

mod ceiling;
mod hammer;
mod waiting;

use std::{sync::Arc, time::Duration};

use highwater::{
    live::{Answer, Ask, Live, Meter, Rules, admit::Holder},
    model::{
        Bounds, Enforcement, Incarnation, Kind, LimitEntry, LimitHistory, Meter as Name, Mode, Now, Priority, Project,
        SessionId, Time,
    },
};

/// Long enough that no lease ends in a test that is not about leases.
const LEASE: Duration = Duration::from_secs(1_000_000);

pub fn at(second: u64) -> Now {
    Now::at(Time::from_secs(second))
}

fn project(name: &str) -> Project {
    Project::new(name).unwrap()
}

fn meter(live: &Live, of: &str, model: &str) -> Arc<Meter> {
    live.meter(&project(of), &Name::new(Kind::Tts, model, "", None).unwrap(), at(60)).unwrap()
}

/// Limits of slots and of starts, each until when it holds.
fn rules(slots: &[(Option<u32>, u64, Option<u64>)], starts: Option<u32>, kept_percent: u8) -> Rules {
    let entry = |slots, start, end: Option<u64>| LimitEntry {
        slots,
        start: Time::from_secs(start),
        end: end.map(Time::from_secs),
        set_by: String::new(),
        reason: String::new(),
    };
    let slots = slots.iter().map(|(slots, start, end)| entry(*slots, *start, *end)).collect();
    let starts = starts.iter().map(|most| entry(Some(*most), 0, None)).collect();
    let (slots, starts) = (Arc::new(LimitHistory::new(slots)), Arc::new(LimitHistory::new(starts)));
    Rules { slots, starts, enforcement: Enforcement { mode: Mode::Enforce, kept_percent } }
}

fn limit(slots: u32) -> Rules {
    rules(&[(Some(slots), 0, None)], None, 0)
}

fn live() -> Live {
    let bounds = Bounds { lease: LEASE, sessions_per_project: 1_000_000, ..Bounds::default() };
    Live::new(bounds, at(60).wall.tick())
}

fn unary<'a>(project: &'a Project, worker: u8) -> Holder<'a> {
    Holder::Unary { project, worker: "w", incarnation: Incarnation([worker; 16]), lease: LEASE }
}

fn ask(id: SessionId, wanted: &[&Arc<Meter>]) -> Ask {
    let wanted = wanted.iter().map(|meter| Arc::clone(meter)).collect();
    Ask { id, wanted, priority: Priority::Standard, labels: None, waits: false, of_chain: None, without_store: false }
}

fn id(nth: u64) -> SessionId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&nth.to_le_bytes());
    SessionId(id)
}

#[track_caller]
fn granted(answer: Answer) -> (Arc<Meter>, Option<usize>, bool) {
    match answer {
        Answer::Granted(granted) => (granted.meter, granted.nth, granted.again),
        other => panic!("{other:?}"),
    }
}
