//! A trace as the steps of its workers, in the order in which they happened. Plain code.

use std::{io::Read, num::NonZeroUsize};

use rustc_hash::FxHashMap;

use crate::{
    cli::error::CliError,
    import::trace::{Skipped, TraceItem, TraceReader, TraceRow},
    model::{SessionId, Time},
    proto::Meter,
};

/// Rows that are replayed at most: they are all held in memory, about 200 bytes each.
const MAX_ROWS: usize = 5_000_000;
/// Workers at most: a service takes 4,096 connections from one address, and others need some.
const MAX_WORKERS: usize = 4_000;

/// A session of the trace.
#[derive(Debug)]
pub struct Planned {
    pub id: String,
    /// Its place in [`Plan::workers`].
    pub worker: usize,
    /// Its place in [`Plan::meters`].
    pub meter: usize,
}

/// A session begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub at: Time,
    pub turn: Turn,
    /// Its place in [`Plan::sessions`].
    pub session: usize,
}

/// What happens, in the order of what happens at the same instant: sessions are half-open intervals, so that one that
/// ends makes room for one that begins; one that lasts no time ends after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    Close,
    Open,
    CloseEmpty,
}

/// A trace, ready to be replayed.
#[derive(Debug, Default)]
pub struct Plan {
    pub workers: Vec<String>,
    pub meters: Vec<Meter>,
    pub sessions: Vec<Planned>,
    pub steps: Vec<Step>,
    pub skipped: Vec<Skipped>,
}

/// Reads a trace, with its own workers or spread over so many.
///
/// # Errors
/// When it is not a trace, can't be read, or is too large.
pub fn read(input: impl Read, workers: Option<NonZeroUsize>, account: &str) -> Result<Plan, CliError> {
    let mistake = |message: String| CliError::Mistakes { message, hint: None };
    let mut plan = Plan::default();
    let mut places = Places::default();
    if let Some(count) = workers {
        plan.workers = (0..count.get().min(MAX_WORKERS)).map(|n| format!("replay-{n}")).collect();
    }
    for item in TraceReader::new(input).map_err(|error| mistake(error.to_string()))? {
        match item.map_err(|error| mistake(error.to_string()))? {
            TraceItem::Skipped(skipped) => plan.skipped.push(skipped),
            TraceItem::Row(_) if plan.sessions.len() == MAX_ROWS => {
                return Err(mistake(format!("the trace has more than {MAX_ROWS} sessions: split it")));
            }
            TraceItem::Row(row) => plan.take(row, workers.is_some(), account, &mut places),
        }
    }
    if plan.workers.len() > MAX_WORKERS {
        return Err(mistake(format!(
            "the trace has {} workers and each needs a connection; --workers {MAX_WORKERS} spreads it over fewer",
            plan.workers.len()
        )));
    }
    plan.steps.sort_unstable();
    Ok(plan)
}

/// Where workers and meters stand that were seen.
#[derive(Default)]
struct Places {
    workers: FxHashMap<String, usize>,
    meters: FxHashMap<Meter, usize>,
}

impl Plan {
    fn take(&mut self, row: TraceRow, spread: bool, account: &str, places: &mut Places) {
        let worker = if spread {
            (SessionId::of_text(row.session_id.as_bytes()).digest() % self.workers.len() as u64) as usize
        } else {
            *places.workers.entry(row.worker_id).or_insert_with_key(|name| {
                self.workers.push(name.clone());
                self.workers.len() - 1
            })
        };
        let meter = Meter { kind: row.kind as i32, model: row.model, account: account.to_owned(), unit: 0 };
        let meter = *places.meters.entry(meter).or_insert_with_key(|meter| {
            self.meters.push(meter.clone());
            self.meters.len() - 1
        });
        let session = self.sessions.len();
        self.sessions.push(Planned { id: row.session_id, worker, meter });
        let close = if row.connected == row.disconnected { Turn::CloseEmpty } else { Turn::Close };
        self.steps.push(Step { at: row.connected, turn: Turn::Open, session });
        self.steps.push(Step { at: row.disconnected, turn: close, session });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::import::trace::HEADER;

    fn plan(rows: &[&str], workers: Option<usize>) -> Plan {
        let text = format!("{HEADER}\n{}", rows.join("\n"));
        read(text.as_bytes(), workers.and_then(NonZeroUsize::new), "").unwrap()
    }

    #[test]
    fn ends_come_before_beginnings_of_the_same_instant() {
        let plan = plan(
            &[
                "b,w1,tts,a/b,1970-01-01T00:00:02Z,1970-01-01T00:00:02Z",
                "c,w2,tts,a/b,1970-01-01T00:00:02Z,1970-01-01T00:00:03Z",
                "a,w1,stt,a/c,1970-01-01T00:00:01Z,1970-01-01T00:00:02Z",
            ],
            None,
        );
        let order: Vec<_> = plan.steps.iter().map(|step| (&*plan.sessions[step.session].id, step.turn)).collect();
        let expected =
            [("a", Turn::Open), ("a", Turn::Close), ("b", Turn::Open), ("c", Turn::Open), ("b", Turn::CloseEmpty)];
        assert_eq!(order[..5], expected);
        assert_eq!((plan.workers, plan.meters.len()), (vec!["w1".to_owned(), "w2".to_owned()], 2));
    }

    #[test]
    fn a_trace_can_be_spread_over_other_workers() {
        let rows: Vec<_> =
            (0..50).map(|n| format!("s{n},w,tts,a/b,1970-01-01T00:00:01Z,1970-01-01T00:00:02Z")).collect();
        let plan = plan(&rows.iter().map(String::as_str).collect::<Vec<_>>(), Some(5));
        assert_eq!(plan.workers.len(), 5);
        assert!((0..5).all(|worker| plan.sessions.iter().any(|session| session.worker == worker)));
    }
}
