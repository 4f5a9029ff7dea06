//! Chains: the ordered models of a project and kind, primary first, and when new sessions leave one for the next. What is
//! typed is checked once, here; which model is used now is not looked at.

use std::{fmt, sync::Arc, time::Duration};

use crate::model::{Catalogue, Kind, Meter, Project, key};

/// Longest name of a chain, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Most models of a chain: nobody tries a ninth voice while a caller waits.
pub const MOST_MODELS: usize = 8;
/// Most chains of a project.
pub const MOST_CHAINS: usize = 100;
/// From this share of its tightest limit on, new sessions leave a model, in percent.
pub const DEFAULT_FILL_PERCENT: u32 = 90;
/// When all sessions of a chain would fit below this share of the primary's tightest limit, they return to it, in percent.
pub const DEFAULT_RETURN_PERCENT: u32 = 70;
/// Least distance of the two, in points: closer ones would swap sessions to and fro.
pub const LEAST_GAP_PERCENT: u32 = 5;
/// Shortest stay after a switch, which is also the default.
pub const MIN_DWELL: Duration = Duration::from_secs(30);
/// Longest stay that can be asked for.
pub const MAX_DWELL: Duration = Duration::from_secs(3_600);

/// The ordered models of one kind that may take each other's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub project: Project,
    /// 1 to 64 bytes of `[a-z0-9._-]`, unique in its project.
    pub name: Arc<str>,
    pub kind: Kind,
    /// Primary first; 1 to [`MOST_MODELS`], each once.
    pub models: Vec<Meter>,
    /// `None`: a model is left only when it has no room or its provider is down.
    pub thresholds: Option<Thresholds>,
    /// How long a route stays after a switch, at the least.
    pub dwell: Duration,
}

/// When new sessions leave a model, and when they return, in percent of its tightest limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub fill_percent: u32,
    pub return_percent: u32,
}

/// A chain as it was typed.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    pub name: &'a str,
    /// As typed, with or without a voice or language; an account where it is not the gateway's.
    pub models: &'a [DraftModel<'a>],
    /// 0 is the default.
    pub fill_percent: u32,
    /// 0 is the default.
    pub return_percent: u32,
    /// Leave a model only when it has no room or is down; the two percentages are then left out.
    pub thresholds_off: bool,
    /// Zero is the default.
    pub dwell: Duration,
}

/// One model of a draft.
#[derive(Clone, Copy, Debug, Default)]
pub struct DraftModel<'a> {
    pub model: &'a str,
    /// Empty for the gateway's account.
    pub account: &'a str,
    /// Where a kind was written with it; it must be the chain's.
    pub kind: Option<Kind>,
}

/// Why a chain is not taken: which field, what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ChainError {
    /// Of the draft; a model's with its place, from 0: `models[2]`.
    pub field: String,
    pub problem: String,
}

impl ChainError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { fill_percent: DEFAULT_FILL_PERCENT, return_percent: DEFAULT_RETURN_PERCENT }
    }
}

impl Thresholds {
    /// In the middle of the two: where a model is held at while sessions leave it, in percent.
    pub const fn middle_percent(self) -> u32 {
        (self.fill_percent + self.return_percent) / 2
    }
}

impl Chain {
    /// A draft of a project's chain of a kind, checked.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(project: &Project, kind: Kind, draft: &Draft<'_>, catalogue: &Catalogue) -> Result<Self, ChainError> {
        if !kind.has_model() {
            let problem =
                format!("is {kind}, which has no models to choose from; it is one of llm, stt, tts, realtime");
            return Err(ChainError::new("kind", problem));
        }
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        key::checked("name", draft.name, MAX_NAME_BYTES, "[a-z0-9._-]", ok)
            .map_err(|wrong| ChainError::new(wrong.field, wrong.problem))?;
        Ok(Self {
            project: project.clone(),
            name: draft.name.into(),
            kind,
            models: models(kind, draft.models, catalogue)?,
            thresholds: thresholds(draft)?,
            dwell: dwell(draft.dwell)?,
        })
    }

    /// The place of a model of an account (empty for the gateway's), whatever voice or language is written with it.
    pub fn place(&self, model: &str, account: &str) -> Option<usize> {
        let base = model.rsplit_once(':').map_or(model, |(base, _suffix)| base);
        let account = if account.is_empty() { key::DEFAULT_ACCOUNT } else { account };
        self.models.iter().position(|meter| [base, model].contains(&&*meter.model) && &*meter.account == account)
    }
}

/// The models of a draft, each of the kind and none twice.
fn models(kind: Kind, drafts: &[DraftModel<'_>], catalogue: &Catalogue) -> Result<Vec<Meter>, ChainError> {
    match drafts.len() {
        0 => return Err(ChainError::new("models", format!("is empty; name 1 to {MOST_MODELS}, the primary first"))),
        1..=MOST_MODELS => {}
        many => return Err(ChainError::new("models", format!("has {many}; 1 to {MOST_MODELS} are allowed"))),
    }
    let mut models: Vec<Meter> = Vec::with_capacity(drafts.len());
    for (place, draft) in drafts.iter().enumerate() {
        let wrong = |problem: String| ChainError::new(format!("models[{place}]"), problem);
        let unit = catalogue.resolve_unit(kind, draft.model, draft.account);
        let meter =
            Meter::new(kind, draft.model, draft.account, Some(unit)).map_err(|error| wrong(error.to_string()))?;
        let other = draft.kind.or_else(|| known_kind(kind, &meter.model, catalogue)).filter(|other| *other != kind);
        if let Some(other) = other {
            let problem =
                format!("{} is of kind {other}; a chain of kind {kind} names {kind} models only", meter.model);
            return Err(wrong(problem));
        }
        if let Some(first) = models.iter().position(|earlier| *earlier == meter) {
            return Err(wrong(match place - first {
                1 => format!("{} stands twice; name each model once", meter.model),
                _ => format!(
                    "{} is models[{first}] already, so that the chain would loop; leave it out: sessions return to it by \
                     themselves",
                    meter.model
                ),
            }));
        }
        models.push(meter);
    }
    Ok(models)
}

/// The kind that the catalogue knows a model under, where that is not the one that was asked for.
fn known_kind(asked: Kind, model: &str, catalogue: &Catalogue) -> Option<Kind> {
    if catalogue.find(asked, model).is_some() {
        return None;
    }
    Kind::ALL.iter().copied().find(|kind| catalogue.find(*kind, model).is_some())
}

fn thresholds(draft: &Draft<'_>) -> Result<Option<Thresholds>, ChainError> {
    if draft.thresholds_off {
        return match draft.fill_percent.max(draft.return_percent) {
            0 => Ok(None),
            _ => Err(ChainError::new("thresholds_off", "is set beside fill_percent or return_percent; leave them out")),
        };
    }
    let or = |typed: u32, default: u32| if typed == 0 { default } else { typed };
    let fill_percent = or(draft.fill_percent, DEFAULT_FILL_PERCENT);
    let return_percent = or(draft.return_percent, DEFAULT_RETURN_PERCENT.min(fill_percent.saturating_sub(20).max(1)));
    if fill_percent > 100 {
        let problem =
            format!("is {fill_percent}; at most 100 is allowed: a model is left when it is full at the latest");
        return Err(ChainError::new("fill_percent", problem));
    }
    if return_percent.saturating_add(LEAST_GAP_PERCENT) > fill_percent {
        let most = fill_percent.saturating_sub(LEAST_GAP_PERCENT);
        let problem = format!(
            "is {return_percent} beside a fill_percent of {fill_percent}; at most {most} is allowed, so that sessions do \
             not go to and fro"
        );
        return Err(ChainError::new("return_percent", problem));
    }
    Ok(Some(Thresholds { fill_percent, return_percent }))
}

fn dwell(typed: Duration) -> Result<Duration, ChainError> {
    match typed {
        Duration::ZERO => Ok(MIN_DWELL),
        dwell if (MIN_DWELL..=MAX_DWELL).contains(&dwell) => Ok(dwell),
        dwell => {
            let (least, most) = (MIN_DWELL.as_secs(), MAX_DWELL.as_secs());
            let problem = format!("is {} s; {least} to {most} s are allowed", dwell.as_secs_f64());
            Err(ChainError::new("dwell", problem))
        }
    }
}

/// `agents (tts): elevenlabs/eleven_turbo_v2_5, cartesia/sonic-3`.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<_> = self.models.iter().map(|meter| &*meter.model).collect();
        write!(f, "{} ({}): {}", self.name, self.kind, models.join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of<'a>(models: &[&'a str]) -> Vec<DraftModel<'a>> {
        models.iter().map(|model| DraftModel { model, ..DraftModel::default() }).collect()
    }

    fn chain(kind: Kind, draft: &Draft<'_>) -> Result<Chain, ChainError> {
        Chain::new(&Project::new("acme").unwrap(), kind, draft, &Catalogue::builtin())
    }

    #[track_caller]
    fn refused(kind: Kind, draft: &Draft<'_>, words: &str) {
        assert_eq!(chain(kind, draft).unwrap_err().to_string(), words);
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let models = of(&["elevenlabs/eleven_turbo_v2_5:alice", "cartesia/sonic-3"]);
        let agents = chain(Kind::Tts, &Draft { name: "agents", models: &models, ..Draft::default() }).unwrap();
        assert_eq!(agents.to_string(), "agents (tts): elevenlabs/eleven_turbo_v2_5, cartesia/sonic-3");
        assert_eq!((agents.thresholds, agents.dwell), (Some(Thresholds::default()), MIN_DWELL));
        assert_eq!(agents.thresholds.unwrap().middle_percent(), 80);
        assert_eq!([agents.place("cartesia/sonic-3:bob", ""), agents.place("rime/coda", "")], [Some(1), None]);
        let off = Draft { name: "agents", models: &models, thresholds_off: true, ..Draft::default() };
        assert_eq!(chain(Kind::Tts, &off).unwrap().thresholds, None);
        let low = Draft { name: "agents", models: &models, fill_percent: 60, ..Draft::default() };
        assert_eq!(chain(Kind::Tts, &low).unwrap().thresholds.unwrap().return_percent, 40);
    }

    #[test]
    fn what_is_wrong_with_the_models_is_said_and_what_would_be_right() {
        let check = |models: &[&str], words: &str| {
            refused(Kind::Tts, &Draft { name: "agents", models: &of(models), ..Draft::default() }, words);
        };
        check(&[], "models: is empty; name 1 to 8, the primary first");
        check(&["a/b"; 9], "models: has 9; 1 to 8 are allowed");
        check(&["a/b", "a/b:alice"], "models[1]: a/b stands twice; name each model once");
        let words = "models[2]: a/b is models[0] already, so that the chain would loop; leave it out: sessions return to it \
                     by themselves";
        check(&["a/b", "a/c", "a/b"], words);
        let words = "models[1]: openai/gpt-4.1-mini is of kind llm; a chain of kind tts names tts models only";
        check(&["a/b", "openai/gpt-4.1-mini"], words);
        check(&["a/b", "sonic"], "models[1]: model: \"sonic\" is not provider/model");
        let models = [DraftModel { model: "a/b", kind: Some(Kind::Stt), account: "" }];
        let draft = Draft { name: "agents", models: &models, ..Draft::default() };
        refused(Kind::Tts, &draft, "models[0]: a/b is of kind stt; a chain of kind tts names tts models only");
        let words = "kind: is sip, which has no models to choose from; it is one of llm, stt, tts, realtime";
        refused(Kind::Sip, &draft, words);
    }

    /// One model of two accounts is two quotas, and one may help out the other.
    #[test]
    fn a_model_of_another_account_is_another() {
        let direct = DraftModel { model: "cartesia/sonic-3", account: "direct", kind: None };
        let models = [DraftModel { account: "", ..direct }, direct];
        assert!(chain(Kind::Tts, &Draft { name: "agents", models: &models, ..Draft::default() }).is_ok());
    }

    #[test]
    fn what_is_wrong_with_the_numbers_is_said_and_what_would_be_right() {
        let models = of(&["a/b", "a/c"]);
        let draft = Draft { name: "agents", models: &models, ..Draft::default() };
        let wrong = |draft: Draft<'_>, words: &str| refused(Kind::Tts, &draft, words);
        let words = "fill_percent: is 101; at most 100 is allowed: a model is left when it is full at the latest";
        wrong(Draft { fill_percent: 101, ..draft.clone() }, words);
        let words = "return_percent: is 90 beside a fill_percent of 90; at most 85 is allowed, so that sessions do not go to \
                     and fro";
        wrong(Draft { return_percent: 90, ..draft.clone() }, words);
        let words = "thresholds_off: is set beside fill_percent or return_percent; leave them out";
        wrong(Draft { fill_percent: 90, thresholds_off: true, ..draft.clone() }, words);
        wrong(Draft { dwell: Duration::from_secs(5), ..draft.clone() }, "dwell: is 5 s; 30 to 3600 s are allowed");
        wrong(
            Draft { dwell: Duration::from_secs(3_601), ..draft.clone() },
            "dwell: is 3601 s; 30 to 3600 s are allowed",
        );
        let words = "name: byte 0 of \"Agents\" is not one of [a-z0-9._-]";
        wrong(Draft { name: "Agents", ..draft.clone() }, words);
        wrong(Draft { name: "", ..draft }, "name: has 0 bytes; 1 to 64 are allowed");
    }
}
