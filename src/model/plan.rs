//! Plans: named sets of limits, read from data files; and what putting a project on one does to its limits. Decides
//! only: it must never write a limit.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    document::{self, Mistakes, Table},
    key::{self, KeyError, Meter, Target},
    kind::{Kind, Unit},
    limit::{LimitEntry, LimitHistory, MAX_SET_BY_BYTES, MAX_SLOTS},
    time::Time,
};

/// The plans that are built in.
const BUILTIN: [&str; 1] = [include_str!("../../data/plans/livekit-build.toml")];

/// What the name of who set a limit starts with when a plan did.
pub const SET_BY_PLAN: &str = "plan:";
/// Longest id of a plan, in bytes: with [`SET_BY_PLAN`] before it, it must fit into who set a limit.
pub const MAX_PLAN_BYTES: usize = MAX_SET_BY_BYTES - SET_BY_PLAN.len();

/// A named set of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub id: String,
    /// As people say it.
    pub name: String,
    /// Where its limits are documented; may be empty.
    pub source: String,
    /// Most slots held at once, by target.
    pub limits: BTreeMap<Target, u32>,
}

/// All that is wrong with a plan, each with its line and entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan is not right:\n{0}")]
pub struct PlanError(pub Mistakes);

/// The plans that are known, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plans(BTreeMap<String, Plan>);

impl Plans {
    /// The plans that are built in.
    pub fn builtin() -> Self {
        let read = |text| Plan::read(text).expect("OK because a test reads the same text");
        Self(BUILTIN.into_iter().map(read).map(|plan| (plan.id.clone(), plan)).collect())
    }

    /// Adds the plan of a text; it replaces one of the same id.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn add(&mut self, text: &str) -> Result<&Plan, PlanError> {
        let plan = Plan::read(text)?;
        Ok(self.0.entry(plan.id.clone()).insert_entry(plan).into_mut())
    }

    pub fn get(&self, id: &str) -> Option<&Plan> {
        self.0.get(id)
    }

    /// All plans, by id.
    pub fn list(&self) -> impl Iterator<Item = &Plan> {
        self.0.values()
    }
}

impl Plan {
    /// # Errors
    /// Every mistake in the text.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        document::read(text, |root, mistakes| {
            root.only(&["id", "name", "source", "limits"], mistakes);
            let id = root.required_text("id", mistakes).unwrap_or_default();
            if let Err(error) = check_id(id)
                && !id.is_empty()
            {
                root.wrong(format!("id: {}", error.problem), mistakes);
            }
            let name = root.required_text("name", mistakes).unwrap_or_default();
            let source = root.text("source", mistakes).unwrap_or_default();
            if root.get("limits").is_none() {
                root.wrong("has no `limits`", mistakes);
            }
            let mut limits = BTreeMap::new();
            for table in root.tables("limits", mistakes) {
                let Some((target, slots)) = read_limit(&table, mistakes) else { continue };
                if limits.contains_key(&target) {
                    table.wrong(format!("`{target}` has a limit already"), mistakes);
                }
                limits.insert(target, slots);
            }
            Self { id: id.to_owned(), name: name.to_owned(), source: source.to_owned(), limits }
        })
        .map_err(PlanError)
    }

    /// Who set a limit that this plan set.
    pub fn set_by(&self) -> String {
        format!("{SET_BY_PLAN}{}", self.id)
    }

    /// What putting a project on this plan adds to its limits, from `now` on:
    ///
    /// - every limit of the plan is set, unless this plan set the same before;
    /// - limits that a plan set and that are not in this one end;
    /// - limits set by hand stay, **also where the plan has the same target**: someone chose them for a reason (an
    ///   increase that was granted, a share held back), and a plan is what holds where nobody chose. Once such a limit
    ///   is ended, applying the plan again sets the plan's. One by hand that ends by itself is said again above the
    ///   change, so that it holds until its end and the plan's comes after it.
    ///
    /// Applying a plan twice adds nothing the second time. The order matters: it is that of the histories.
    pub fn apply<'h>(
        &self,
        histories: impl IntoIterator<Item = (&'h Target, &'h LimitHistory)>,
        now: Time,
        reason: &str,
    ) -> Vec<(Target, LimitEntry)> {
        let histories: BTreeMap<_, _> = histories.into_iter().collect();
        let targets: BTreeSet<_> = self.limits.keys().chain(histories.keys().copied()).collect();
        let mut added = Vec::new();
        for target in targets {
            let entries = histories.get(target).map_or(&[][..], |history| history.entries());
            let added_here = self.apply_one(entries, self.limits.get(target).copied(), now, reason);
            added.extend(added_here.into_iter().map(|entry| (target.clone(), entry)));
        }
        added
    }

    /// What this plan, which allows `slots` of a target (`None`: says nothing of it), adds to its history.
    fn apply_one(&self, history: &[LimitEntry], slots: Option<u32>, now: Time, reason: &str) -> Vec<LimitEntry> {
        let from_plan = |entry: &LimitEntry| entry.set_by.starts_with(SET_BY_PLAN);
        // What lies above, newest first, and ends by itself; then what holds after all of that has ended.
        let mut covering = history.iter().rev().filter(|entry| entry.covers(now)).peekable();
        let mut above = Vec::new();
        while let Some(entry) = covering.next_if(|entry| entry.end.is_some() && !from_plan(entry)) {
            above.push(entry);
        }
        let below = covering.next().filter(|entry| entry.slots.is_some());
        let set_by = self.set_by();
        let stays = match (below, slots) {
            (Some(below), _) if !from_plan(below) => true,
            (Some(below), Some(_)) => below.slots == slots && below.set_by == set_by && below.end.is_none(),
            (None, Some(_)) | (Some(_), None) => false,
            (None, None) => true,
        };
        if stays {
            return Vec::new();
        }
        let change = LimitEntry { slots, start: now, end: None, set_by, reason: reason.to_owned() };
        let again = above.into_iter().rev().map(|entry| LimitEntry { start: now, ..entry.clone() });
        [change].into_iter().chain(again).collect()
    }
}

fn check_id(id: &str) -> Result<(), KeyError> {
    let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    key::checked("id", id, MAX_PLAN_BYTES, "[a-z0-9._-]", ok)
}

fn read_limit(table: &Table<'_>, mistakes: &mut Mistakes) -> Option<(Target, u32)> {
    table.only(&["kind", "model", "account", "unit", "slots"], mistakes);
    if table.get("slots").is_none() {
        table.wrong("has no `slots`", mistakes);
    }
    let slots = table.get("slots").and_then(|entry| entry.number(0..=MAX_SLOTS, mistakes));
    let unit = table.get("unit").and_then(|entry| entry.spelled::<Unit>(mistakes));
    let model = table.text("model", mistakes);
    let account = table.text("account", mistakes).unwrap_or_default();
    let kind = table.required_text("kind", mistakes).and_then(|_| table.get("kind")?.spelled::<Kind>(mistakes))?;
    if model.is_none() && unit.is_some() {
        table.wrong("has a `unit` and no `model`: the pool of a kind counts every unit", mistakes);
    }
    let target = match model {
        Some(model) => Meter::new(kind, model, account, unit).map(Target::Meter),
        None => key::account(account).map(|account| Target::KindPool { kind, account }),
    };
    let target = target.map_err(|error| table.wrong(error.to_string(), mistakes)).ok()?;
    Some((target, slots?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SMALL: &str = "id = 'small'\nname = 'Small'\n[[limits]]\nkind = 'stt'\nslots = 5\n\
                         [[limits]]\nkind = 'tts'\nslots = 5\n";
    const LARGE: &str = "id = 'large'\nname = 'Large'\n[[limits]]\nkind = 'stt'\nslots = 50\n";

    type Project = BTreeMap<Target, LimitHistory>;

    fn pool(kind: Kind) -> Target {
        Target::KindPool { kind, account: "livekit".into() }
    }

    /// Puts a project on a plan, and returns how many decisions that added.
    fn apply(project: &mut Project, plan: &str, now: u64) -> usize {
        let added = Plan::read(plan).unwrap().apply(&*project, Time(now), "why");
        let count = added.len();
        for (target, entry) in added {
            project.entry(target).or_default().push(entry);
        }
        count
    }

    fn by_hand(project: &mut Project, kind: Kind, slots: Option<u32>, start: u64, end: Option<u64>) {
        let (set_by, reason) = ("kim".to_owned(), "granted".to_owned());
        let entry = LimitEntry { slots, start: Time(start), end: end.map(Time), set_by, reason };
        project.entry(pool(kind)).or_default().push(entry);
    }

    #[track_caller]
    fn holds(project: &Project, kind: Kind, at: u64, expected: Option<(u32, &str)>) {
        let entry = project.get(&pool(kind)).and_then(|history| history.in_force(Time(at)));
        assert_eq!(entry.map(|entry| (entry.slots.unwrap(), &*entry.set_by)), expected);
    }

    #[test]
    fn the_built_in_plans_are_right() {
        for text in BUILTIN {
            Plan::read(text).unwrap_or_else(|error| panic!("{error}"));
        }
        let plans = Plans::builtin();
        let build = plans.get("livekit-build").unwrap();
        let limits: Vec<_> = build.limits.iter().map(|(target, slots)| (target.kind().as_str(), *slots)).collect();
        let expected = [("stt", 5), ("tts", 5), ("agent", 5), ("participant", 100), ("ingress", 2), ("egress", 2)];
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_plan_of_the_users_is_added_and_replaces() {
        let mut plans = Plans::builtin();
        plans.add(SMALL).unwrap();
        plans.add(&SMALL.replace("Small", "Tiny")).unwrap();
        assert_eq!(plans.list().map(|plan| &*plan.name).collect::<Vec<_>>(), ["LiveKit Build", "Tiny"]);
    }

    #[test]
    fn a_plan_sets_its_limits_once_and_ends_those_of_the_plan_before() {
        let mut project = Project::new();
        assert_eq!(apply(&mut project, SMALL, 10), 2);
        assert_eq!(apply(&mut project, SMALL, 11), 0);
        assert_eq!(apply(&mut project, LARGE, 20), 2);
        assert_eq!(apply(&mut project, LARGE, 21), 0);
        holds(&project, Kind::Stt, 19, Some((5, "plan:small")));
        holds(&project, Kind::Stt, 20, Some((50, "plan:large")));
        holds(&project, Kind::Tts, 19, Some((5, "plan:small")));
        holds(&project, Kind::Tts, 20, None);
    }

    #[test]
    fn a_limit_set_by_hand_stays_until_it_is_ended() {
        let mut project = Project::new();
        by_hand(&mut project, Kind::Stt, Some(7), 5, None);
        by_hand(&mut project, Kind::Llm, Some(9), 5, None);
        assert_eq!(apply(&mut project, SMALL, 10), 1);
        holds(&project, Kind::Stt, 10, Some((7, "kim")));
        holds(&project, Kind::Llm, 10, Some((9, "kim")));
        by_hand(&mut project, Kind::Stt, None, 15, None);
        assert_eq!(apply(&mut project, SMALL, 20), 1);
        holds(&project, Kind::Stt, 20, Some((5, "plan:small")));
    }

    #[test]
    fn a_raise_by_hand_holds_until_its_end_and_the_plan_after_it() {
        let mut project = Project::new();
        apply(&mut project, SMALL, 10);
        by_hand(&mut project, Kind::Stt, Some(20), 12, Some(30));
        by_hand(&mut project, Kind::Tts, Some(21), 12, Some(30));
        assert_eq!(apply(&mut project, SMALL, 13), 0);
        assert_eq!(apply(&mut project, LARGE, 15), 4);
        assert_eq!(apply(&mut project, LARGE, 16), 0);
        holds(&project, Kind::Stt, 29, Some((20, "kim")));
        holds(&project, Kind::Stt, 30, Some((50, "plan:large")));
        holds(&project, Kind::Tts, 29, Some((21, "kim")));
        holds(&project, Kind::Tts, 30, None);
    }

    #[test]
    fn every_mistake_is_named() {
        let text = "id = 'My Plan'\n[[limits]]\nkind = 'sst'\nslots = 5\n[[limits]]\nkind = 'agent'\nslots = -1\n\
                    [[limits]]\nkind = 'tts'\nmodel = 'sonic'\nslot = 3\n";
        let PlanError(mistakes) = Plan::read(text).unwrap_err();
        let expected = [
            "line 1: id: byte 0 of \"My Plan\" is not one of [a-z0-9._-]",
            "line 1: has no `name`",
            "line 3: limits[1].kind: kind \"sst\" is not known; it is one of llm, stt, tts, realtime, agent, \
             participant, sip, ingress, egress",
            "line 7: limits[2].slots: is -1; a whole number from 0 to 16777215 is needed",
            "line 8: limits[3]: has no `slots`",
            "line 8: limits[3]: model: \"sonic\" is not provider/model",
            "line 11: limits[3].slot: is not known; did you mean `slots`?",
        ];
        assert_eq!(mistakes.to_string(), expected.join("\n"));
    }
}
