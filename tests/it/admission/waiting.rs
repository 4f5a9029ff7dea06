//! Random histories of callers that ask, wait, leave, report and give back, under limits that change and end by themselves,
//! beside a naive ledger: it keeps lists, and looks through all of them each time.

use std::sync::Arc;

use highwater::{
    live::{Answer, Ask, Event, Live, Meter, Roller, Ticket, Why},
    model::{Key, Outcome, Priority, SessionId},
};
use proptest::prelude::*;

use super::{ask, at, granted, id, limit, live, meter, project, rules, unary};

const START: u64 = 60;

#[derive(Clone, Debug)]
enum Op {
    Ask {
        wanted: Vec<usize>,
        priority: usize,
        waits: bool,
    },
    Report(usize),
    GiveBack(usize),
    Leave(usize),
    /// A limit of one level: slots, for so many seconds if not for ever, and the share that is kept.
    Limit {
        level: usize,
        slots: Option<u32>,
        lasts: Option<u64>,
        kept: u8,
    },
    Starts {
        level: usize,
        most: Option<u32>,
    },
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let wanted = prop::collection::vec(0..METERS.len(), 1..3);
    prop_oneof![
        8 => (wanted, 0..3_usize, any::<bool>()).prop_map(|(wanted, priority, waits)| Op::Ask { wanted, priority, waits }),
        2 => (0..METERS.len()).prop_map(Op::Report),
        5 => any::<prop::sample::Index>().prop_map(|nth| Op::GiveBack(nth.index(1_000))),
        1 => any::<prop::sample::Index>().prop_map(|nth| Op::Leave(nth.index(1_000))),
        1 => (0..LEVELS, prop::option::weighted(0.8, 0..6_u32), prop::option::of(1..40_u64), prop::sample::select(vec![0_u8, 20]))
            .prop_map(|(level, slots, lasts, kept)| Op::Limit { level, slots, lasts, kept }),
        1 => (0..LEVELS, prop::option::weighted(0.7, 0..4_u32)).prop_map(|(level, most)| Op::Starts { level, most }),
        2 => (1..30_u64).prop_map(Op::Pass),
    ]
}

/// Two models in two projects; the second project has one of them.
const METERS: [(&str, &str); 3] = [("p", "a/x"), ("p", "a/y"), ("q", "a/x")];
/// Three meters, two pools of kinds, two pools of models.
const LEVELS: usize = 7;
/// The levels of each meter.
const OF_METER: [[usize; 3]; 3] = [[0, 3, 5], [1, 3, 6], [2, 4, 5]];

/// What the ledger knows of a level.
#[derive(Clone, Debug, Default)]
struct Level {
    slots: Vec<(Option<u32>, u64, Option<u64>)>,
    most_starts: Option<u32>,
    kept: u8,
    starts: Vec<u64>,
}

struct Waiting {
    number: u64,
    ask: Ask,
    wanted: Vec<usize>,
    ticket: Ticket,
}

struct World {
    live: Live,
    roller: Roller,
    meters: Vec<Arc<Meter>>,
    now: u64,
    next: u64,
    levels: Vec<Level>,
    held: Vec<(SessionId, usize)>,
    waiting: Vec<Waiting>,
    refused: [u64; 3],
    diverted: [u64; 3],
}

impl World {
    fn new() -> Self {
        let live = live();
        let meters = METERS.map(|(of, model)| meter(&live, of, model)).to_vec();
        Self {
            live,
            roller: Roller::default(),
            meters,
            now: START,
            next: 1,
            levels: vec![Level::default(); LEVELS],
            held: Vec::new(),
            waiting: Vec::new(),
            refused: [0; 3],
            diverted: [0; 3],
        }
    }

    fn key(&self, level: usize) -> Key {
        let at = (0..3).find_map(|nth| Some((nth, OF_METER[nth].iter().position(|of| *of == level)?))).unwrap();
        self.meters[at.0].scopes()[at.1].key.clone()
    }

    // The ledger.

    fn held_of(&self, level: usize) -> u32 {
        self.held.iter().filter(|(_, nth)| OF_METER[*nth].contains(&level)).count() as u32
    }

    fn has_room(&self, nth: usize, priority: usize) -> bool {
        OF_METER[nth].iter().all(|level| {
            let of = &self.levels[*level];
            let covers =
                |(_, start, end): &&(_, u64, Option<u64>)| *start <= self.now && end.is_none_or(|end| self.now < end);
            let slots = of.slots.iter().rev().find(covers).and_then(|(slots, ..)| *slots);
            let kept = |slots: u32| (slots * u32::from(of.kept)).div_ceil(100) * priority as u32;
            let recent = of.starts.iter().filter(|start| self.now - **start <= 60).count() as u32;
            slots.is_none_or(|slots| self.held_of(*level) < slots.saturating_sub(kept(slots)))
                && of.most_starts.is_none_or(|most| recent < most)
        })
    }

    fn holds(&mut self, id: SessionId, nth: usize) {
        self.held.push((id, nth));
        for level in OF_METER[nth] {
            if self.levels[level].most_starts.is_some() {
                self.levels[level].starts.push(self.now);
            }
        }
    }

    // What is done.

    fn of(nth: usize) -> highwater::model::Project {
        project(METERS[nth].0)
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask { mut wanted, priority, waits } => {
                // A project's worker asks for models of its own.
                let of = METERS[wanted[0]].0;
                wanted.retain(|nth| METERS[*nth].0 == of);
                self.ask(wanted, priority, waits);
            }
            Op::Report(nth) => {
                let id = self.next_id();
                let age = std::time::Duration::ZERO;
                let event = Event::Open { id, meter: self.meters[nth].clone(), age, labels: None };
                let (of, who) = (Self::of(nth), highwater::model::Incarnation([1; 16]));
                self.live.report(&of, "w", who, super::LEASE, vec![event], at(self.now)).unwrap();
                self.holds(id, nth);
            }
            Op::GiveBack(nth) if !self.held.is_empty() => {
                let (id, nth) = self.held.remove(nth % self.held.len());
                let _given = self.live.give_back(unary(&Self::of(nth), 1), id, Outcome::Ok, at(self.now)).unwrap();
            }
            Op::Leave(nth) if !self.waiting.is_empty() => {
                let left = self.waiting.remove(nth % self.waiting.len());
                drop(self.live.give_up_waiting(&left.ask, left.ticket, at(self.now)));
                self.refused[left.wanted[0]] += 1;
            }
            Op::GiveBack(_) | Op::Leave(_) => {}
            Op::Limit { level, slots, lasts, kept } => {
                self.levels[level].slots.push((slots, self.now, lasts.map(|lasts| self.now + lasts)));
                self.levels[level].kept = kept;
                self.set_rules(level);
            }
            Op::Starts { level, most } => {
                self.levels[level].most_starts = most;
                self.set_rules(level);
            }
            Op::Pass(seconds) => {
                for _ in 0..seconds {
                    self.now += 1;
                    drop(self.roller.roll(&self.live, at(self.now)));
                    self.serve();
                }
            }
        }
        self.serve();
        self.check();
    }

    fn set_rules(&mut self, level: usize) {
        let Level { slots, most_starts, kept, .. } = &self.levels[level];
        let tally = self.live.registry.find(&self.key(level)).unwrap();
        self.live.set_rules(&tally, rules(slots, *most_starts, *kept), at(self.now));
    }

    fn next_id(&mut self) -> SessionId {
        self.next += 1;
        id(self.next)
    }

    fn ask(&mut self, wanted: Vec<usize>, priority: usize, waits: bool) {
        let id = self.next_id();
        let meters: Vec<_> = wanted.iter().map(|nth| &self.meters[*nth]).collect();
        let ask = Ask { priority: Priority::ALL[priority], waits, ..ask(id, &meters) };
        let of = Self::of(wanted[0]);
        let answer = self.live.acquire(unary(&of, 1), &ask, None, at(self.now)).unwrap().0;
        let expected = wanted.iter().position(|nth| self.has_room(*nth, priority));
        match (answer, expected) {
            (Answer::Granted(granted), Some(nth)) => {
                assert_eq!((granted.nth, granted.again), (Some(nth), false));
                self.got(id, &wanted, nth);
            }
            (Answer::Refused(says), None) if !waits => {
                assert_eq!(says.len(), wanted.len());
                self.refused[wanted[0]] += 1;
            }
            (Answer::Waits(ticket), None) if waits => {
                self.waiting.push(Waiting { number: self.next, ask, wanted, ticket });
            }
            (answer, expected) => panic!("{answer:?} where {expected:?} was expected"),
        }
    }

    fn got(&mut self, id: SessionId, wanted: &[usize], nth: usize) {
        self.diverted[wanted[0]] += u64::from(nth > 0);
        self.holds(id, wanted[nth]);
    }

    /// Who waits and can be served is, in order; nobody else is.
    fn serve(&mut self) {
        loop {
            self.waiting.sort_by_key(|waiting| (waiting.ask.priority, waiting.number));
            let fits = |waiting: &Waiting| {
                let rank = waiting.ask.priority.rank();
                waiting.wanted.iter().position(|nth| self.has_room(*nth, rank))
            };
            let Some((at_place, nth)) =
                self.waiting.iter().enumerate().find_map(|(at, waiting)| Some((at, fits(waiting)?)))
            else {
                break;
            };
            let served = self.waiting.remove(at_place);
            let permit = served.ticket.take().unwrap_or_else(|| panic!("{:?} was not served", served.ask));
            assert_eq!(permit.nth, nth);
            let of = Self::of(served.wanted[0]);
            let answer = self.live.acquire(unary(&of, 1), &served.ask, Some(permit), at(self.now)).unwrap().0;
            assert_eq!(granted(answer).1, Some(nth));
            self.got(served.ask.id, &served.wanted, nth);
        }
        for waiting in &self.waiting {
            assert!(waiting.ticket.take().is_none(), "{:?} was served before its turn", waiting.ask);
        }
    }

    fn check(&self) {
        for level in 0..LEVELS {
            let tally = self.live.registry.find(&self.key(level)).unwrap();
            assert_eq!(tally.word.level(), self.held_of(level), "{}", tally.key);
        }
        let demand = self.meters.iter().map(|meter| (meter.totals().refused, meter.totals().diverted));
        assert!(demand.eq(self.refused.into_iter().zip(self.diverted)));
        let waiting: usize = self.live.waiting_room().waiting().iter().map(|(_, waiting)| waiting).sum();
        assert_eq!(waiting, self.waiting.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn histories_are_those_of_a_naive_ledger(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        assert_eq!(world.live.audit(), []);
        while !world.held.is_empty() {
            world.run(Op::GiveBack(0));
        }
    }
}

#[test]
fn a_session_that_asks_twice_is_told_the_same_and_one_that_ended_is_told_so() {
    let live = live();
    let (x, y) = (meter(&live, "p", "a/x"), meter(&live, "p", "a/y"));
    [&x, &y].into_iter().for_each(|meter| live.set_rules(&meter.tally, limit(1), at(60)));
    let of = project("p");
    let says =
        |nth, wanted: &[&Arc<Meter>]| live.acquire(unary(&of, 1), &ask(id(nth), wanted), None, at(60)).unwrap().0;
    let place = |answer| {
        let (_, nth, again) = granted(answer);
        (nth, again)
    };
    assert_eq!(place(says(1, &[&x, &y])), (Some(0), false));
    assert_eq!(place(says(2, &[&x, &y])), (Some(1), false));
    assert_eq!([place(says(1, &[&x, &y])), place(says(2, &[&x, &y]))], [(Some(0), true), (Some(1), true)]);
    assert_eq!((x.totals().opened, x.totals().diverted, y.totals().diverted), (1, 1, 0));
    let Answer::Refused(refused) = says(3, &[&x, &y]) else { panic!() };
    assert_eq!(refused.iter().map(|says| says.why).collect::<Vec<_>>(), [Why::Slots { held: 1, most: 1, limit: 1 }; 2]);
    let back = |nth| live.give_back(unary(&of, 1), id(nth), Outcome::Ok, at(61)).unwrap().0;
    use highwater::live::admit::GivenBack;
    assert_eq!(
        [back(1), back(1), back(4), back(4)],
        [GivenBack::Free, GivenBack::Ended, GivenBack::NotHeld, GivenBack::Ended]
    );
    assert!(matches!(says(1, &[&x]), Answer::Ended), "it was given back");
    assert!(matches!(says(4, &[&x]), Answer::Ended), "its end came before it");
    assert_eq!((x.tally.word.level(), y.tally.word.level(), live.audit()), (0, 1, vec![]));
}

#[test]
fn a_limit_below_the_level_cuts_nobody_off_and_lets_nobody_in() {
    let live = live();
    let x = meter(&live, "p", "a/x");
    let of = project("p");
    let says = |nth| live.acquire(unary(&of, 1), &ask(id(nth), &[&x]), None, at(60)).unwrap().0;
    (1..=3).for_each(|nth| drop(granted(says(nth))));
    live.set_rules(&x.tally, limit(2), at(60));
    assert!(matches!(says(4), Answer::Refused(_)));
    assert_eq!((x.tally.word.level(), granted(says(1)).2), (3, true));
    for nth in 1..=2 {
        assert!(matches!(says(4 + nth), Answer::Refused(_)));
        let _given = live.give_back(unary(&of, 1), id(nth), Outcome::Ok, at(60)).unwrap();
    }
    granted(says(7));
    assert_eq!((x.tally.word.level(), x.tally.word.peak()), (2, 3));
}

#[test]
fn no_more_wait_than_may() {
    let bounds = highwater::model::Bounds { waiting_per_project: 2, lease: super::LEASE, ..Default::default() };
    let live = Live::new(bounds, at(60).wall.tick());
    let x = meter(&live, "p", "a/x");
    live.set_rules(&x.tally, limit(0), at(60));
    let of = project("p");
    let says = |nth| live.acquire(unary(&of, 1), &Ask { waits: true, ..ask(id(nth), &[&x]) }, None, at(60)).unwrap().0;
    let tickets = [says(1), says(2)];
    assert!(matches!(says(3), Answer::TooManyWait));
    drop(tickets);
    assert!(matches!(says(3), Answer::Waits(_)));
}
