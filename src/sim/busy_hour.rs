//! A busy hour: calls that all agents get beside those of their rhythm, so many that models come to their limits within
//! seconds, and go beyond. Unlike the fleet's own calls these are not made to turn to another model when one is full: who
//! gives their slots does that.

use std::{collections::HashMap, time::Duration};

use crate::{
    model::{Time, time::MICROS_PER_SECOND},
    sim::{
        agents::{AGENTS, Agent, BUSY_HOUR, WHILE_FAILING},
        call::Call,
        fleet::MEAN_SECONDS,
        random::Random,
    },
};

/// How long more calls come.
pub const LASTS: Duration = Duration::from_secs(600);
/// How long calls come while a provider fails, and after it.
const FAILURE_LASTS: Duration = Duration::from_secs(300);
/// In what time the first of them have come.
const WAVE_SECONDS: f64 = 12.0;
/// What [`Random::of`] is asked for: the calls of a busy hour.
const BUSY: u64 = 4;

/// The calls of a busy hour that begins at an instant, in the order in which they start; `there` are left over from one
/// before it.
pub fn calls(seed: u64, from: Time, there: usize) -> Vec<Call> {
    of(BUSY_HOUR, LASTS, seed, from, there)
}

/// The same for a provider that fails: as many as show it at any hour.
pub fn calls_while_failing(seed: u64, from: Time, there: usize) -> Vec<Call> {
    of(WHILE_FAILING, FAILURE_LASTS, seed, from, there)
}

fn of(agents_at_once: &[(&str, u32)], lasts: Duration, seed: u64, from: Time, there: usize) -> Vec<Call> {
    let mut random = Random::of(seed, BUSY, from.0);
    let at = |second: f64| Time(from.0 + (second * MICROS_PER_SECOND as f64) as u64);
    let agents: HashMap<&str, &Agent> = AGENTS.iter().map(|agent| (agent.name, agent)).collect();
    let (mut wave, mut later) = (Vec::new(), Vec::new());
    for (name, more) in agents_at_once {
        let Some(agent) = agents.get(name) else { continue };
        let call = |second: f64, random: &mut Random| Call::new(agent, at(second), random, |_, _, liked| liked);
        for _ in 0..*more {
            let second = random.between(0.0, WAVE_SECONDS);
            wave.push(call(second, &mut random));
        }
        // As many as end, so that they stay as many.
        let wait = MEAN_SECONDS / f64::from(*more);
        let mut second = WAVE_SECONDS + random.wait(wait);
        while second < lasts.as_secs_f64() {
            later.push(call(second, &mut random));
            second += random.wait(wait);
        }
    }
    wave.sort_by_key(|call| call.started);
    // The last ones that would be too many.
    wave.truncate(wave.len().saturating_sub(there));
    later.sort_by_key(|call| call.started);
    wave.extend(later);
    wave
}

/// Calls at once that come to those of the rhythm.
pub fn most_at_once() -> u32 {
    BUSY_HOUR.iter().map(|(_, more)| more).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Kind,
        sim::{Schedule, agents::BUSY_TTS_LIMIT},
    };

    const FROM: Time = Time::from_secs(1_736_121_600);

    fn level(calls: &[Call], model: &str, second: u64) -> usize {
        let at = FROM.after(Duration::from_secs(second));
        let sessions = calls.iter().flat_map(|call| &call.sessions);
        let there = |of: &&crate::sim::SimSession| of.connected <= at && at < of.disconnected;
        sessions.filter(|s| s.meter.kind == Kind::Tts && &*s.meter.model == model).filter(there).count()
    }

    #[test]
    fn the_busy_model_is_beyond_its_limit_within_20_seconds_at_any_hour_and_stays_near() {
        for seed in 0..20 {
            let calls = calls(seed, FROM, 0);
            assert!(calls.is_sorted_by_key(|call| call.started));
            let busy = |second| level(&calls, crate::sim::agents::BUSY_TTS, second);
            assert!(busy(18) > BUSY_TTS_LIMIT as usize, "{}", busy(18));
            assert!((1..10).all(|minute| busy(60 * minute) > 10), "seed {seed}");
            assert_eq!(busy(600 + 840), 0);
        }
    }

    #[test]
    fn what_is_left_over_is_not_added_again() {
        let whole = calls(1, FROM, 0);
        let wave =
            |calls: &[Call]| calls.iter().filter(|call| call.started < FROM.after(Duration::from_secs(12))).count();
        assert_eq!(wave(&whole), most_at_once() as usize);
        assert_eq!(wave(&calls(1, FROM, 20)), most_at_once() as usize - 20);
        assert_eq!(wave(&calls(1, FROM, 1_000)), 0);
        let mut names: Vec<_> = BUSY_HOUR.iter().map(|(name, _)| name).collect();
        names.retain(|name| AGENTS.iter().any(|agent| agent.name == **name));
        assert_eq!(names.len(), BUSY_HOUR.len(), "each is an agent");
    }

    #[test]
    fn a_schedule_of_it_begins_anew_with_what_is_there() {
        let mut schedule = Schedule::of(Vec::new(), FROM);
        assert!(schedule.peek().is_none() && schedule.calls_there() == 0);
        schedule.renew(calls(1, FROM, 0));
        let later = FROM.after(Duration::from_secs(15));
        while schedule.next_before(later).is_some() {}
        let there = schedule.calls_there();
        assert!(there > most_at_once() as usize / 2, "{there}");
        schedule.renew(calls(1, later, there));
        assert_eq!(schedule.calls_there(), there, "those that are there go on");
        let ended = schedule.filter(|happening| happening.step == crate::sim::Step::Ends).count();
        assert!(ended > 2 * there, "{ended}");
    }
}
