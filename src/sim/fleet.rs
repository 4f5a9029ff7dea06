//! The calls of a fleet, in the order in which they start, without an end. Each hour has random numbers of its own, so
//! that a fleet that is looked at from a later hour on makes the same calls; only what it held at that hour's start, and
//! so what it diverts in the first minutes, is not known then.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use crate::{
    model::{Hour, Time, time::MICROS_PER_SECOND},
    sim::{
        agents::{Agent, BUSY_TTS, BUSY_TTS_LIMIT, FALLBACK_TTS},
        call::Call,
        random::Random,
        rhythm::Rhythm,
        schedule::Schedule,
    },
};

/// What [`Random::of`] is asked for: the calls of an hour.
const CALLS: u64 = 3;
const SECONDS_PER_HOUR: f64 = 3_600.0;
/// Average length of a call, in seconds: that of its log-normal lengths, cut at both ends. Calls at once divided by it is
/// how many arrive a second.
pub(super) const MEAN_SECONDS: f64 = 183.0;

/// A simulated fleet of voice agents.
#[derive(Clone, Debug)]
pub struct Fleet {
    seed: u64,
    /// Whose hours and weekdays the rhythm follows.
    zone: TimeZone,
}

/// The calls of a fleet, in the order in which they start. It never ends.
#[derive(Debug)]
pub struct Calls {
    fleet: Fleet,
    /// The hour whose calls come next.
    hour: Hour,
    ready: VecDeque<Call>,
    /// When the slots of the busy model that may still be held will be free.
    busy_until: Vec<Time>,
}

impl Fleet {
    pub const fn new(seed: u64, zone: TimeZone) -> Self {
        Self { seed, zone }
    }

    /// Every call that is there at `from` or starts later, and before them some that are over by then.
    pub fn calls(&self, from: Time) -> Calls {
        // No call is so long that one of an earlier hour is still there.
        let hour = Hour(from.tick().hour().0.saturating_sub(1));
        Calls { fleet: self.clone(), hour, ready: VecDeque::new(), busy_until: Vec::new() }
    }

    /// What its workers do from an instant on.
    pub fn schedule(&self, from: Time) -> Schedule {
        Schedule::new(self.calls(from), from)
    }
}

impl Iterator for Calls {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        loop {
            if let Some(call) = self.ready.pop_front() {
                return Some(call);
            }
            self.make_hour();
            self.hour = self.hour.next();
        }
    }
}

impl Calls {
    /// Makes the calls that start in the next hour: a Poisson process at the highest rate, thinned to the rate of the time.
    fn make_hour(&mut self) {
        let rhythm = Rhythm::of(self.fleet.seed, &self.fleet.zone, self.hour);
        let mut random = Random::of(self.fleet.seed, CALLS, u64::from(self.hour.0));
        let most = Rhythm::most();
        let mut second = random.wait(MEAN_SECONDS / most);
        while second < SECONDS_PER_HOUR {
            if let Some(agent) = pick(&rhythm, second, random.between(0.0, most)) {
                let micros = (second * MICROS_PER_SECOND as f64) as u64;
                let call = self.call(agent, Time(self.hour.first_tick().start().0 + micros), &mut random);
                self.ready.push_back(call);
            }
            second += random.wait(MEAN_SECONDS / most);
        }
    }

    /// A call; where all slots of the busy model are held, it speaks with another.
    fn call(&mut self, agent: &Agent, started: Time, random: &mut Random) -> Call {
        let held = &mut self.busy_until;
        held.retain(|until| *until > started);
        Call::new(agent, started, random, |from, to, liked| {
            if liked != BUSY_TTS {
                return liked;
            }
            // Slots of calls that started earlier and take theirs later count too: then no instant sees more than the limit.
            if held.iter().filter(|until| **until > from).count() >= BUSY_TTS_LIMIT as usize {
                return FALLBACK_TTS;
            }
            held.push(to);
            liked
        })
    }
}

/// Whose call it is that a number between 0 and the most falls on; nobody's when it exceeds what is busy.
fn pick(rhythm: &Rhythm, second: f64, mut number: f64) -> Option<&'static Agent> {
    rhythm
        .busy(second)
        .find(|busy| {
            number -= busy.load;
            number < 0.0
        })
        .map(|busy| busy.agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Kind, sim::SimSession};
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    /// Monday, 6 January 2025, 00:00 UTC.
    const MONDAY: Time = Time::from_secs(1_736_121_600);

    fn calls(seed: u64, from: Time, days: u32) -> Vec<Call> {
        let to = from.after(DAY * days);
        let calls = Fleet::new(seed, TimeZone::UTC).calls(from).take_while(|call| call.started < to);
        calls.filter(|call| call.ended() > from).collect()
    }

    /// Of each day: the highest level, and the microseconds at 18 or more, around 14:00 and at other times.
    #[derive(Clone, Copy, Debug, Default)]
    struct Day {
        peak: u32,
        near: [u64; 2],
    }

    fn days<'a>(sessions: impl Iterator<Item = &'a SimSession>) -> Vec<Day> {
        let mut ends: Vec<_> = sessions.flat_map(|s| [(s.connected, 1), (s.disconnected, -1)]).collect();
        ends.sort_unstable();
        let mut days = vec![Day::default(); 8];
        let (mut level, mut before) = (0_i32, MONDAY);
        for (at, by) in ends {
            let seconds = at.since(MONDAY).as_secs();
            let day = &mut days[(seconds / DAY.as_secs()) as usize];
            if level >= 18 {
                let afternoon = (13..16).contains(&(seconds / 3_600 % 24));
                day.near[usize::from(!afternoon)] += at.0 - before.0;
            }
            (level, before) = (level + by, at);
            day.peak = day.peak.max(level.unsigned_abs());
        }
        days.truncate(7);
        days
    }

    fn of_model<'a>(calls: &'a [Call], model: &'a str) -> impl Iterator<Item = &'a SimSession> {
        calls
            .iter()
            .flat_map(|call| &call.sessions)
            .filter(move |s| s.meter.kind == Kind::Tts && &*s.meter.model == model)
    }

    #[test]
    fn a_seed_makes_the_same_calls_also_from_later_on() {
        let first = calls(1, MONDAY, 2);
        assert_eq!(first, calls(1, MONDAY, 2));
        assert_ne!(first, calls(2, MONDAY, 2));
        let later = MONDAY.after(DAY + Duration::from_secs(1_234));
        let there: Vec<_> = first.into_iter().filter(|call| call.ended() > later).collect();
        let again = Fleet::new(1, TimeZone::UTC).calls(later).filter(|call| call.ended() > later);
        assert_eq!(there, again.take(there.len()).collect::<Vec<_>>());
    }

    #[test]
    fn calls_come_in_order_and_have_names_of_their_own() {
        let calls = calls(3, MONDAY, 1);
        assert!(calls.is_sorted_by_key(|call| call.started));
        let jobs: std::collections::HashSet<_> = calls.iter().map(|call| &call.job).collect();
        assert_eq!(jobs.len(), calls.len());
    }

    #[test]
    fn a_week_has_its_rhythm() {
        let calls = calls(1, MONDAY, 7);
        let between = |from: u64, to: u64| {
            let hour = |call: &Call| (call.started.0 - MONDAY.0.min(call.started.0)) / 3_600_000_000;
            calls.iter().filter(|call| (from..to).contains(&hour(call))).count()
        };
        // Tuesday's afternoon, its night, and the days of the week.
        assert!(between(24 + 13, 24 + 17) > 4 * between(24 + 1, 24 + 5));
        assert!(between(0, 120) / 5 > between(144, 168) * 11 / 10, "{} {}", between(0, 120) / 5, between(144, 168));
        assert!((40_000..70_000).contains(&calls.len()), "{}", calls.len());
    }

    #[test]
    fn the_busy_model_comes_near_its_limit_every_afternoon_and_never_exceeds_it() {
        for seed in 1..5 {
            let calls = calls(seed, MONDAY, 7);
            let days = days(of_model(&calls, BUSY_TTS));
            assert!(days.iter().all(|day| (16..=BUSY_TTS_LIMIT).contains(&day.peak)), "{days:?}");
            assert!(days.iter().filter(|day| day.peak == BUSY_TTS_LIMIT).count() >= 3, "{days:?}");
            let near = |at: usize| days.iter().map(|day| day.near[at]).sum::<u64>();
            assert!(near(0) > 4 * near(1), "{days:?}");
            assert!(of_model(&calls, FALLBACK_TTS).count() > 1_000);
        }
    }
}
