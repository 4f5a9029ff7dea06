//! One alert: of a meter or pool, or of the service; how it goes on with each second, and what is told of it. Its state
//! says all that the next second needs, so that a restart neither tells anything twice nor forgets what was told.

use std::sync::Arc;

use crate::{
    alert::{AlertKind, NoticeKind, rule::Rung},
    model::{KeyId, Tick, Time},
};

/// A crossing within so long after an alert ended goes on with it: an hour. An alert that came back ends when it has been
/// calm for as long, so that what flaps is told of at its beginning, once more, and at its end.
pub const CONTINUE_SECONDS: u64 = 60 * 60;
/// Longest name of who snoozed or acknowledged an alert, in bytes.
pub const MAX_BY_BYTES: usize = 128;
/// What happened to an alert is kept for so many events, the newest.
pub const MOST_EVENTS: usize = 50;

/// What an alert is of. What a meter's level comes to is one alert, whatever the rules: its stages supersede each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Level(KeyId),
    Silence(KeyId),
    /// The way that sessions of a model go: refused, diverted, or to a provider that does not take them.
    Way(AlertKind, KeyId),
    Service(AlertKind),
}

impl Subject {
    /// The meter or pool that it is of.
    pub const fn key(self) -> Option<KeyId> {
        match self {
            Self::Level(id) | Self::Silence(id) | Self::Way(_, id) => Some(id),
            Self::Service(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Inactive,
    /// Above a threshold, and not for long enough yet.
    Pending,
    Firing,
    /// It has ended; a crossing goes on with it for a while.
    Resolved,
}

/// How a rule stands within an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Known seconds that it was at its threshold or above, up to when it fired.
    pub above_seconds: u32,
    /// Known seconds that it was low, while it fires.
    pub below_seconds: u32,
    pub fires: bool,
}

/// Somebody has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub by: String,
    pub at: Time,
}

/// Nothing is told of it until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snooze {
    pub by: String,
    pub until: Time,
}

/// What happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Tick,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A rule began to fire.
    Fired {
        rule: Arc<str>,
        level: u32,
        limit: Option<u32>,
    },
    /// A rule fires no longer, and another still does.
    Eased {
        rule: Arc<str>,
        level: u32,
    },
    Resolved {
        level: u32,
    },
    Told {
        notice: NoticeKind,
    },
    Acknowledged {
        by: String,
    },
    /// Nobody has seen it after all, says somebody.
    TakenBack {
        by: String,
    },
    /// Until then; what is in the past ended it.
    Snoozed {
        by: String,
        until: Time,
    },
}

/// An alert and how it stands. Seconds are labels of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub subject: Subject,
    pub phase: Phase,
    pub stages: Vec<Stage>,
    /// The first second of the episode; with the subject it names it.
    pub began: Tick,
    pub fired: Option<Tick>,
    pub resolved: Option<Tick>,
    /// Highest level since it began.
    pub peak: u32,
    /// The last level that was known.
    pub level: u32,
    pub known: bool,
    pub limit: Option<u32>,
    /// It had ended in this episode, and came back.
    pub came_back: bool,
    /// The rule that was told of last, while that has not been told to have ended.
    pub told: Option<Arc<str>>,
    pub told_at: Option<Tick>,
    /// Notices of the episode so far: the number of the next one.
    pub notices: u32,
    pub snooze: Option<Snooze>,
    pub acknowledged: Option<Acknowledgement>,
    pub events: Vec<Event>,
}

/// One or more seconds of a subject, in each of which it stood the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The highest level; that of a trouble is 1, and 0 without.
    pub level: u32,
    /// False where nothing is known: no timer goes on, nothing begins or ends.
    pub known: bool,
    pub limit: Option<u32>,
}

/// What a second came to for an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Something happened that is to be kept.
    pub changed: bool,
    pub notice: Option<(NoticeKind, Arc<str>)>,
    /// The episode that is over, as it was.
    pub ended: Option<Box<Alert>>,
}

impl Alert {
    /// An alert of which nothing has happened yet.
    pub fn new(subject: Subject, at: Tick) -> Self {
        Self {
            subject,
            phase: Phase::Inactive,
            stages: Vec::new(),
            began: at,
            fired: None,
            resolved: None,
            peak: 0,
            level: 0,
            known: false,
            limit: None,
            came_back: false,
            told: None,
            told_at: None,
            notices: 0,
            snooze: None,
            acknowledged: None,
            events: Vec::new(),
        }
    }

    /// Goes on by one second under a ladder of rules, the worst last.
    pub fn step(&mut self, ladder: &[Rung], sample: Sample, at: Tick) -> Turn {
        let mut turn = Turn::default();
        self.limit = sample.limit;
        if self.stages.len() != ladder.len() || self.stages.iter().zip(ladder).any(|(s, r)| s.rule != r.rule.name) {
            turn.changed = self.fit(ladder);
        }
        if self.phase == Phase::Resolved && self.resolved.is_some_and(|since| at.0 >= since.0 + CONTINUE_SECONDS) {
            turn.ended = Some(Box::new(self.clone()));
            turn.changed = true;
            self.phase = Phase::Inactive;
            if self.rises() {
                self.begin_episode(at);
                self.phase = Phase::Pending;
            }
        }
        self.known = sample.known;
        if sample.known {
            self.level = sample.level;
            let before = self.phase;
            for (nth, rung) in ladder.iter().enumerate() {
                turn.changed |= self.step_stage(nth, rung, sample.level, at);
            }
            self.settle_phase(at);
            turn.changed |= self.phase != before;
        }
        if matches!(self.phase, Phase::Pending | Phase::Firing) {
            self.peak = self.peak.max(self.level);
        }
        turn.notice = self.tell(ladder, at);
        turn.changed |= turn.notice.is_some();
        turn
    }

    /// The rules changed, or the limit did: stages of rules that are still there keep how they stand.
    fn fit(&mut self, ladder: &[Rung]) -> bool {
        let mut before = std::mem::take(&mut self.stages);
        for rung in ladder {
            let place = before.iter().position(|stage| stage.rule == rung.rule.name);
            let fresh = || Stage { rule: rung.rule.name.clone(), above_seconds: 0, below_seconds: 0, fires: false };
            self.stages.push(place.map_or_else(fresh, |place| before.swap_remove(place)));
        }
        self.phase != Phase::Inactive
    }

    /// Returns whether it began to fire, or ceased to.
    fn step_stage(&mut self, nth: usize, rung: &Rung, level: u32, at: Tick) -> bool {
        let keep = match self.came_back {
            true => u32::try_from(CONTINUE_SECONDS).unwrap_or(u32::MAX).max(rung.rule.keep_seconds),
            false => rung.rule.keep_seconds,
        };
        let is_first = self.stages.iter().all(|stage| !stage.fires && stage.above_seconds == 0);
        let stage = &mut self.stages[nth];
        if stage.fires {
            stage.below_seconds = if level < rung.clear_below { stage.below_seconds + 1 } else { 0 };
            if stage.below_seconds < keep.max(1) {
                return false;
            }
            (stage.fires, stage.above_seconds, stage.below_seconds) = (false, 0, 0);
            let rule = stage.rule.clone();
            self.log(at, What::Eased { rule, level });
            return true;
        }
        if level < rung.up {
            stage.above_seconds = 0;
            return false;
        }
        stage.above_seconds += 1;
        let fires = stage.above_seconds >= rung.rule.hold_seconds.max(1);
        if is_first && self.phase == Phase::Inactive {
            self.begin_episode(at);
        }
        if fires {
            let stage = &mut self.stages[nth];
            (stage.fires, stage.below_seconds) = (true, 0);
            let rule = stage.rule.clone();
            let limit = self.limit;
            self.log(at, What::Fired { rule, level, limit });
        }
        fires
    }

    fn rises(&self) -> bool {
        self.stages.iter().any(|stage| stage.above_seconds > 0)
    }

    /// Nothing of what was is of the episode that begins, but how the stages stand.
    fn begin_episode(&mut self, at: Tick) {
        let (stages, snooze) = (std::mem::take(&mut self.stages), self.snooze.take());
        let (level, known, limit) = (self.level, self.known, self.limit);
        *self = Self { stages, snooze, level, known, limit, peak: level, ..Self::new(self.subject, at) };
    }

    fn settle_phase(&mut self, at: Tick) {
        let fires = self.stages.iter().any(|stage| stage.fires);
        let rises = self.rises();
        self.phase = match (self.phase, fires, rises) {
            (Phase::Firing, true, _) => Phase::Firing,
            (Phase::Resolved, true, _) => {
                (self.came_back, self.resolved) = (true, None);
                Phase::Firing
            }
            (_, true, _) => {
                self.fired = Some(at);
                Phase::Firing
            }
            (Phase::Firing, false, _) => {
                self.resolved = Some(at);
                self.log(at, What::Resolved { level: self.level });
                Phase::Resolved
            }
            (Phase::Resolved, false, _) => Phase::Resolved,
            (_, false, true) => Phase::Pending,
            (_, false, false) => Phase::Inactive,
        };
    }

    /// What is to be told now, of which rule. The highest stage that fires is told when it is above the one that was told;
    /// what was snoozed is told when that is over, if it still fires.
    fn tell(&mut self, ladder: &[Rung], at: Tick) -> Option<(NoticeKind, Arc<str>)> {
        let top = self.stages.iter().rposition(|stage| stage.fires);
        let told = self.told.as_ref().map(|told| self.stages.iter().position(|stage| stage.rule == *told));
        let snoozed = self.snooze.as_ref().is_some_and(|snooze| at.start() < snooze.until);
        let (kind, rule) = match (self.phase, top, told) {
            (Phase::Firing, Some(top), told) if !snoozed => {
                let rule = &ladder[top].rule;
                let is_news = match told {
                    None => true,
                    // The rule that was told of is gone: what it told still holds.
                    Some(None) => false,
                    Some(Some(told)) => top > told,
                };
                let since = self.told_at.map_or(0, |told| at.0.saturating_sub(told.0));
                let is_due = rule.repeat_seconds > 0 && since >= u64::from(rule.repeat_seconds);
                if is_news {
                    let kind = if self.came_back && told.is_none() { NoticeKind::Repeated } else { NoticeKind::Fired };
                    (kind, rule.name.clone())
                } else if is_due && self.acknowledged.is_none() {
                    (NoticeKind::Repeated, rule.name.clone())
                } else {
                    return None;
                }
            }
            (Phase::Resolved | Phase::Inactive, _, Some(_)) => (NoticeKind::Resolved, self.told.take()?),
            _ => return None,
        };
        if kind != NoticeKind::Resolved {
            self.told = Some(rule.clone());
        }
        self.told_at = Some(at);
        self.notices += 1;
        self.log(at, What::Told { notice: kind });
        Some((kind, rule))
    }

    /// Somebody has seen it: until it ends it is not told again, unless it gets worse.
    pub fn acknowledge(&mut self, by: &str, at: Time) {
        self.acknowledged = Some(Acknowledgement { by: by.to_owned(), at });
        self.log(at.tick(), What::Acknowledged { by: by.to_owned() });
    }

    /// Nobody has seen it, after all: it is told again as its rule says.
    pub fn take_back(&mut self, by: &str, at: Time) {
        self.acknowledged = None;
        self.log(at.tick(), What::TakenBack { by: by.to_owned() });
    }

    /// Nothing is told of it until then; what is in the past ends that.
    pub fn snooze(&mut self, by: &str, until: Time, at: Time) {
        self.snooze = Some(Snooze { by: by.to_owned(), until }).filter(|snooze| snooze.until > at);
        self.log(at.tick(), What::Snoozed { by: by.to_owned(), until });
    }

    fn log(&mut self, at: Tick, what: What) {
        self.events.push(Event { at, what });
        self.events.drain(..self.events.len().saturating_sub(MOST_EVENTS));
    }

    /// The time for which stages that have not fired were high: kept now and then, so that a restart forgets little of it.
    pub fn progress(&self) -> u32 {
        let of_stage = |stage: &Stage| if stage.fires { stage.below_seconds } else { stage.above_seconds };
        self.stages.iter().map(of_stage).max().unwrap_or(0)
    }

    /// Whether the next second may change it although nothing is told of it.
    pub fn is_active(&self) -> bool {
        self.phase != Phase::Inactive
    }
}
