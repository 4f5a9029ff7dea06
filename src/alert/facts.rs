//! What a notice tells, gathered once: mail, webhook and command line say the same. Nothing here is text that was escaped
//! for anything: whoever renders it escapes it. Names come from users.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{
    alert::{AlertKind, NoticeKind, Severity},
    history::Week,
    model::{Minute, Project, Target, Time},
};

/// One notice of an alert, for one recipient.
#[derive(Clone, Debug)]
pub struct Facts {
    pub notice: NoticeKind,
    pub kind: AlertKind,
    pub severity: Severity,
    /// The project, `-` for what is of the service or of a model across all projects.
    pub project: Project,
    /// The meter or pool; `None` for what is of the service.
    pub target: Option<Target>,
    /// What it is about, as people say it: `ElevenLabs Turbo v2.5`, `TTS`, `store`.
    pub name: String,
    /// In words, where the kind alone does not say it: `store: no space left`.
    pub detail: String,
    /// Its project was deleted, and with that it ended.
    pub deleted: bool,
    /// Percent of the limit that was crossed, of kinds of levels: 80, 90, 100; 0 where slots were crossed, or nothing was.
    pub stage_percent: u32,
    /// Slots held at `at`.
    pub level: u32,
    /// False when the level was not known then: `level` is the last that was.
    pub level_known: bool,
    /// Slots allowed then; `None` without a limit.
    pub limit: Option<u32>,
    /// How it stood when it was decided, where that is a while ago: `level`, `limit` and `at` are of now then.
    pub then: Option<Then>,
    pub trend: Trend,
    /// Highest level since the episode began.
    pub peak: u32,
    /// When it began: the first second of it.
    pub since: Time,
    /// What the facts are of: when this was decided, or now where that is a while ago.
    pub at: Time,
    /// When it ended, if it did.
    pub resolved: Option<Time>,
    /// The word of the last seven days, the same as the page's; `None` when no limit was in force in them.
    pub week: Option<Week>,
    /// The sentence on it that the page shows: `Reached its limit on 4 of 7 days, around 15:00`. Without its full stop.
    pub week_in_words: Option<String>,
    /// When the limit is reached at the pace of the last minutes; `None` where that is not rising, or too far off.
    pub time_to_limit: Option<Duration>,
    /// Attempts refused and diverted since the episode began.
    pub turned_away: u64,
    /// Who holds the most slots, the most first, five at most of each sort.
    pub holders: Vec<Holder>,
    /// The limit that would have covered the last seven days with room to spare; `None` when the present one does.
    pub wanted_slots: Option<u32>,
    /// The picture of the last seven days.
    pub curve: Curve,
    /// What links begin with: `https://highwater.example.com`, without a slash at the end. `None` when nobody said.
    pub link_base: Option<String>,
    /// Path and query behind `link_base` of the row on the page, and of what can be done; they begin with a slash.
    pub row_link: String,
    pub snooze_link: String,
    pub request_link: String,
    /// The whole address that ends mails to this recipient; `None` when there is no `link_base`.
    pub unsubscribe_link: Option<String>,
    /// Other notices of the project that came within the same minutes.
    pub also: Vec<Folded>,
    /// Mails that were held back from this recipient since the last one: too many an hour, quiet hours, or a snooze.
    pub held_back: u64,
    pub thread: Thread,
    /// The time zone that times are told in.
    pub zone: TimeZone,
    /// Everything is simulated, and says so.
    pub simulated: bool,
    /// How long ago it was decided. From 30 minutes on the first line says so.
    pub delayed: Duration,
    /// It had to wait for the end of quiet hours, of the hour, or of a snooze.
    pub held: bool,
}

/// How something stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Then {
    pub level: u32,
    pub limit: Option<u32>,
    pub at: Time,
}

/// How a level goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trend {
    Rising,
    #[default]
    Steady,
    Falling,
}

/// What the slots of a holder are held by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderOf {
    Worker,
    Room,
}

/// Who holds slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub of: HolderOf,
    /// As the worker said; empty for slots whose room nobody named.
    pub name: String,
    pub slots: u32,
}

/// Seven days of peaks under their limits, in steps of equal length that end with the step that holds `at`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// First minute.
    pub first: Minute,
    /// Minutes a step, 1 or more.
    pub step_minutes: u32,
    /// Highest level of each step; `None` where nothing is known, which is not 0.
    pub peaks: Vec<Option<u32>>,
    /// The lowest limit in force in each step; `None` where there was none. As many as `peaks`.
    pub limits: Vec<Option<u32>>,
}

/// Another notice that is told with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    pub notice: NoticeKind,
    pub kind: AlertKind,
    pub severity: Severity,
    pub name: String,
    /// The meter or pool; `None` for what is of the service.
    pub target: Option<Target>,
    pub level: u32,
    pub limit: Option<u32>,
    /// When it began.
    pub since: Time,
    /// When it ended, if it did.
    pub resolved: Option<Time>,
    /// When this was decided: `level` and `limit` are of then.
    pub at: Time,
    /// How it stands now, where that is a while ago.
    pub now: Option<Stands>,
    /// Path and query of its row, as `row_link`.
    pub row_link: String,
    /// What all mails of its alert refer to, as [`Thread::root`].
    pub root: String,
}

/// How something stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands {
    /// `None` where that is not known.
    pub level: Option<u32>,
    pub limit: Option<u32>,
}

/// What makes a mail client show one thread for each alert. Identifiers are without angle brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// `<outbox id>@<host>`: the same however often it is sent.
    pub message_id: String,
    /// The identifier that all mails of the alert refer to; that of no mail, so that any of them may be the first.
    pub root: String,
}

impl Facts {
    /// The level as a share of the limit in whole percent, rounded down; `None` without a limit, or with a limit of 0.
    pub fn percent(&self) -> Option<u64> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        Some(u64::from(self.level) * 100 / u64::from(limit))
    }

    /// What is measured, as the machine spells it: `elevenlabs/eleven_turbo_v2_5`, `tts`; the name where there is none.
    pub fn spelled(&self) -> String {
        match &self.target {
            Some(target) if target.model().is_empty() => target.kind().to_string(),
            Some(target) => target.model().to_owned(),
            None => self.name.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use super::*;

    /// Facts of which nothing is known but what they are of.
    pub fn facts(kind: AlertKind) -> Facts {
        Facts {
            notice: NoticeKind::Fired,
            kind,
            severity: Severity::Warning,
            project: Project::new("demo").unwrap(),
            target: None,
            name: "store".to_owned(),
            detail: String::new(),
            deleted: false,
            stage_percent: 0,
            level: 0,
            level_known: true,
            limit: None,
            then: None,
            trend: Trend::Steady,
            peak: 0,
            since: Time::from_secs(1_700_000_000),
            at: Time::from_secs(1_700_000_120),
            resolved: None,
            week: None,
            week_in_words: None,
            time_to_limit: None,
            turned_away: 0,
            holders: Vec::new(),
            wanted_slots: None,
            curve: Curve::default(),
            link_base: None,
            row_link: "/".to_owned(),
            snooze_link: "/".to_owned(),
            request_link: "/".to_owned(),
            unsubscribe_link: None,
            also: Vec::new(),
            held_back: 0,
            thread: Thread::default(),
            zone: TimeZone::UTC,
            simulated: false,
            delayed: Duration::ZERO,
            held: false,
        }
    }

    #[test]
    fn a_share_is_of_a_limit_above_0() {
        let mut facts = facts(AlertKind::Over);
        facts.level = 19;
        let mut percent = |limit| {
            facts.limit = limit;
            facts.percent()
        };
        assert_eq!([percent(Some(20)), percent(Some(0)), percent(None)], [Some(95), None, None]);
    }
}
