//! Many threads at three levels, and an oracle that checks every grant: `HIGHWATER_ACQUIRES` says how many are asked for.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
};

use highwater::{
    live::{Answer, Ask, Live, Meter, Roller, Ticket, admit::Holder},
    model::{Incarnation, Outcome, Priority, SessionId},
    sim::random::Random,
};

use super::{LEASE, at, id, limit, live, meter, project};

const THREADS: usize = 64;
const ACQUIRES: u64 = 200_000;
const OF_A_MODEL: u32 = 6;
const OF_A_KIND: u32 = 9;
const ACROSS: u32 = 8;
/// Sessions that a thread holds at most.
const HELD: usize = 3;

/// How many slots are held of each level, counted beside the engine: up after a grant, down before the slot is given back.
struct Oracle {
    held: [[AtomicI64; 3]; 4],
    limits: [i64; 3],
}

impl Oracle {
    /// The counters of a meter: its own, its kind's in the project, its model's across them.
    fn places(nth: usize) -> [(usize, usize); 3] {
        [(nth, 0), (nth / 2, 1), (nth % 2, 2)]
    }

    fn up(&self, nth: usize) {
        for (row, column) in Self::places(nth) {
            let held = self.held[row][column].fetch_add(1, Ordering::SeqCst) + 1;
            assert!(held <= self.limits[column], "{held} of {} are held", self.limits[column]);
        }
    }

    fn down(&self, nth: usize) {
        for (row, column) in Self::places(nth) {
            self.held[row][column].fetch_sub(1, Ordering::SeqCst);
        }
    }
}

struct Hammer {
    live: Live,
    meters: Vec<Arc<Meter>>,
    oracle: Oracle,
    second: AtomicU64,
    left: AtomicI64,
    granted: AtomicU64,
    handed: AtomicU64,
}

impl Hammer {
    fn new(acquires: u64) -> Self {
        let live = live();
        let meters: Vec<_> =
            ["p", "q"].iter().flat_map(|of| ["a/x", "a/y"].map(|model| meter(&live, of, model))).collect();
        for meter in &meters {
            for (tally, most) in meter.scopes().into_iter().zip([OF_A_MODEL, OF_A_KIND, ACROSS]) {
                live.set_rules(tally, limit(most), at(60));
            }
        }
        let limits = [OF_A_MODEL, OF_A_KIND, ACROSS].map(i64::from);
        let (second, left) = (AtomicU64::new(60), AtomicI64::new(acquires as i64));
        let oracle = Oracle { held: Default::default(), limits };
        Self { live, meters, oracle, second, left, granted: AtomicU64::new(0), handed: AtomicU64::new(0) }
    }

    /// One thread: asks, waits now and then, sometimes leaves while it waits, and gives back.
    fn pound(&self, thread: usize) {
        let of = project(["p", "q"][thread % 2]);
        let who =
            Holder::Unary { project: &of, worker: "w", incarnation: Incarnation([thread as u8 + 1; 16]), lease: LEASE };
        let mut random = Random::of(7, thread as u64, 0);
        let mut held: Vec<(SessionId, usize)> = Vec::new();
        let mut nth_id = (thread as u64) << 40;
        while self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            let now = at(self.second.load(Ordering::Relaxed));
            if held.len() >= HELD || (!held.is_empty() && random.below(3) == 0) {
                let (id, nth) = held.swap_remove(random.below(held.len() as u64) as usize);
                self.oracle.down(nth);
                let _given = self.live.give_back(who, id, Outcome::Ok, now).unwrap();
            }
            let nth = 2 * (thread % 2) + random.below(2) as usize;
            nth_id += 1;
            let priority = Priority::ALL[random.below(3) as usize];
            let (id, wanted, waits) = (id(nth_id), [self.meters[nth].clone()].into(), random.below(4) == 0);
            let ask = Ask { id, wanted, priority, labels: None, waits, of_chain: None, without_store: false };
            match self.live.acquire(who, &ask, None, now).unwrap().0 {
                Answer::Granted(_) => {}
                Answer::Refused(_) => continue,
                Answer::Waits(ticket) => {
                    let Some(permit) = wait(&ticket, random.below(50)) else {
                        drop(self.live.give_up_waiting(&ask, ticket, now));
                        continue;
                    };
                    let answer = self.live.acquire(who, &ask, Some(permit), now).unwrap().0;
                    assert!(matches!(answer, Answer::Granted(_)), "{answer:?}");
                    self.handed.fetch_add(1, Ordering::Relaxed);
                }
                other => panic!("{other:?}"),
            }
            self.granted.fetch_add(1, Ordering::Relaxed);
            self.oracle.up(nth);
            held.push((id, nth));
        }
        for (id, nth) in held {
            self.oracle.down(nth);
            let _given = self.live.give_back(who, id, Outcome::Ok, at(self.second.load(Ordering::Relaxed))).unwrap();
        }
    }

    /// Rolls seconds while the threads go on: no peak is above its limit, though most that ask are refused.
    fn roll(&self) {
        let mut roller = Roller::default();
        while self.left.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
            let second = self.second.fetch_add(1, Ordering::Relaxed) + 1;
            self.check_frames(&mut roller, second);
        }
        self.check_frames(&mut roller, self.second.load(Ordering::Relaxed) + 2);
    }

    fn check_frames(&self, roller: &mut Roller, second: u64) {
        for frame in roller.roll(&self.live, at(second)) {
            for entry in frame.entries {
                let of = |meter: &Arc<Meter>| {
                    meter.scopes().map(|tally| tally.id.0).into_iter().position(|id| id == entry.key)
                };
                let column = self.meters.iter().find_map(of).unwrap();
                assert!(entry.peak <= [OF_A_MODEL, OF_A_KIND, ACROSS][column], "{entry:?}");
            }
        }
    }
}

/// Looks a number of times whether a slot was handed over.
fn wait(ticket: &Ticket, times: u64) -> Option<highwater::live::Permit> {
    (0..times).find_map(|_| {
        let permit = ticket.take();
        if permit.is_none() {
            thread::yield_now();
        }
        permit
    })
}

#[test]
fn heavy_sixty_four_threads_never_hold_more_than_three_levels_allow() {
    let acquires = env::var("HIGHWATER_ACQUIRES").map_or(ACQUIRES, |text| text.parse().unwrap());
    let hammer = Hammer::new(acquires);
    thread::scope(|scope| {
        (0..THREADS).for_each(|thread| {
            drop(scope.spawn({
                let hammer = &hammer;
                move || hammer.pound(thread)
            }))
        });
        scope.spawn(|| hammer.roll());
    });
    assert_eq!(hammer.live.audit(), []);
    for meter in &hammer.meters {
        assert_eq!(meter.scopes().map(|tally| tally.word.level()), [0; 3]);
    }
    assert!(hammer.live.waiting_room().waiting().is_empty());
    // Nothing of what was promised is left over: every slot can be had.
    let now = at(1_000_000);
    let of = project("p");
    let who = Holder::Unary { project: &of, worker: "w", incarnation: Incarnation([200; 16]), lease: LEASE };
    for nth in 0..OF_A_MODEL {
        let ask = super::ask(id(u64::MAX - u64::from(nth)), &[&hammer.meters[0]]);
        assert!(matches!(hammer.live.acquire(who, &ask, None, now).unwrap().0, Answer::Granted(_)), "{nth}");
    }
    let (granted, handed) = (hammer.granted.into_inner(), hammer.handed.into_inner());
    println!("{acquires} asked for, {granted} granted, {handed} of them after they had waited");
    assert!(granted > acquires / 100 && handed > 0);
}

/// As many threads as there are slots, each with one session at most: whatever they do at the same time, a slot is free.
#[test]
fn heavy_nobody_is_refused_while_a_slot_is_free() {
    const EACH: u64 = 20_000;
    let live = live();
    let one = meter(&live, "p", "a/x");
    one.scopes().into_iter().for_each(|tally| live.set_rules(tally, limit(8), at(60)));
    thread::scope(|scope| {
        for worker in 1..=8_u8 {
            let (live, one) = (&live, &one);
            scope.spawn(move || {
                let of = project("p");
                let incarnation = Incarnation([worker; 16]);
                let who = Holder::Unary { project: &of, worker: "w", incarnation, lease: LEASE };
                for nth in 0..EACH {
                    let id = id(u64::from(worker) << 32 | nth);
                    let answer = live.acquire(who, &super::ask(id, &[one]), None, at(60)).unwrap().0;
                    assert!(matches!(answer, Answer::Granted(_)), "{answer:?}");
                    let _given = live.give_back(who, id, Outcome::Ok, at(60)).unwrap();
                }
            });
        }
    });
    assert_eq!((one.tally.word.level(), one.totals().refused), (0, 0));
}
