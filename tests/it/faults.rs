//! What is promised must hold when things break: workers that die, networks that lie, a service that is killed. Each
//! test runs for as long as `HIGHWATER_FAULT_ROUNDS` asks, from a seed that it prints; `HIGHWATER_FAULT_SEED` repeats it.

mod acquired;
pub mod ask;
mod course;
pub mod crew;
mod kept;
mod late_streams;
mod no_leak;
pub mod process;
mod process_a_call;
pub mod proxy;
mod restart;
mod stores;

use std::{env, str::FromStr};

use rand::{SeedableRng as _, rngs::StdRng};

/// Rounds of faults that a run of all tests has patience for; `make faults` asks for more.
pub const USUAL_ROUNDS: u64 = 10;

pub fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is not a number")))
}

/// How many rounds of faults.
pub fn rounds() -> u64 {
    variable("HIGHWATER_FAULT_ROUNDS").unwrap_or(USUAL_ROUNDS)
}

/// The dice of a test, and its seed in the output.
pub fn dice() -> StdRng {
    let seed = variable("HIGHWATER_FAULT_SEED").unwrap_or_else(rand::random::<u64>);
    println!("HIGHWATER_FAULT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
