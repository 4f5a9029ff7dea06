//! How a project stands, in one sentence for all who show it: the worst of its meters and pools when one is at risk, else
//! the tightest. A pure function of the list; what is not known is never taken for zero.

use std::{borrow::Cow, cmp::Reverse};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    history::{
        marks::{ClockHours, Clocked, Marks},
        week::{Risk, Week},
    },
    model::{Bound, Minute, Target, Tick, Unit, key::DEFAULT_ACCOUNT, limit::MAX_SLOTS, text::number},
};

/// Days that the week has, on which a limit may have been reached.
const WEEK_DAYS: u32 = 7;

/// A meter or pool as the verdict looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub target: &'a Target,
    /// As people say it.
    pub name: &'a str,
    pub level: u32,
    /// Highest level of the last five minutes that was surely reached.
    pub recent_peak: u32,
    /// The level is known, in full or in part.
    pub covered: bool,
    /// Slots allowed now.
    pub limit: Option<u32>,
    /// `None` without a limit.
    pub risk: Option<Risk>,
    /// `None` when no limit was in force in the week.
    pub week: Option<Week>,
    pub minutes_near: u32,
    pub minutes_covered: u32,
    /// Highest level of the week.
    pub peak: Option<(u32, Tick)>,
    /// How that is to be read.
    pub peak_bound: Bound,
    /// By how much it is above what was surely reached.
    pub peak_raised: u32,
    /// Which minutes of the week came near the limit then in force, and which reached it.
    pub marks: &'a Marks,
    /// The first minute of which anything is known, where that is within the week.
    pub known_since: Option<Minute>,
}

/// How a project stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub sentence: String,
    /// Which of the list it is about; `None` when there is nothing to tell of.
    pub about: Option<usize>,
    /// Days of the last seven, in the time zone asked for, on which the limit then in force was reached.
    pub days_at_limit: u32,
    /// What to ask for; 0 when there is no need.
    pub wanted_slots: u32,
}

/// How bad it is; 0 is no risk.
type Rank = u8;

/// Says how a project stands, at a second, to people in a time zone. `settling`: levels are lower bounds after a restart.
pub fn verdict(list: &[Standing<'_>], as_of: Tick, settling: bool, zone: &TimeZone) -> Verdict {
    let used: Vec<_> = list.iter().enumerate().filter(|(_, standing)| standing.is_used()).collect();
    let at_risk = || used.iter().filter(|(_, standing)| standing.rank(settling) > 0);
    // Of equals the first of the list.
    let worst = at_risk().max_by_key(|(nth, standing)| (standing.nearness(settling), Reverse(*nth)));
    let Some((nth, worst)) = worst else { return calm(list, &used, as_of, settling, zone) };
    let mut sentence = format!("{}.", worst.now(list, settling));
    let reached = worst.marks.reached(zone);
    if let Some(week) = worst.week_in_words(&reached, as_of, zone) {
        sentence.push_str(&format!(" {week}."));
    }
    // In few words: a page shows all of it in one line.
    let more = at_risk().count() - 1;
    if more > 0 {
        sentence.push_str(&format!(" {more} more at risk."));
    }
    let (about, days_at_limit) = (Some(*nth), reached.days().min(WEEK_DAYS));
    Verdict { sentence, about, days_at_limit, wanted_slots: worst.wanted_slots() }
}

/// The verdict where nothing is at risk.
fn calm(
    list: &[Standing<'_>],
    used: &[(usize, &Standing<'_>)],
    as_of: Tick,
    settling: bool,
    zone: &TimeZone,
) -> Verdict {
    let said = |sentence: String, about: Option<usize>| Verdict { sentence, about, days_at_limit: 0, wanted_slots: 0 };
    if used.is_empty() {
        let words = match list {
            [] => "Nothing has been reported yet: what the first worker reports shows here.",
            _ => "Nothing was reported in the last seven days: what the next worker reports shows here.",
        };
        return said(words.to_owned(), None);
    }
    let limited: Vec<_> = used.iter().filter(|(_, standing)| standing.limit.is_some()).copied().collect();
    if limited.is_empty() {
        let of_models = used.iter().filter(|(_, standing)| !standing.target.is_pool());
        let highest = of_models.max_by_key(|(nth, standing)| (standing.peak.map(|(peak, _)| peak), Reverse(*nth)));
        let unused = if list.iter().any(|standing| standing.limit.is_some()) { " in use" } else { "" };
        let mut sentence = format!("No model{unused} has a limit yet.");
        if let Some((_, standing)) = highest
            && let Some((peak, at)) = standing.peak
        {
            let (name, at, sign) = (standing.name(list), weekday(at, as_of, zone), standing.peak_bound.sign());
            sentence.push_str(&format!(" Highest of the last seven days: {name}, {sign}{}, {at}.", number(peak)));
        }
        return said(sentence, highest.map(|(nth, _)| *nth));
    }
    let is_known = |(_, standing): &&(usize, &Standing<'_>)| standing.covered || settling;
    let by_share = |(nth, standing): &&(usize, &Standing<'_>)| {
        (standing.limit > Some(0), standing.share(standing.level), standing.peak_share(), Reverse(*nth))
    };
    let Some((nth, tightest)) = limited.iter().filter(is_known).max_by_key(by_share) else {
        let (nth, first) = limited[0];
        let words = match used.iter().any(|(_, standing)| standing.covered) {
            true => format!("Not known now: {}. No worker reports it.", and_more(&first.name(list), limited.len())),
            false => "No worker is heard: nothing is known of the levels now.".to_owned(),
        };
        return said(words, Some(nth));
    };
    let closed = limited.iter().any(|(_, standing)| standing.limit == Some(0));
    let mut sentence = match settling {
        _ if tightest.limit == Some(0) => "Every limit is 0, and nothing is held.".to_owned(),
        true => format!(
            "Settling after a restart: levels are lower bounds. Tightest so far: {}, {}.",
            tightest.name(list),
            tightest.level_of_limit(true)
        ),
        false => {
            let which = match (closed, used.iter().all(|(_, standing)| standing.is_bounded(&limited))) {
                (true, _) => " with a limit above 0",
                (false, true) => "",
                (false, false) => " with a limit",
            };
            let (name, level) = (tightest.name(list), tightest.level_of_limit(false));
            format!("Every model{which} has room. Tightest: {name}, {level}.")
        }
    };
    let mut unknown = limited.iter().filter(|(_, standing)| standing.risk == Some(Risk::Unknown) && !settling);
    if let Some((_, first)) = unknown.next() {
        sentence.push_str(&format!(" Not fully known: {}.", and_more(&first.name(list), 1 + unknown.count())));
    }
    said(sentence, Some(*nth))
}

fn and_more(name: &str, count: usize) -> String {
    if count > 1 { format!("{name} and {} more", count - 1) } else { name.to_owned() }
}

impl Standing<'_> {
    /// Whether anything was ever known of it in the week.
    fn is_used(&self) -> bool {
        self.covered || self.minutes_covered > 0 || self.level > 0
    }

    /// The name, with what tells it from others of the list.
    fn name(&self, list: &[Self]) -> Cow<'_, str> {
        let pool = matches!(self.target, Target::KindPool { kind, .. } if kind.has_model());
        let name = if pool { Cow::from(format!("{} pool", self.name)) } else { self.name.into() };
        let account = &**self.target.account();
        let mut told = Vec::new();
        if self.has_twin(list, |other| other.target.kind() != self.target.kind()) {
            told.push(self.target.kind().display_name().to_owned());
        }
        if account != DEFAULT_ACCOUNT {
            told.push(account.to_owned());
        }
        let is_beside =
            |other: &Self| (other.target.kind(), other.target.account()) == (self.target.kind(), self.target.account());
        if let Some(unit) = self.unit()
            && self.has_twin(list, |other| is_beside(other) && other.unit() != Some(unit))
        {
            told.push(format!("{unit}s"));
        }
        if told.is_empty() { name } else { format!("{name} ({})", told.join(", ")).into() }
    }

    /// Whether another model of the list is called the same, and differs so.
    fn has_twin(&self, list: &[Self], differs: impl Fn(&Self) -> bool) -> bool {
        let is_model = |one: &Self| matches!(one.target, Target::Meter(meter) if meter.kind.has_model());
        is_model(self) && list.iter().any(|other| is_model(other) && other.name == self.name && differs(other))
    }

    /// What its provider counts; `None` of a pool.
    fn unit(&self) -> Option<Unit> {
        match self.target {
            Target::Meter(meter) => Some(meter.unit),
            Target::KindPool { .. } | Target::ModelPool(_) => None,
        }
    }

    /// How it stands now. Of an unknown level that is a lower bound, what it is at the least.
    fn rank_now(&self, settling: bool) -> Rank {
        let limit = match self.limit {
            Some(limit) => limit,
            None => return 0,
        };
        match self.risk {
            Some(Risk::Over) => 6,
            Some(Risk::AtLimit) => 5,
            Some(Risk::Approaching) => 3,
            Some(Risk::Unknown) if (self.covered || settling) && self.level > 0 && self.level >= limit => {
                if self.level > limit { 6 } else { 5 }
            }
            Some(Risk::Unknown | Risk::Ok) | None => 0,
        }
    }

    fn rank_of_week(&self) -> Rank {
        match self.week.filter(|_| self.limit.is_some()) {
            Some(Week::Constant | Week::Repeating) => 4,
            Some(Week::Scattered) => 3,
            Some(Week::OneOff) => 1,
            Some(Week::Calm) | None => 0,
        }
    }

    /// The worse of now and the week.
    fn rank(&self, settling: bool) -> Rank {
        self.rank_now(settling).max(self.rank_of_week())
    }

    /// What the worst is the highest of: its rank, then how near it came to the limit where that rank comes from.
    fn nearness(&self, settling: bool) -> (Rank, u64, u64, u32) {
        let rank = self.rank(settling);
        let (now, week) = (self.share(self.level.max(self.recent_peak)), self.peak_share());
        let (first, second) = if self.rank_now(settling) == rank { (now, week) } else { (week, now) };
        (rank, first, second, self.minutes_near)
    }

    /// A level as a share of the limit, in permille; of a limit of 0, as one of 1.
    fn share(&self, level: u32) -> u64 {
        self.limit.map_or(0, |limit| u64::from(level) * 1_000 / u64::from(limit.max(1)))
    }

    /// Highest level of the week that was surely reached.
    fn sure_peak(&self) -> u32 {
        self.peak.map_or(0, |(peak, _)| peak.saturating_sub(self.peak_raised))
    }

    fn peak_share(&self) -> u64 {
        self.share(self.sure_peak())
    }

    /// Whether it has a limit, or its pool has one. What has no model is not spoken of.
    fn is_bounded(&self, limited: &[(usize, &Self)]) -> bool {
        let is_its_pool = |other: &Self| match other.target {
            Target::KindPool { kind, account } => *kind == self.target.kind() && account == self.target.account(),
            _ => false,
        };
        let pool_is_limited = || limited.iter().any(|(_, other)| is_its_pool(other));
        !self.target.kind().has_model() || self.target.is_pool() || self.limit.is_some() || pool_is_limited()
    }

    /// `18 of 20`.
    fn level_of_limit(&self, settling: bool) -> String {
        let at_least = if settling { "at least " } else { "" };
        format!("{at_least}{} of {}", number(self.level), number(self.limit.unwrap_or(0)))
    }

    /// Its name and how it stands now.
    fn now(&self, list: &[Self], settling: bool) -> String {
        let (name, limit) = (self.name(list), self.limit.unwrap_or(0));
        let (level, recent) = (self.level, self.recent_peak);
        if !self.covered && !settling {
            return format!("{name}: not known now, its limit is {}", number(limit));
        }
        let held = match (limit, settling) {
            (0, false) => return format!("{name}: {} held, and its limit is 0", number(level)),
            (0, true) => format!("at least {} held, and its limit is 0", number(level)),
            _ => self.level_of_limit(settling),
        };
        let more = match self.risk {
            _ if settling => "; the service settles after a restart".to_owned(),
            Some(Risk::Unknown) => ", and part of the last five minutes is not known".to_owned(),
            _ if level > limit => format!(", {} over its limit", number(level - limit)),
            Some(Risk::Over) => format!(", and {} in the last five minutes, over its limit", number(recent)),
            Some(Risk::AtLimit) if level < limit => ", and at its limit in the last five minutes".to_owned(),
            Some(Risk::Approaching) if level < recent => format!(", and {} in the last five minutes", number(recent)),
            _ => String::new(),
        };
        format!("{name}: {held}{more}")
    }

    /// How near its limit the week came, to people in a time zone; without a full stop.
    pub fn week_sentence(&self, as_of: Tick, zone: &TimeZone) -> Option<String> {
        self.week_in_words(&self.marks.reached(zone), as_of, zone)
    }

    /// How near its limit the week came, and when it reached it. `None` where nothing is known of it.
    fn week_in_words(&self, reached: &Clocked, as_of: Tick, zone: &TimeZone) -> Option<String> {
        let week = self.week?;
        let (what, minutes) = match reached.minutes {
            0 => ("At or above 90 % of its limit", &self.marks.near(zone)),
            _ => ("Reached its limit", reached),
        };
        let on_days = || match (minutes.days().min(WEEK_DAYS), self.days_known(as_of, zone)) {
            (_, 1) => "today".to_owned(),
            (days, known) => format!("on {} of {known} days", days.min(known)),
        };
        Some(match week {
            Week::Calm => {
                let (peak, at) = self.peak?;
                format!(
                    "Highest of the last seven days: {}{}, {}",
                    self.peak_bound.sign(),
                    number(peak),
                    weekday(at, as_of, zone)
                )
            }
            Week::OneOff => format!("{what} once, {}", weekday(minutes.span?.0.first_tick(), as_of, zone)),
            Week::Repeating => format!("{what} {}, around {:02}:00", on_days(), minutes.usual_hour()?),
            Week::Scattered => format!("{what} {}, at different times", on_days()),
            Week::Constant => {
                let percent = u64::from(self.minutes_near) * 100 / u64::from(self.minutes_covered.max(1));
                let close = format!("Constantly close: at or above 90 % of its limit {percent} % of the time");
                if what == "Reached its limit" { format!("{close}, at it {}", on_days()) } else { close }
            }
        })
    }

    /// Days of the calendar of which anything can be known, today included: seven, or fewer where it is new.
    fn days_known(&self, as_of: Tick, zone: &TimeZone) -> u32 {
        let Some(since) = self.known_since else { return WEEK_DAYS };
        let mut clock = ClockHours::new(zone);
        let first = clock.day(since);
        let days = clock.day(as_of.minute().max(since)) - first + 1;
        u32::try_from(days).unwrap_or(WEEK_DAYS).min(WEEK_DAYS)
    }

    /// The week's peak, as far as it is sure, with a quarter more, rounded up, where that is above the limit.
    pub fn wanted_slots(&self) -> u32 {
        let Some(limit) = self.limit else { return 0 };
        let wanted = u32::try_from((u64::from(self.sure_peak()) * 5).div_ceil(4)).unwrap_or(MAX_SLOTS).min(MAX_SLOTS);
        if wanted > limit { wanted } else { 0 }
    }
}

/// `Tue 14:03`; `19 Nov 14:03` of another day that is called as that of `as_of` is.
pub(super) fn weekday(at: Tick, as_of: Tick, zone: &TimeZone) -> String {
    let local = |at: Tick| {
        let seconds = i64::try_from(at.0).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(zone.clone())
    };
    let (at, today) = (local(at), local(as_of));
    let is_doubtful = at.date() != today.date() && at.weekday() == today.weekday();
    at.strftime(if is_doubtful { "%-d %b %H:%M" } else { "%a %H:%M" }).to_string()
}

#[cfg(test)]
mod tests;
