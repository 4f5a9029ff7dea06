//! Pins and drains: an editor's word on a chain, with a reason and an end. A pin names the model of new sessions, a drain
//! the one that gets none. Neither moves a session that runs, and a pin is no reason to use a model that has no room or
//! whose provider is down.

use std::{sync::Arc, time::Duration};

use crate::model::{Chain, ChainError, Meter, Time, limit::MAX_REASON_BYTES};

/// Longest time that one lasts: what is for longer is a change of the chain.
pub const MOST_LASTING: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What is said of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// New sessions use it.
    Pin,
    /// No new session uses it.
    Drain,
}

/// A word on one model of a chain. One model has one at the most; a chain has one pin at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    pub chain: Arc<str>,
    pub model: Meter,
    pub action: Action,
    pub reason: String,
    /// Id of the key that it was said with.
    pub set_by: String,
    pub start: Time,
    /// Exclusive.
    pub end: Time,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Drain => "drain",
        }
    }
}

impl ByHand {
    pub fn is_in_force(&self, now: Time) -> bool {
        self.start <= now && now < self.end
    }

    /// Whether this may be said of a chain beside what is in force.
    ///
    /// # Errors
    /// When the chain has no such model, no reason is given, the end is not in the future or too far in it, another pin is
    /// in force, or no model would be left.
    pub fn check(&self, chain: &Chain, others: &[Self], now: Time) -> Result<(), ChainError> {
        let Some(place) = chain.models.iter().position(|model| *model == self.model) else {
            let models: Vec<_> = chain.models.iter().map(|model| &*model.model).collect();
            let problem = format!("{} is not in chain {}; it has {}", self.model.model, chain.name, models.join(", "));
            return Err(ChainError::new("model", problem));
        };
        if self.reason.trim().is_empty() || self.reason.len() > MAX_REASON_BYTES {
            let problem = format!("has {} bytes; say why in 1 to {MAX_REASON_BYTES}", self.reason.trim().len());
            return Err(ChainError::new("reason", problem));
        }
        if self.end <= now {
            return Err(ChainError::new("end_time", "is not in the future; give the time at which it ends by itself"));
        }
        if self.end.since(now) > MOST_LASTING {
            let days = MOST_LASTING.as_secs() / 86_400;
            let problem = format!("is more than {days} days away; change the chain for what is meant to last");
            return Err(ChainError::new("end_time", problem));
        }
        let others = || others.iter().filter(|other| other.is_in_force(now) && other.chain == chain.name);
        let elsewhere = |other: &&Self| other.model != self.model;
        if self.action == Action::Pin {
            return match others().filter(elsewhere).find(|other| other.action == Action::Pin) {
                Some(pin) => {
                    Err(ChainError::new("model", format!("{} is pinned already; end that first", pin.model.model)))
                }
                None => Ok(()),
            };
        }
        let drained =
            |place: usize| others().any(|other| other.action == Action::Drain && other.model == chain.models[place]);
        if (0..chain.models.len()).all(|other| other == place || drained(other)) {
            let problem = format!("{} is the last model of chain {} that is not drained", self.model.model, chain.name);
            return Err(ChainError::new("model", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{
        Catalogue, Kind, Project,
        chain::{Draft, DraftModel},
    };

    fn chain() -> Chain {
        let models = ["a/one", "a/two"].map(|model| DraftModel { model, ..DraftModel::default() });
        let draft = Draft { name: "agents", models: &models, ..Draft::default() };
        Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &Catalogue::default()).unwrap()
    }

    fn said(action: Action, model: &str) -> ByHand {
        ByHand {
            chain: "agents".into(),
            model: Meter::new(Kind::Tts, model, "", None).unwrap(),
            action,
            reason: "the voice crackles".to_owned(),
            set_by: "kim".to_owned(),
            start: Time::from_secs(100),
            end: Time::from_secs(200),
        }
    }

    #[track_caller]
    fn refused(word: &ByHand, others: &[ByHand], words: &str) {
        assert_eq!(word.check(&chain(), others, Time::from_secs(100)).unwrap_err().to_string(), words);
    }

    #[test]
    fn it_begins_and_ends_by_itself() {
        let pin = said(Action::Pin, "a/one");
        assert_eq!([99, 100, 199, 200].map(|at| pin.is_in_force(Time::from_secs(at))), [false, true, true, false]);
        assert_eq!(pin.check(&chain(), &[], Time::from_secs(100)), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_and_what_would_be_right() {
        let (pin, drain) = (said(Action::Pin, "a/one"), said(Action::Drain, "a/one"));
        refused(&said(Action::Pin, "a/three"), &[], "model: a/three is not in chain agents; it has a/one, a/two");
        let silent = ByHand { reason: " ".to_owned(), ..pin.clone() };
        refused(&silent, &[], "reason: has 0 bytes; say why in 1 to 500");
        let past = ByHand { end: Time::from_secs(100), ..pin.clone() };
        refused(&past, &[], "end_time: is not in the future; give the time at which it ends by itself");
        let long =
            ByHand { end: Time::from_secs(100).after(MOST_LASTING).after(Duration::from_secs(1)), ..pin.clone() };
        refused(&long, &[], "end_time: is more than 30 days away; change the chain for what is meant to last");
        let other = said(Action::Pin, "a/two");
        refused(&pin, std::slice::from_ref(&other), "model: a/two is pinned already; end that first");
        assert_eq!(
            pin.check(&chain(), std::slice::from_ref(&pin), Time::from_secs(150)),
            Ok(()),
            "it may be said anew"
        );
        let other = said(Action::Drain, "a/two");
        refused(
            &drain,
            std::slice::from_ref(&other),
            "model: a/one is the last model of chain agents that is not drained",
        );
        let over = ByHand { end: Time::from_secs(100), ..other };
        assert_eq!(drain.check(&chain(), &[over], Time::from_secs(100)), Ok(()));
    }
}
