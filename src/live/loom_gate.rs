//! Every interleaving of the way in, explored by loom: limits against threads, reports, and those who wait.

use std::sync::Arc;

use loom::thread;

use crate::{
    live::{
        Live, Meter, Rules,
        enter::Entered,
        gate::{Gate, Promise, Step},
        scope::Scope,
        waiting::{Turn, Wanted},
        word::MeterWord,
    },
    model::{
        Bounds, Enforcement, Kind, LimitEntry, LimitHistory, Meter as Name, Mode, Now, Priority, Project, Tick, Time,
    },
};

const ANY: Priority = Priority::Standard;

fn now() -> Now {
    Now::at(Time::from_secs(10))
}

fn limit(slots: u32) -> Rules {
    let (set_by, reason) = (String::new(), String::new());
    let entry = LimitEntry { slots: Some(slots), start: Time(0), end: None, set_by, reason };
    let enforcement = Enforcement { mode: Mode::Enforce, kept_percent: 0 };
    Rules { slots: Arc::new(LimitHistory::new(vec![entry])), enforcement, ..Rules::default() }
}

/// Two models of one kind, each with a limit, and their pool with one.
fn two_models(of_model: u32, of_kind: u32) -> (Arc<Live>, [Arc<Meter>; 2]) {
    let live = Arc::new(Live::new(Bounds::default(), Tick(10)));
    let project = Project::new("p").expect("a name");
    let meters = ["a/b", "c/d"].map(|model| {
        let name = Name::new(Kind::Tts, model, "", None).expect("a name");
        live.meter(&project, &name, now()).expect("there is room")
    });
    meters.iter().for_each(|meter| live.set_rules(&meter.tally, limit(of_model), now()));
    live.set_rules(&meters[0].pools[0], limit(of_kind), now());
    // Made here, since loom does not see that what makes it once also shows it to others.
    for meter in &meters {
        meter.pools[1].scope_or(|| Scope::new(live.room.clone()));
    }
    (live, meters)
}

fn hold(meter: &Meter, entered: Entered, promise: Promise) {
    meter.raise(Tick(10));
    meter.commit(entered, promise);
}

fn ask(meter: &Meter) -> bool {
    match meter.enter(ANY, now()) {
        Ok(entered) => {
            hold(meter, entered, Promise::Passing);
            true
        }
        Err(_) => false,
    }
}

/// Through one gate: the last slot is given to one of two, and a report beside them is counted whatever there is.
#[test]
fn loom_the_last_slot_is_given_once_and_reports_are_never_refused() {
    loom::model(|| {
        let (gate, word) = (Arc::new(Gate::new()), Arc::new(MeterWord::new(Tick(0))));
        gate.set_most([2; 3]);
        let asks = |gate: Arc<Gate>, word: Arc<MeterWord>| {
            move || {
                let granted = gate.enter(&word, ANY) == Step::Entered;
                if granted {
                    word.open(Tick(0));
                    gate.commit(Promise::Passing);
                }
                u32::from(granted)
            }
        };
        let others = [0, 1].map(|_| thread::spawn(asks(gate.clone(), word.clone())));
        word.open(Tick(0));
        let granted: u32 = others.into_iter().map(|other| other.join().expect("no panic")).sum();
        assert!(granted <= 2);
        assert_eq!((word.level(), gate.promised()), (1 + granted, 0));
        assert!(matches!(gate.enter(&word, ANY), Step::Full { .. }) == (1 + granted >= 2));
    });
}

/// Two models, one slot in the pool of their kind: one is granted, and the other leaves no trace in any peak.
#[test]
fn loom_all_levels_or_none_and_one_of_two_is_granted() {
    loom::model(|| {
        let (_live, [one, other]) = two_models(1, 1);
        let asked = {
            let other = other.clone();
            thread::spawn(move || ask(&other))
        };
        let granted = [ask(&one), asked.join().expect("no panic")];
        assert_eq!(granted.iter().filter(|granted| **granted).count(), 1, "a free slot is granted");
        let peaks = [&one.tally, &other.tally, &one.pools[0]].map(|tally| tally.word.peak());
        assert_eq!(peaks, [u32::from(granted[0]), u32::from(granted[1]), 1]);
    });
}

/// Limits that are far enough are never a reason to refuse, whatever others do at the same time.
#[test]
fn loom_nobody_is_refused_while_a_slot_is_free() {
    loom::model(|| {
        let (_live, [one, _]) = two_models(2, 2);
        let asked = {
            let one = one.clone();
            thread::spawn(move || ask(&one))
        };
        assert!(ask(&one) && asked.join().expect("no panic"));
        assert_eq!((one.tally.word.level(), one.tally.word.peak()), (2, 2));
    });
}

/// Somebody begins to wait while the only slot is freed, or a promise of it is given up: it is never free with somebody
/// waiting beside it.
#[test]
fn loom_a_slot_that_is_freed_goes_to_who_waits() {
    loom::model(|| {
        let (live, [one, _]) = two_models(1, 1);
        assert!(ask(&one));
        let frees = {
            let one = one.clone();
            thread::spawn(move || one.lower(Tick(10)))
        };
        let wanted: Wanted = Arc::from([one.clone()]);
        let project = Project::new("p").expect("a name");
        let turn = live.room.wait((&project, 10), &wanted, ANY, None, now());
        frees.join().expect("no panic");
        match turn {
            Turn::Now(_, entered) => hold(&one, entered, Promise::Passing),
            Turn::Wait(ticket) => {
                let permit = ticket.take().expect("it was handed over");
                one.raise(Tick(10));
                permit.used();
            }
            Turn::TooMany => panic!("nobody waits"),
        }
        assert_eq!((one.tally.word.level(), one.tally.word.peak()), (1, 1));
        assert!(!one.has_waiters() && live.room.waiting().is_empty());
    });
}

/// A call that fails at the second level gives the first back to whoever began to wait for it meanwhile.
#[test]
fn loom_what_is_given_back_on_the_way_goes_to_who_waits() {
    loom::model(|| {
        let (live, [one, other]) = two_models(1, 1);
        // The pool is full by the other model; it is freed while somebody begins to wait, and somebody else only asks.
        assert!(ask(&other));
        let asks = {
            let one = one.clone();
            thread::spawn(move || ask(&one))
        };
        let project = Project::new("p").expect("a name");
        let turn = live.room.wait((&project, 10), &Arc::from([one.clone()]), ANY, None, now());
        other.lower(Tick(10));
        let granted = asks.join().expect("no panic");
        match turn {
            Turn::Wait(ticket) => assert_eq!(ticket.take().is_some(), !granted, "one of them has it"),
            Turn::Now(..) | Turn::TooMany => panic!("there was no slot"),
        }
        assert_eq!(one.tally.word.level(), u32::from(granted));
    });
}

#[test]
fn loom_a_limit_that_is_lowered_binds_who_asks_after_it() {
    loom::model(|| {
        let (gate, word) = (Arc::new(Gate::new()), Arc::new(MeterWord::new(Tick(0))));
        gate.set_most([1; 3]);
        gate.raise_ceiling(1);
        let asks = {
            let (gate, word) = (gate.clone(), word.clone());
            thread::spawn(move || {
                if gate.enter(&word, ANY) == Step::Entered {
                    word.open(Tick(0));
                    gate.commit(Promise::Passing);
                }
            })
        };
        // What the store must know is what is held or promised, whoever was on the way.
        let known = gate.lower_ceiling(0, &word);
        asks.join().expect("no panic");
        assert!(word.level() <= known);
    });
}
