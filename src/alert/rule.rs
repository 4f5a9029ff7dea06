//! The rules: what is watched, from which level on, for how long, and how bad that is. There are rules from the start; a
//! project changes them by rules of the same name.

use std::{collections::HashMap, sync::Arc};

use crate::{
    alert::{AlertKind, Severity},
    model::{Key, Kind, Project, Target},
};

/// Longest name of a rule, in bytes.
pub const MAX_RULE_NAME_BYTES: usize = 64;
/// Most rules that a project has beside those of the start.
pub const MOST_RULES: usize = 100;
/// Highest share of a limit that a rule can name, in percent.
pub const MOST_PERCENT: u32 = 1_000;
/// Longest time of a rule: a day.
pub const LONGEST_SECONDS: u32 = 24 * 3_600;
/// Shortest interval at which an alert is told of again: ten minutes.
pub const SHORTEST_REPEAT_SECONDS: u32 = 600;
/// Longest interval at which an alert is told of again: thirty days.
pub const LONGEST_REPEAT_SECONDS: u32 = 30 * 24 * 3_600;

/// How long a level has to be low before an alert has ended: five minutes.
pub const KEEP_SECONDS: u32 = 5 * 60;
/// How far below the threshold it has to be, in points of percent.
const CLEAR_POINTS: u32 = 10;

/// A level that is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// Of the limit in force; nothing without one.
    Percent(u32),
    Slots(u32),
}

/// Which meters and pools a rule is of: all that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub kind: Option<Kind>,
    /// The model; empty for any.
    pub model: Arc<str>,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRule {
    /// Unique in its project.
    pub name: Arc<str>,
    /// The project that it is of; `-` for models across all projects, and for the service itself.
    pub project: Project,
    pub kind: AlertKind,
    pub enabled: bool,
    pub scope: Scope,
    /// From this level on; only for kinds of levels. Of `over`, the limit itself is not over it.
    pub threshold: Threshold,
    /// For so long, in seconds; 0 for at once.
    pub hold_seconds: u32,
    /// It ends below this level.
    pub clear: Threshold,
    /// When it has been so for so long, in seconds.
    pub keep_seconds: u32,
    pub severity: Severity,
    /// It is told again after so long while nobody acknowledged it, in seconds; 0 for never.
    pub repeat_seconds: u32,
}

/// A rule and the levels that it comes to under one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    pub rule: Arc<AlertRule>,
    /// It begins at this level, at least 1.
    pub up: u32,
    /// It ends below this one, at least 1 and at most `up`.
    pub clear_below: u32,
}

/// Why a rule is not taken: the field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongRule {
    pub field: &'static str,
    pub problem: String,
}

/// The rules of all projects.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    by_project: HashMap<Project, Vec<Arc<AlertRule>>>,
}

impl Threshold {
    /// The level under a limit, rounded up; `None` when it is a share of no limit.
    fn slots(self, limit: Option<u32>) -> Option<u32> {
        match self {
            Self::Slots(slots) => Some(slots),
            Self::Percent(percent) => {
                let slots = (u64::from(limit?) * u64::from(percent)).div_ceil(100);
                Some(u32::try_from(slots).unwrap_or(u32::MAX))
            }
        }
    }
}

impl Scope {
    pub fn holds(&self, target: &Target) -> bool {
        self.kind.is_none_or(|kind| target.kind() == kind) && (self.model.is_empty() || *target.model() == *self.model)
    }
}

impl AlertRule {
    /// The rules that every project has from the start.
    pub fn defaults(project: &Project) -> Vec<Self> {
        let rule = |name: &str, kind, percent, hold_seconds, severity| Self {
            name: name.into(),
            project: project.clone(),
            kind,
            enabled: true,
            scope: Scope::default(),
            threshold: Threshold::Percent(percent),
            hold_seconds,
            clear: Threshold::Percent(percent.saturating_sub(CLEAR_POINTS)),
            keep_seconds: KEEP_SECONDS,
            severity,
            repeat_seconds: 0,
        };
        let mut rules = vec![
            rule("approaching", AlertKind::Approaching, 80, 120, Severity::Warning),
            rule("near", AlertKind::Approaching, 90, 120, Severity::Warning),
            rule("at-limit", AlertKind::AtLimit, 100, 0, Severity::Critical),
            AlertRule { clear: Threshold::Percent(100), ..rule("over", AlertKind::Over, 100, 0, Severity::Critical) },
            rule("workers-silent", AlertKind::WorkersSilent, 0, 120, Severity::Critical),
            rule("refused", AlertKind::Refused, 0, 0, Severity::Warning),
            rule("fallback-in-use", AlertKind::FallbackInUse, 0, 0, Severity::Warning),
            rule("provider-down", AlertKind::ProviderDown, 0, 0, Severity::Critical),
            rule("provider-disagrees", AlertKind::ProviderDisagrees, 0, 0, Severity::Warning),
        ];
        if project.is_across() {
            rules.push(rule("store-degraded", AlertKind::StoreDegraded, 0, 30, Severity::Critical));
            rules.push(rule("audit-drift", AlertKind::AuditDrift, 0, 0, Severity::Warning));
            rules.push(rule("webhooks-disagree", AlertKind::WebhooksDisagree, 0, 60, Severity::Warning));
        }
        rules
    }

    /// # Errors
    /// When a field is out of its range, or it would end as soon as it begins.
    pub fn check(&self) -> Result<(), WrongRule> {
        let wrong = |field, problem: String| Err(WrongRule { field, problem });
        let name_ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if self.name.is_empty() || self.name.len() > MAX_RULE_NAME_BYTES || !self.name.bytes().all(name_ok) {
            return wrong("name", format!("is not 1 to {MAX_RULE_NAME_BYTES} bytes of [a-z0-9._-]"));
        }
        for (field, threshold) in [("threshold", self.threshold), ("clear", self.clear)] {
            if let Threshold::Percent(percent) = threshold
                && percent > MOST_PERCENT
            {
                return wrong(field, format!("is {percent} %; {MOST_PERCENT} % is the most"));
            }
        }
        for (field, seconds) in [("hold", self.hold_seconds), ("keep", self.keep_seconds)] {
            if seconds > LONGEST_SECONDS {
                return wrong(field, format!("is {seconds} s; {LONGEST_SECONDS} s is the most"));
            }
        }
        if self.repeat_seconds != 0
            && !(SHORTEST_REPEAT_SECONDS..=LONGEST_REPEAT_SECONDS).contains(&self.repeat_seconds)
        {
            let range = format!("{SHORTEST_REPEAT_SECONDS} to {LONGEST_REPEAT_SECONDS} s");
            return wrong("repeat", format!("is {} s; 0 (never) or {range} is allowed", self.repeat_seconds));
        }
        if self.kind.is_of_service() && !self.project.is_across() {
            return wrong("kind", format!("{} is of the service: its rule is of the project `-`", self.kind));
        }
        match (self.threshold, self.clear) {
            (Threshold::Percent(up), Threshold::Percent(clear)) | (Threshold::Slots(up), Threshold::Slots(clear))
                if clear > up =>
            {
                wrong("clear", format!("is {clear}, above the threshold of {up}"))
            }
            (Threshold::Percent(up), Threshold::Slots(clear)) => wrong(
                "clear",
                format!("is {clear} slots, and the threshold {up} %: both are of one unit, such as {clear}%"),
            ),
            (Threshold::Slots(up), Threshold::Percent(clear)) => wrong(
                "clear",
                format!("is {clear} %, and the threshold {up} slots: both are of one unit, such as {clear}"),
            ),
            _ => Ok(()),
        }
    }

    /// The levels that it comes to; `None` where it does not apply.
    fn rung(self: &Arc<Self>, limit: Option<u32>) -> Option<Rung> {
        let beyond = u32::from(self.kind == AlertKind::Over);
        let up = self.threshold.slots(limit)?.saturating_add(beyond).max(1);
        let clear_below = self.clear.slots(limit).unwrap_or(up).clamp(1, up);
        Some(Rung { rule: self.clone(), up, clear_below })
    }
}

impl RuleBook {
    /// The rules of the start, changed and added to by those that projects have set.
    pub fn new(set: impl IntoIterator<Item = AlertRule>) -> Self {
        let mut book = Self::default();
        for rule in set {
            book.set(rule);
        }
        book
    }

    /// Sets a rule of a project; returns the one that it takes the place of.
    pub fn set(&mut self, rule: AlertRule) -> Option<Arc<AlertRule>> {
        let project = rule.project.clone();
        let rules = self.by_project.entry(project).or_insert_with_key(starting_rules);
        let rule = Arc::new(rule);
        match rules.iter_mut().find(|there| there.name == rule.name) {
            Some(there) => Some(std::mem::replace(there, rule)),
            None => {
                rules.push(rule);
                None
            }
        }
    }

    /// Takes a rule back; one of the start is as it was at the start.
    pub fn remove(&mut self, project: &Project, name: &str) -> Option<Arc<AlertRule>> {
        let rules = self.by_project.get_mut(project)?;
        let at = rules.iter().position(|rule| &*rule.name == name)?;
        match AlertRule::defaults(project).into_iter().find(|rule| &*rule.name == name) {
            Some(default) => Some(std::mem::replace(&mut rules[at], Arc::new(default))),
            None => Some(rules.remove(at)),
        }
    }

    /// Forgets what a project set.
    pub fn forget(&mut self, project: &Project) {
        self.by_project.remove(project);
    }

    /// The rules of a project, those of the start first.
    pub fn of(&self, project: &Project) -> Vec<Arc<AlertRule>> {
        self.by_project.get(project).cloned().unwrap_or_else(|| starting_rules(project))
    }

    /// What a key's level may come to, the worst last, and of those as bad the highest: who is told of no less than a warning
    /// is kept from it by no rule of another severity, however high its level.
    pub fn ladder(&mut self, key: &Key, limit: Option<u32>) -> Vec<Rung> {
        let mut ladder = self.rungs(key, limit, |kind| kind.is_of_level());
        ladder.sort_by_key(|rung| (rung.rule.severity, rung.up));
        ladder
    }

    /// What silence of a key's workers comes to: that of a kind's is of its pool, that of a model's of its meter, where a
    /// rule names the model.
    pub fn silence(&mut self, key: &Key) -> Vec<Rung> {
        let mut rungs = self.rungs(key, Some(0), |kind| kind == AlertKind::WorkersSilent);
        let is_named = |rung: &Rung| rung.rule.scope.model.is_empty() == matches!(key.target, Target::KindPool { .. });
        rungs.retain(is_named);
        rungs.sort_by_key(|rung| rung.rule.severity);
        rungs
    }

    /// What the way of a model's sessions comes to.
    pub fn of_way(&mut self, kind: AlertKind, key: &Key) -> Vec<Rung> {
        let mut rungs = self.rungs(key, Some(0), |of| of == kind);
        rungs.sort_by_key(|rung| rung.rule.severity);
        rungs
    }

    /// What a trouble of the service comes to.
    pub fn of_service(&self, kind: AlertKind) -> Vec<Rung> {
        let wanted = |rule: &&Arc<AlertRule>| rule.enabled && rule.kind == kind;
        self.of(&Project::across()).iter().filter(wanted).filter_map(|rule| rule.rung(Some(0))).collect()
    }

    fn rungs(&mut self, key: &Key, limit: Option<u32>, kind: impl Fn(AlertKind) -> bool) -> Vec<Rung> {
        let fits = |rule: &&Arc<AlertRule>| rule.enabled && kind(rule.kind) && rule.scope.holds(&key.target);
        if !self.by_project.contains_key(&key.project) {
            self.by_project.insert(key.project.clone(), starting_rules(&key.project));
        }
        self.by_project[&key.project].iter().filter(fits).filter_map(|rule| rule.rung(limit)).collect()
    }
}

fn starting_rules(project: &Project) -> Vec<Arc<AlertRule>> {
    AlertRule::defaults(project).into_iter().map(Arc::new).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pool(project: &str) -> Key {
        let target = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
        Key { project: Project::new(project).unwrap(), target }
    }

    #[track_caller]
    fn check(limit: Option<u32>, expected: &[(&str, u32, u32)]) {
        let mut book = RuleBook::default();
        let ladder = book.ladder(&pool("demo"), limit);
        let ladder: Vec<_> = ladder.iter().map(|rung| (&*rung.rule.name, rung.up, rung.clear_below)).collect();
        assert_eq!(ladder, expected);
    }

    #[test]
    fn rules_of_the_start_come_to_levels_of_a_limit() {
        check(Some(20), &[("approaching", 16, 14), ("near", 18, 16), ("at-limit", 20, 18), ("over", 21, 20)]);
        check(Some(3), &[("approaching", 3, 3), ("near", 3, 3), ("at-limit", 3, 3), ("over", 4, 3)]);
        check(Some(1), &[("approaching", 1, 1), ("near", 1, 1), ("at-limit", 1, 1), ("over", 2, 1)]);
        check(Some(0), &[("approaching", 1, 1), ("near", 1, 1), ("at-limit", 1, 1), ("over", 1, 1)]);
        check(None, &[]);
    }

    #[test]
    fn a_project_changes_its_own_rules_and_takes_them_back() {
        let project = pool("demo").project;
        let mut book = RuleBook::default();
        let near = AlertRule::defaults(&project).into_iter().find(|rule| &*rule.name == "near").unwrap();
        book.set(AlertRule { enabled: false, ..near.clone() });
        book.set(AlertRule { name: "ours".into(), threshold: Threshold::Slots(7), clear: Threshold::Slots(5), ..near });
        let names = |book: &mut RuleBook, project| -> Vec<_> {
            book.ladder(&pool(project), Some(20)).iter().map(|rung| rung.rule.name.to_string()).collect()
        };
        assert_eq!(names(&mut book, "demo"), ["ours", "approaching", "at-limit", "over"]);
        assert_eq!(names(&mut book, "other"), ["approaching", "near", "at-limit", "over"]);
        book.remove(&project, "near");
        book.remove(&project, "ours");
        let others = names(&mut book, "other");
        assert_eq!(names(&mut book, "demo"), others);
        assert_eq!(book.remove(&project, "ours"), None);
    }

    #[test]
    fn a_rule_is_of_those_in_its_scope() {
        let scope = |kind, model: &str| Scope { kind, model: model.into() }.holds(&pool("demo").target);
        assert!(scope(None, "") && scope(Some(Kind::Tts), ""));
        assert!(!scope(Some(Kind::Stt), "") && !scope(None, "cartesia/sonic-3"));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        let rule = AlertRule::defaults(&pool("demo").project).remove(0);
        assert_eq!(rule.check(), Ok(()));
        let wrong = |rule: AlertRule| rule.check().unwrap_err().field;
        assert_eq!(wrong(AlertRule { name: "a\nb".into(), ..rule.clone() }), "name");
        assert_eq!(wrong(AlertRule { threshold: Threshold::Percent(1_001), ..rule.clone() }), "threshold");
        assert_eq!(wrong(AlertRule { clear: Threshold::Percent(81), ..rule.clone() }), "clear");
        let mixed = AlertRule { clear: Threshold::Slots(5), ..rule.clone() }.check().unwrap_err();
        assert_eq!(
            (mixed.field, &*mixed.problem),
            ("clear", "is 5 slots, and the threshold 80 %: both are of one unit, such as 5%")
        );
        assert_eq!(wrong(AlertRule { threshold: Threshold::Slots(9), ..rule.clone() }), "clear");
        assert_eq!(wrong(AlertRule { hold_seconds: 86_401, ..rule.clone() }), "hold");
        assert_eq!(wrong(AlertRule { repeat_seconds: 1, ..rule.clone() }), "repeat");
        assert_eq!(wrong(AlertRule { kind: AlertKind::AuditDrift, ..rule }), "kind");
    }
}
