//! How many mails may go out now: so many a minute at most; a quarter of them at once, and the others one after another, so
//! that whoever comes to it later waits for moments, and not for the end of a minute that another used up.

use std::{collections::VecDeque, time::Duration};

use crate::model::Time;

const MINUTE: Duration = Duration::from_secs(60);
/// The part of a minute's mails that may go out at once.
const BURST_PART: usize = 4;

/// Times are those of the monotonic clock.
#[derive(Debug)]
pub struct Pace {
    per_minute: usize,
    /// When mails went out in the last minute.
    sent: VecDeque<Time>,
    /// When all that went out would have, one after another.
    paid: Time,
    /// When there was no room last.
    used_up: Option<Time>,
}

impl Pace {
    pub fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute.max(1), sent: VecDeque::new(), paid: Time(0), used_up: None }
    }

    pub fn per_minute(&self) -> usize {
        self.per_minute
    }

    /// In microseconds.
    fn interval(&self) -> u64 {
        (MINUTE.as_micros() as u64 / self.per_minute as u64).max(1)
    }

    /// How many may go out now.
    pub fn room(&mut self, now: Time) -> usize {
        while self.sent.front().is_some_and(|sent| now.since(*sent) >= MINUTE) {
            self.sent.pop_front();
        }
        let burst = (self.per_minute / BURST_PART).max(1) as u64 * self.interval();
        let left = (now.0 + burst).saturating_sub(self.paid.0.max(now.0)) / self.interval();
        let room = self.per_minute.saturating_sub(self.sent.len()).min(left as usize);
        if room == 0 {
            self.used_up = Some(now);
        }
        room
    }

    pub fn took(&mut self, now: Time) {
        self.sent.push_back(now);
        self.paid = Time(self.paid.0.max(now.0) + self.interval());
    }

    /// One that was to go out did not.
    pub fn give_back(&mut self) {
        if self.sent.pop_back().is_some() {
            self.paid = Time(self.paid.0.saturating_sub(self.interval()));
        }
    }

    /// Whether somebody had to wait within the last minute.
    pub fn was_used_up(&self, now: Time) -> bool {
        self.used_up.is_some_and(|at| now.since(at) < MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all that there is room for; how many.
    fn take(pace: &mut Pace, seconds: u64) -> usize {
        let now = Time::from_secs(1_000 + seconds);
        let room = pace.room(now);
        (0..room).for_each(|_| pace.took(now));
        room
    }

    #[test]
    fn a_minute_has_its_mails_and_nobody_uses_them_up_at_once() {
        let mut pace = Pace::new(60);
        let taken: Vec<_> = (0..600).map(|second| take(&mut pace, second)).collect();
        assert_eq!((taken[0], taken[1], taken[44]), (15, 1, 1));
        for window in taken.windows(60) {
            assert!(window.iter().sum::<usize>() <= 60, "{window:?}");
        }
        assert!(taken.iter().sum::<usize>() >= 590, "all of them are used: {taken:?}");
        let longest = taken.split(|taken| *taken > 0).map(<[usize]>::len).max();
        assert!(longest <= Some(15), "{longest:?}");
        assert!(!Pace::new(60).was_used_up(Time::from_secs(9)));
    }

    #[test]
    fn what_is_not_used_is_not_saved_up() {
        let mut pace = Pace::new(1_000);
        assert_eq!(take(&mut pace, 0), 250);
        assert_eq!(take(&mut pace, 1), 16);
        assert_eq!(take(&mut pace, 500), 250);
        let mut slow = Pace::new(1);
        assert_eq!((0..120).map(|second| take(&mut slow, second)).sum::<usize>(), 2);
    }
}
