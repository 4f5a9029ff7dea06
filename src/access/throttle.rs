//! How often one may fail: token buckets by address and by key. They bound what failures cost in log, audit and answers.
//! A credential that is right is never refused for the failures of others: its secret can't be guessed, and a lock would be
//! a way to lock its owner out.

use std::{collections::HashMap, net::IpAddr};

use crate::model::{Time, time::MICROS_PER_SECOND};

/// Failures that are taken at once.
pub const BURST: u64 = 20;
/// How long one more takes to be allowed.
const REFILL: Time = Time::from_secs(1);
/// Addresses and keys that are remembered at once; who is forgotten begins with a full bucket.
const MOST_SUBJECTS: usize = 8_192;

/// Who fails.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Address(IpAddr),
    Key(Box<str>),
}

/// The buckets.
#[derive(Debug, Default)]
pub struct Throttle {
    /// When each bucket will be full again, by the monotonic clock.
    full_at: HashMap<Subject, Time>,
}

impl Throttle {
    /// Notes that one failed; false when it has failed too often to be told more.
    pub fn fail(&mut self, subject: Subject, mono: Time) -> bool {
        if self.full_at.len() >= MOST_SUBJECTS && !self.full_at.contains_key(&subject) {
            self.full_at.retain(|_, full_at| *full_at > mono);
            if self.full_at.len() >= MOST_SUBJECTS {
                self.full_at.clear();
            }
        }
        let full_at = self.full_at.entry(subject).or_insert(mono);
        let next = Time((*full_at).max(mono).0 + REFILL.0);
        let allowed = next.since(mono).as_micros() <= u128::from(BURST * MICROS_PER_SECOND);
        if allowed {
            *full_at = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let mut throttle = Throttle::default();
        let here = Subject::Address([127, 0, 0, 1].into());
        let at = |seconds: u64| Time::from_secs(100 + seconds);
        let allowed = (0..50).filter(|_| throttle.fail(here.clone(), at(0))).count();
        assert_eq!(allowed as u64, BURST);
        assert!(throttle.fail(Subject::Key("APIx".into()), at(0)), "another subject has a bucket of its own");
        assert!(throttle.fail(here.clone(), at(1)) && !throttle.fail(here.clone(), at(1)));
        let allowed = (0..50).filter(|_| throttle.fail(here.clone(), at(1_000))).count();
        assert_eq!(allowed as u64, BURST, "a full bucket grows no further");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::default();
        for nth in 0..3 * MOST_SUBJECTS as u32 {
            throttle.fail(Subject::Address(std::net::Ipv4Addr::from(nth).into()), Time(0));
        }
        assert!(throttle.full_at.len() <= MOST_SUBJECTS);
    }
}
