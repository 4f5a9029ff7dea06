//! Gathers the sessions of a trace: names interned, duplicates told apart, times shifted, and the events put in the order
//! of half-open intervals: at one instant, what ends goes before what begins.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    hash::Hash,
};

use crate::{
    import::trace::{Skipped, TraceItem, TraceRow},
    model::{KeyError, Meter, Outcome, SessionId, Time},
};

/// Microseconds of a week: what traces are shifted by.
const WEEK_MICROS: u64 = 7 * 24 * 3_600 * 1_000_000;

/// Longest session that is taken, in days: a year. A longer one is a mistake in a date, and would fill history by itself.
const MAX_SESSION_DAYS: u64 = 366;
const DAY_MICROS: u64 = 24 * 3_600 * 1_000_000;

/// One session of a trace.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub id: SessionId,
    /// Place of its worker in [`Gathered::workers`].
    pub worker: u32,
    /// Place of its meter in [`Gathered::meters`].
    pub meter: u32,
    pub connected: Time,
    pub disconnected: Time,
    pub outcome: Outcome,
}

/// The sessions of a trace.
#[derive(Debug, Default)]
pub struct Gathered {
    pub meters: Vec<Meter>,
    pub workers: Vec<String>,
    pub sessions: Vec<Session>,
    pub skipped: Vec<Skipped>,
    /// The lines of the first connect and of the last disconnect that were added, with those times.
    ends: Option<[(Time, u64); 2]>,
    seen: HashSet<(u32, SessionId)>,
    meter_places: HashMap<Meter, u32>,
    worker_places: HashMap<String, u32>,
}

/// One end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceEvent {
    pub at: Time,
    /// Ends sort before beginnings.
    pub is_open: bool,
    /// Place in [`Gathered::sessions`].
    pub session: u32,
}

impl Gathered {
    /// Takes a line of a trace.
    pub fn take(&mut self, item: TraceItem) {
        match item {
            TraceItem::Skipped(skipped) => self.skipped.push(skipped),
            TraceItem::Row(row) => {
                if let Err(reason) = self.add(&row) {
                    self.skipped.push(Skipped { line: row.line, reason });
                }
            }
        }
    }

    /// Takes a session.
    ///
    /// # Errors
    /// Why it is skipped: it is a duplicate, or so short that it never held a slot, or longer than a year.
    pub fn add(&mut self, row: &TraceRow) -> Result<(), String> {
        if row.connected >= row.disconnected {
            return Err("has no length: it ends when it starts, and holds nothing".to_owned());
        }
        if row.disconnected.0 - row.connected.0 > MAX_SESSION_DAYS * DAY_MICROS {
            return Err(format!("is longer than {MAX_SESSION_DAYS} days: connected_at or disconnected_at is wrong"));
        }
        let meter = Meter::new(row.kind, &row.model, "", None).map_err(|error: KeyError| error.to_string())?;
        let id = SessionId::of_text(row.session_id.as_bytes());
        let times = (row.connected, row.disconnected);
        if !self.push(&row.worker_id, id, &meter, times, Outcome::Ok) {
            return Err(format!("session {:?} of worker {:?} is there already", row.session_id, row.worker_id));
        }
        let (begins, ends) = ((row.connected, row.line), (row.disconnected, row.line));
        let [first, last] = self.ends.unwrap_or([begins, ends]);
        self.ends = Some([first.min(begins), if ends.0 > last.0 { ends } else { last }]);
        Ok(())
    }

    /// Takes a session that is longer than nothing, from its connect to its disconnect; false when its worker has one of
    /// that id already.
    pub fn push(
        &mut self,
        worker: &str,
        id: SessionId,
        meter: &Meter,
        (connected, disconnected): (Time, Time),
        outcome: Outcome,
    ) -> bool {
        let worker = place(&mut self.worker_places, &mut self.workers, worker);
        let meter = place(&mut self.meter_places, &mut self.meters, meter);
        let is_new = self.seen.insert((worker, id));
        if is_new {
            self.sessions.push(Session { id, worker, meter, connected, disconnected, outcome });
        }
        is_new
    }

    /// The first connect and the last disconnect; `None` when there are no sessions.
    pub fn window(&self) -> Option<(Time, Time)> {
        let first = self.sessions.iter().map(|session| session.connected).min()?;
        let last = self.sessions.iter().map(|session| session.disconnected).max()?;
        Some((first, last))
    }

    /// The lines of the first connect and of the last disconnect; 0 for sessions that came from no file.
    pub fn window_lines(&self) -> (u64, u64) {
        self.ends.map_or((0, 0), |[first, last]| (first.1, last.1))
    }

    /// Moves all sessions by whole weeks, so that the last ends within the week before `now`; returns the weeks.
    pub fn shift_to(&mut self, now: Time) -> i64 {
        let Some((_, last)) = self.window() else { return 0 };
        let weeks = if now >= last {
            i64::try_from((now.0 - last.0) / WEEK_MICROS).unwrap_or(0)
        } else {
            -i64::try_from((last.0 - now.0).div_ceil(WEEK_MICROS)).unwrap_or(0)
        };
        let by = weeks.saturating_mul(WEEK_MICROS.cast_signed());
        for session in &mut self.sessions {
            session.connected = Time(session.connected.0.saturating_add_signed(by));
            session.disconnected = Time(session.disconnected.0.saturating_add_signed(by));
        }
        weeks
    }

    /// Both ends of every session, in order.
    pub fn events(&self) -> Vec<TraceEvent> {
        let mut events: Vec<_> = (0_u32..)
            .zip(&self.sessions)
            .flat_map(|(session, s)| {
                [
                    TraceEvent { at: s.connected, is_open: true, session },
                    TraceEvent { at: s.disconnected, is_open: false, session },
                ]
            })
            .collect();
        events.sort_unstable();
        events
    }
}

/// The place of a name in a list, put there when it is new.
fn place<T, Q>(places: &mut HashMap<T, u32>, list: &mut Vec<T>, name: &Q) -> u32
where
    T: Clone + Eq + Hash + Borrow<Q>,
    Q: ToOwned<Owned = T> + Eq + Hash + ?Sized,
{
    if let Some(place) = places.get(name) {
        return *place;
    }
    let place = u32::try_from(list.len()).unwrap_or(u32::MAX);
    places.insert(name.to_owned(), place);
    list.push(name.to_owned());
    place
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn row(line: u64, id: &str, connected: u64, disconnected: u64) -> TraceRow {
        TraceRow {
            line,
            session_id: id.to_owned(),
            worker_id: "w".to_owned(),
            kind: Kind::Tts,
            model: "a/b".to_owned(),
            connected: Time::from_secs(connected),
            disconnected: Time::from_secs(disconnected),
        }
    }

    #[test]
    fn duplicates_and_empty_sessions_are_skipped_with_a_reason() {
        let mut gathered = Gathered::default();
        for item in [row(2, "a", 1, 5), row(3, "a", 6, 7), row(4, "b", 5, 5)] {
            gathered.take(TraceItem::Row(item));
        }
        let lines: Vec<_> = gathered.skipped.iter().map(|skipped| (skipped.line, &*skipped.reason)).collect();
        assert_eq!(lines[0], (3, "session \"a\" of worker \"w\" is there already"));
        assert!(lines[1].0 == 4 && lines[1].1.contains("no length"));
    }

    #[test]
    fn a_session_of_centuries_is_skipped() {
        let mut gathered = Gathered::default();
        let (day, centuries) = (86_400, 300 * 366 * 86_400);
        gathered.take(TraceItem::Row(row(2, "a", day, centuries)));
        gathered.take(TraceItem::Row(row(3, "b", day, 367 * day)));
        assert_eq!((gathered.skipped[0].line, gathered.sessions.len()), (2, 1));
        assert!(gathered.skipped[0].reason.contains("longer than 366 days"));
    }

    #[test]
    fn what_ends_goes_before_what_begins() {
        let mut gathered = Gathered::default();
        gathered.add(&row(2, "a", 5, 9)).unwrap();
        gathered.add(&row(3, "b", 1, 5)).unwrap();
        let order: Vec<_> = gathered.events().iter().map(|event| (event.session, event.is_open)).collect();
        assert_eq!(order, [(1, true), (1, false), (0, true), (0, false)]);
    }

    #[test]
    fn a_shift_is_of_whole_weeks_and_ends_before_now() {
        let mut gathered = Gathered::default();
        gathered.add(&row(2, "a", 10, 20)).unwrap();
        let weeks = gathered.shift_to(Time(3 * WEEK_MICROS + 15_000_000));
        assert_eq!((weeks, gathered.sessions[0].disconnected), (2, Time(2 * WEEK_MICROS + 20_000_000)));
        assert_eq!(gathered.shift_to(Time(2 * WEEK_MICROS)), -1);
    }
}
