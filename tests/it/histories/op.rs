//! What may happen in a random history.

use highwater::model::Outcome;
use proptest::prelude::*;

use super::{METERS, WORKERS};

#[derive(Clone, Debug)]
pub enum Op {
    /// Time passes, in microseconds.
    Pass(u64),
    /// The wall clock jumps, in seconds.
    Jump(i64),
    Open {
        worker: usize,
        id: u8,
        meter: usize,
    },
    Close {
        worker: usize,
        id: u8,
        outcome: Outcome,
    },
    /// The last batch is sent again.
    Repeat {
        worker: usize,
    },
    /// The stream breaks.
    Cut {
        worker: usize,
    },
    /// It comes back, with a snapshot of some of what it held, and one session more.
    Return {
        worker: usize,
        keep: u8,
        extra: Option<(u8, usize)>,
    },
    /// The older stream still says something.
    Ghost {
        worker: usize,
        id: u8,
    },
    Beat {
        worker: usize,
    },
    Goodbye {
        worker: usize,
    },
    /// The process starts anew, saying which one it replaces or not.
    Restart {
        worker: usize,
        replaces: bool,
    },
}

pub fn op() -> impl Strategy<Value = Op> {
    let worker = 0..WORKERS;
    let outcome = prop::sample::select(vec![Outcome::Ok, Outcome::Cancelled, Outcome::Rate, Outcome::Timeout]);
    prop_oneof![
        6 => (1_u64..2_500_000).prop_map(Op::Pass),
        1 => (-40_i64..90).prop_map(Op::Jump),
        8 => (worker.clone(), 0_u8..12, 0..METERS.len()).prop_map(|(worker, id, meter)| Op::Open { worker, id, meter }),
        6 => (worker.clone(), 0_u8..12, outcome).prop_map(|(worker, id, outcome)| Op::Close { worker, id, outcome }),
        1 => worker.clone().prop_map(|worker| Op::Repeat { worker }),
        1 => worker.clone().prop_map(|worker| Op::Cut { worker }),
        2 => (worker.clone(), any::<u8>(), prop::option::of((0_u8..12, 0..METERS.len())))
            .prop_map(|(worker, keep, extra)| Op::Return { worker, keep, extra }),
        1 => (worker.clone(), 0_u8..12).prop_map(|(worker, id)| Op::Ghost { worker, id }),
        2 => worker.clone().prop_map(|worker| Op::Beat { worker }),
        1 => worker.clone().prop_map(|worker| Op::Goodbye { worker }),
        1 => (worker, any::<bool>()).prop_map(|(worker, replaces)| Op::Restart { worker, replaces }),
    ]
}
