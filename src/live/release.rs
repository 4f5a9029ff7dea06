//! Slots that are freed by hand.

use crate::{
    live::{Live, apply::Event, book::Link, left_out::Room, sync::lock},
    model::{Incarnation, Now, Outcome, Project, SessionId},
};

/// What became of a session that somebody wants to end.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Its slot is free.
    Freed,
    /// Its worker has a stream, and is the one that knows: it must be asked.
    Held,
    /// There is no such session.
    Unknown,
}

impl Live {
    /// The session that an incarnation holds, of those that a name may stand for: an id, or a text that one is made of.
    pub fn find_session(
        &self,
        project: &Project,
        incarnation: Incarnation,
        named: impl IntoIterator<Item = SessionId>,
    ) -> Option<(SessionId, Link)> {
        let book = self.books.get(&(project.clone(), incarnation))?.clone();
        let book = lock(&book);
        named.into_iter().find(|id| book.session(id).is_some()).map(|id| (id, book.link))
    }

    /// Ends a session of a worker that is silent, or that reports by unary calls: nobody could be asked. One that such a
    /// worker reports again stays ended; a snapshot of one that returns by a stream is the truth, whatever was released.
    pub fn release(&self, project: &Project, incarnation: Incarnation, id: SessionId, now: Now) -> Released {
        let book = self.books.get(&(project.clone(), incarnation)).map(|book| book.clone());
        let Some(book) = book else { return Released::Unknown };
        let mut book = lock(&book);
        if book.session(&id).is_none() {
            return Released::Unknown;
        }
        if book.link == Link::Stream {
            return Released::Held;
        }
        let moment = self.moment(now);
        let (outcome, age, meter) = (Outcome::Cancelled, std::time::Duration::ZERO, None);
        let applied = book.apply_all(&mut [Event::Close { id, outcome, age, meter }], &moment, Room::any());
        self.grow(project, applied.grown);
        Released::Freed
    }
}

#[cfg(all(test, not(feature = "loom")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        live::{Hello, Meter, snapshot::Live as LiveSession, sync::Ordering},
        model::{Bounds, Kind, Meter as MeterName, Tick, Time},
    };

    const WHO: Incarnation = Incarnation([7; 16]);

    fn project() -> Project {
        Project::new("p").unwrap()
    }

    fn at(second: u64) -> Now {
        Now::at(Time::from_secs(second))
    }

    fn id(nth: u8) -> SessionId {
        SessionId([nth, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    }

    fn live() -> (Live, Arc<Meter>) {
        let live = Live::new(Bounds::default(), Tick(60));
        let meter = live.meter(&project(), &MeterName::new(Kind::Tts, "a/b", "", None).unwrap(), at(60)).unwrap();
        (live, meter)
    }

    /// Level, live sessions of the project, and what the audit finds wrong.
    #[track_caller]
    fn stands(live: &Live, meter: &Meter, level: u32) {
        let sessions = live.registry.project(&project()).sessions.load(Ordering::Acquire);
        assert_eq!((meter.tally.word.level(), sessions, live.audit()), (level, u64::from(level), vec![]));
    }

    #[test]
    fn a_slot_of_a_worker_without_a_stream_is_free_at_once_and_stays_so() {
        let (live, meter) = live();
        let open = |nth| Event::Open { id: id(nth), meter: meter.clone(), age: Duration::ZERO, labels: None };
        let say =
            |events, second| live.report(&project(), "w", WHO, Duration::from_secs(60), events, at(second)).unwrap();
        say(vec![open(1), open(2)], 60);
        assert_eq!(live.find_session(&project(), WHO, [id(9), id(1)]), Some((id(1), Link::Unary)));
        assert_eq!(live.release(&project(), WHO, id(1), at(61)), Released::Freed);
        stands(&live, &meter, 1);
        assert_eq!(live.release(&project(), WHO, id(1), at(61)), Released::Unknown);
        assert_eq!(say(vec![open(1), open(2)], 62).0.duplicates, 2, "it is not brought back");
        stands(&live, &meter, 1);
        let other = Project::new("other").unwrap();
        assert_eq!(live.release(&other, WHO, id(2), at(63)), Released::Unknown);
        assert_eq!(live.release(&project(), Incarnation([8; 16]), id(2), at(63)), Released::Unknown);
        assert_eq!(live.find_session(&other, WHO, [id(2)]), None);
    }

    #[test]
    fn a_ghost_ends_at_once_and_a_worker_that_returns_with_it_is_believed() {
        let (live, meter) = live();
        let hello =
            |attach_seq| Hello { project: project(), worker: "w".into(), incarnation: WHO, replaces: None, attach_seq };
        let held = |nth| LiveSession { id: id(nth), meter: meter.clone(), age: Duration::ZERO, labels: None };
        let tell = |attach_seq, second| {
            let stream = live.attach(&hello(attach_seq), at(second)).unwrap();
            live.declare(&stream, std::slice::from_ref(&meter), at(second)).unwrap();
            let last = Some((2, id(1).digest() ^ id(2).digest()));
            let _told = live.snapshot(&stream, 0, vec![held(1), held(2)], last, at(second)).unwrap();
            stream
        };
        let stream = tell(1, 60);
        assert_eq!(live.release(&project(), WHO, id(1), at(61)), Released::Held, "it is its worker that knows");
        stands(&live, &meter, 2);
        live.detach(&stream);
        assert_eq!((meter.silent_level(), live.release(&project(), WHO, id(1), at(62))), (2, Released::Freed));
        stands(&live, &meter, 1);
        assert_eq!(meter.silent_level(), 1);
        tell(2, 63);
        stands(&live, &meter, 2);
    }
}
