//! What is written of the service: how workers report, how history is made durable, and what is wrong.

use crate::{
    live::{Link, sync::lock},
    metrics::{
        levels::Levels,
        name::{Label, Name},
        page::{Labels, Page, Written, label},
    },
    model::{Now, Time},
    service::{
        Service,
        counts::{Asked, BOUNDS, Form},
        health::{PARTS, STORE},
    },
};

/// Writes it.
///
/// # Errors
/// When the encoder does not take it.
pub fn write(service: &Service, levels: &Levels, connections: u64, now: Now, page: &mut Page) -> Written {
    page.gauge(Name::Meters, [(Vec::new(), levels.all_meters)])?;
    workers(service, page)?;
    let waiting = service.live.waiting_room().waiting();
    page.gauge(Name::Waiting, [(Vec::new(), waiting.iter().map(|(_, waiting)| *waiting as u64).sum())])?;
    page.counter(Name::RoutesVersions, [(Vec::new(), service.routing.versions())])?;
    page.gauge(Name::Connections, [(Vec::new(), connections)])?;
    page.counter(Name::TurnedAway, by(Label::Reason, service.guard.counts()))?;
    ingest(service, levels, page)?;
    store(service, now, page)?;
    let is_wrong = service.health.parts();
    // Also a part that is not among those that may be told of: it is named in our code, never by a client.
    let parts = PARTS.iter().chain(is_wrong.iter().filter(|part| !PARTS.contains(part)));
    page.gauge(Name::Degraded, by(Label::Part, parts.map(|part| (*part, u64::from(is_wrong.contains(part))))))?;
    page.gauge(Name::Warnings, [(Vec::new(), service.health.warnings().len() as u64)])?;
    livekit(service, page)?;
    alerts(service, now, page)?;
    page.gauge(Name::Settling, flag(service.live.is_settling()))?;
    page.gauge(Name::AuditDrift, [(Vec::new(), service.live.drift())])?;
    page.gauge(Name::Simulation, flag(service.simulation))?;
    page.gauge(Name::BuildInfo, by(Label::Version, [(env!("CARGO_PKG_VERSION"), 1)].into_iter()))
}

fn alerts(service: &Service, now: Now, page: &mut Page) -> Written {
    let counted = service.alerts.counted(now.wall);
    page.gauge(Name::AlertsFiring, [(Vec::new(), counted.firing)])?;
    let fired = [("fired", counted.fired), ("resolved", counted.resolved)];
    page.counter(Name::AlertsTotal, by(Label::Result, fired.into_iter()))?;
    let tried = [("sent", counted.sent), ("failed", counted.failed), ("undeliverable", counted.undeliverable)];
    page.counter(Name::NoticesTotal, by(Label::Result, tried.into_iter()))?;
    page.gauge(Name::NoticesWaiting, [(Vec::new(), counted.waiting)])?;
    let oldest = counted.oldest_due.map_or(0, |due| now.wall.since(due).as_secs());
    page.gauge(Name::OutboxOldest, [(Vec::new(), oldest)])
}

fn livekit(service: &Service, page: &mut Page) -> Written {
    let counted = service.livekit.counts.read();
    let lists = [("read", counted.lists_read), ("failed", counted.lists_failed)];
    let events = [
        ("taken", counted.events),
        ("repeated", counted.repeated),
        ("passed_over", counted.passed_over),
        ("stale", counted.stale),
        ("unsigned", counted.unsigned),
        ("unreadable", counted.unreadable),
        ("refused", counted.refused),
    ];
    let disagreements = [("missed_begin", counted.missed_begins), ("missed_end", counted.missed_ends)];
    page.counter(Name::LiveKitLists, by(Label::Result, lists.into_iter()))?;
    page.counter(Name::LiveKitEvents, by(Label::Result, events.into_iter()))?;
    page.counter(Name::LiveKitDisagreements, by(Label::Result, disagreements.into_iter()))
}

/// Series that one label tells apart.
fn by<'a>(by: Label, values: impl Iterator<Item = (&'a str, u64)>) -> impl Iterator<Item = (Labels, u64)> {
    values.map(move |(text, value)| (vec![label(by, text)], value))
}

fn flag(is_so: bool) -> [(Labels, u64); 1] {
    [(Vec::new(), u64::from(is_so))]
}

fn workers(service: &Service, page: &mut Page) -> Written {
    let (mut stream, mut cut, mut unary) = (0, 0, 0);
    for book in service.live.all_books() {
        match lock(&book).link {
            Link::Stream => stream += 1,
            Link::Cut => cut += 1,
            Link::Unary => unary += 1,
            Link::Gone => {}
        }
    }
    page.gauge(Name::Workers, by(Label::Link, [("stream", stream), ("cut", cut), ("unary", unary)].into_iter()))
}

fn ingest(service: &Service, levels: &Levels, page: &mut Page) -> Written {
    let counts = &service.counts.ingest;
    let (changed, duplicate) = counts.events();
    let late = [("taken", service.counts.recorder.late_events()), ("dropped", levels.late_dropped)];
    let refused = BOUNDS.iter().enumerate().map(|(nth, bound)| (*bound, counts.refused_for(nth)));
    page.counter(Name::IngestStreams, [(Vec::new(), counts.streams())])?;
    page.counter(Name::IngestBatches, by(Label::Form, Form::ALL.iter().map(|f| (f.as_str(), counts.batches(*f)))))?;
    let events = [("changed", changed), ("duplicate", duplicate)];
    page.counter(Name::IngestEvents, by(Label::Result, events.into_iter()))?;
    page.counter(Name::IngestLateEvents, by(Label::Result, late.into_iter()))?;
    page.counter(Name::IngestRefused, by(Label::Bound, refused))?;
    let asked = Asked::ALL.iter().map(|why| (why.as_str(), counts.asked_for(*why)));
    page.counter(Name::IngestSnapshotsAsked, by(Label::Reason, asked))
}

fn store(service: &Service, now: Now, page: &mut Page) -> Written {
    let counts = &service.counts.recorder;
    let durable_until = service.live.durable().map_or(service.started, |tick| tick.next().start());
    page.measure(Name::DurableAge, [(Vec::new(), now.wall.since(durable_until).as_secs_f64())])?;
    page.gauge(Name::FramesWaiting, [(Vec::new(), counts.waiting())])?;
    page.counter(Name::FramesDropped, [(Vec::new(), counts.dropped())])?;
    let (next, oldest) = {
        let rollup = service.rollup();
        (rollup.next_tick().map(|tick| tick.start()), rollup.oldest_hour().map(|hour| hour.first_tick().start()))
    };
    let open = next.unwrap_or_default().since(oldest.or(next).unwrap_or(Time::default()));
    page.gauge(Name::RollupOpen, [(Vec::new(), open.as_secs())])?;
    page.gauge(Name::StoreUp, flag(!service.health.parts().contains(&STORE)))?;
    let (commits, seconds) = counts.commits();
    page.summary(Name::StoreCommit, commits, seconds)?;
    page.counter(Name::StoreErrors, [(Vec::new(), counts.errors())])
}
