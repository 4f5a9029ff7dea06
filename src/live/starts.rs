//! How many sessions were started in the last minute, for limits that count starts. Seconds are whole: no span of 60 s,
//! wherever it begins, sees more than the limit. Kept under a lock, since few limits count starts and none of them often.

use std::time::Duration;

use crate::model::Tick;

/// A span of 60 s touches this many seconds.
const SECONDS: usize = 61;

/// The starts of each of the last seconds.
#[derive(Debug)]
pub struct Starts {
    /// Most starts in a minute; `None` for no limit.
    pub most: Option<u32>,
    counts: [u32; SECONDS],
    newest: Tick,
    total: u64,
}

impl Default for Starts {
    fn default() -> Self {
        Self { most: None, counts: [0; SECONDS], newest: Tick(0), total: 0 }
    }
}

const fn place(tick: Tick) -> usize {
    (tick.0 % SECONDS as u64) as usize
}

impl Starts {
    /// Goes on to a second; one that was before the newest counts as the newest.
    fn go_to(&mut self, tick: Tick) {
        let passed = tick.0.saturating_sub(self.newest.0).min(SECONDS as u64);
        self.newest = self.newest.max(tick);
        for back in 0..passed {
            let place = place(Tick(self.newest.0 - back));
            self.total -= u64::from(std::mem::take(&mut self.counts[place]));
        }
    }

    /// Sessions were started, whoever asked for them.
    pub fn count(&mut self, tick: Tick, starts: u32) {
        self.go_to(tick);
        self.counts[place(self.newest)] += starts;
        self.total += u64::from(starts);
    }

    /// Starts one if there is room; returns the second that it counts in.
    ///
    /// # Errors
    /// The most there may be, and in how long the next may start.
    pub fn start(&mut self, tick: Tick) -> Result<Tick, (u32, Duration)> {
        self.go_to(tick);
        match self.most {
            Some(most) if self.total >= u64::from(most) => Err((most, self.room_in(most))),
            _ => {
                self.count(tick, 1);
                Ok(self.newest)
            }
        }
    }

    /// One that was counted in this second was not started after all.
    pub fn give_back(&mut self, tick: Tick) {
        let is_kept = self.newest.0.saturating_sub(tick.0) < SECONDS as u64;
        if is_kept && let Some(left) = self.counts[place(tick)].checked_sub(1) {
            self.counts[place(tick)] = left;
            self.total -= 1;
        }
    }

    /// How long until so many seconds are over that there is room.
    fn room_in(&self, most: u32) -> Duration {
        let mut left = self.total;
        for back in (0..SECONDS as u64).rev() {
            if let Some(tick) = self.newest.0.checked_sub(back) {
                left -= u64::from(self.counts[place(Tick(tick))]);
            }
            if left < u64::from(most) {
                return Duration::from_secs(SECONDS as u64 - back);
            }
        }
        Duration::from_secs(SECONDS as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_start_is_over_when_a_minute_has_passed_whatever_its_second() {
        let mut starts = Starts { most: Some(2), ..Starts::default() };
        assert_eq!((starts.start(Tick(100)), starts.start(Tick(130))), (Ok(Tick(100)), Ok(Tick(130))));
        let refused =
            |starts: &mut Starts, tick| starts.start(Tick(tick)).map_err(|(most, room)| (most, room.as_secs()));
        assert_eq!(refused(&mut starts, 130), Err((2, 31)));
        assert_eq!(refused(&mut starts, 160), Err((2, 1)));
        starts.give_back(Tick(130));
        assert_eq!(refused(&mut starts, 160), Ok(Tick(160)));
        assert_eq!(refused(&mut starts, 161), Ok(Tick(161)));
    }

    proptest! {
        #[test]
        fn no_span_of_a_minute_sees_more_and_none_is_refused_that_has_room(
            most in 0_u32..6,
            steps in prop::collection::vec((0_u64..25, 0_u32..3, any::<bool>()), 1..120),
        ) {
            let mut starts = Starts { most: Some(most), ..Starts::default() };
            let mut log: Vec<u64> = Vec::new();
            let mut now = 1_000;
            for (after, facts, back) in steps {
                now += after;
                for _ in 0..facts / 2 {
                    starts.count(Tick(now), 1);
                    log.push(now);
                }
                let recent = log.iter().filter(|at| now - **at < SECONDS as u64).count();
                let is_started = starts.start(Tick(now)).is_ok();
                prop_assert_eq!(is_started, recent < most as usize);
                if is_started && back {
                    starts.give_back(Tick(now));
                } else if is_started {
                    log.push(now);
                }
            }
        }
    }
}
