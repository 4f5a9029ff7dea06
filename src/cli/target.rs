//! Which meter or pool a command is about, and how targets are named.

use clap::Args;

use crate::{
    cli::error::CliError,
    model::{Kind, Meter as ModelMeter, Unit, key::DEFAULT_ACCOUNT},
    proto::{Meter, Pool, Target, target},
};

/// Kinds in the order in which people look at them: what a call needs first, then its connections.
pub const KIND_ORDER: [Kind; 9] = [
    Kind::Tts,
    Kind::Stt,
    Kind::Llm,
    Kind::Realtime,
    Kind::Agent,
    Kind::Participant,
    Kind::Sip,
    Kind::Ingress,
    Kind::Egress,
];

/// A meter, or the pool of a kind when no model is named.
#[derive(Args, Clone, Debug, Default)]
pub struct TargetArgs {
    /// What is counted: llm, stt, tts, realtime, agent, participant, sip, ingress or egress
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// One model, as provider/model; without it, all models of the kind
    #[arg(long, value_name = "MODEL", requires = "kind")]
    pub model: Option<String>,
    /// Whose quota it is: livekit (when nothing is said), direct, or a name of your own
    #[arg(long, value_name = "NAME", requires = "kind")]
    pub account: Option<String>,
    /// What the provider counts, when it is not what the catalogue says: stream, connection or generation
    #[arg(long, value_name = "UNIT", requires = "model")]
    pub unit: Option<Unit>,
}

impl TargetArgs {
    /// The target, if one was named.
    ///
    /// # Errors
    /// When the model is not one.
    pub fn target(&self) -> Result<Option<Target>, CliError> {
        let Some(kind) = self.kind else { return Ok(None) };
        let number = kind as i32;
        let account = self.account.clone().unwrap_or_default();
        let Some(model) = &self.model else {
            let pool = Pool { kind: number, account, ..Default::default() };
            return Ok(Some(Target { target: Some(target::Target::Pool(pool)) }));
        };
        ModelMeter::new(kind, model, &account, self.unit)
            .map_err(|error| CliError::Usage(format!("--{}: {}", error.field, error.problem)))?;
        let unit = self.unit.map_or(0, |unit| unit as i32);
        let meter = Meter { kind: number, model: model.clone(), account, unit };
        Ok(Some(Target { target: Some(target::Target::Meter(meter)) }))
    }

    /// The target.
    ///
    /// # Errors
    /// When none was named, or the model is not one.
    pub fn required(&self) -> Result<Target, CliError> {
        self.target()?.ok_or_else(|| CliError::Usage("--kind is needed, and --model for one model of it".to_owned()))
    }
}

/// What a target of the contract says, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub kind: Option<Kind>,
    pub model: &'a str,
    pub account: &'a str,
    pub unit: Option<Unit>,
    pub pool: bool,
}

impl<'a> Named<'a> {
    pub fn of(target: Option<&'a Target>) -> Self {
        let (kind, model, account, unit, pool) = match target.and_then(|target| target.target.as_ref()) {
            Some(target::Target::Meter(meter)) => (meter.kind, &*meter.model, &*meter.account, meter.unit, false),
            Some(target::Target::Pool(pool)) => (pool.kind, &*pool.model, &*pool.account, pool.unit, true),
            None => (0, "", "", 0, false),
        };
        let number = |number: i32| u32::try_from(number).unwrap_or(0);
        let account = if account.is_empty() { DEFAULT_ACCOUNT } else { account };
        Self { kind: Kind::from_number(number(kind)), model, account, unit: Unit::from_number(number(unit)), pool }
    }

    /// Where its kind stands in lists; kinds that this version does not know come last.
    pub fn rank(&self) -> usize {
        KIND_ORDER.iter().position(|kind| self.kind == Some(*kind)).unwrap_or(KIND_ORDER.len())
    }

    /// The kind's spelling.
    pub fn kind_text(&self) -> &'static str {
        self.kind.map_or("unknown", Kind::as_str)
    }

    /// What is said of it beside its name, where it is not as usual: account and unit.
    pub fn aside(&self) -> Option<String> {
        let account = (self.account != DEFAULT_ACCOUNT).then(|| self.account.to_owned());
        let unit = self.unit.filter(|unit| *unit != Unit::Stream && !self.pool).map(|unit| format!("{unit}s"));
        let parts: Vec<_> = [account, unit].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// `tts elevenlabs/eleven_turbo_v2_5`, `tts` for a pool; with what is not as usual.
    pub fn spelled(&self) -> String {
        let mut text = self.kind_text().to_owned();
        if !self.model.is_empty() {
            text = format!("{text} {}", self.model);
        }
        match self.aside() {
            Some(aside) => format!("{text} ({aside})"),
            None => text,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_alone_is_its_pool() {
        let args = TargetArgs { kind: Some(Kind::Tts), ..Default::default() };
        assert_eq!(Named::of(args.target().unwrap().as_ref()).spelled(), "tts");
        let model = Some("cartesia/sonic-3".to_owned());
        let args =
            TargetArgs { kind: Some(Kind::Tts), model, account: Some("direct".into()), unit: Some(Unit::Generation) };
        let target = args.required().unwrap();
        assert_eq!(Named::of(Some(&target)).spelled(), "tts cartesia/sonic-3 (direct, generations)");
    }

    #[test]
    fn a_model_that_is_none_is_refused_before_anything_is_sent() {
        let args = TargetArgs { kind: Some(Kind::Agent), model: Some("a/b".into()), ..Default::default() };
        assert!(args.target().unwrap_err().to_string().contains("--model: is \"a/b\"; kind agent has no model"));
        assert!(TargetArgs::default().required().is_err());
    }
}
