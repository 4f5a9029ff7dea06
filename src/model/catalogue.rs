//! The catalogue: what providers and models are called, what a provider counts against its limit, and where it says so.
//! A model that it does not know is counted all the same; it must never be a reason to refuse one.

mod read;

use std::{collections::BTreeMap, sync::Arc};

use crate::model::{
    document::Mistakes,
    key::{DEFAULT_ACCOUNT, Meter, Target},
    kind::{Kind, Unit},
};

/// The built-in catalogue.
const BUILTIN: &str = include_str!("../../data/catalogue.toml");

/// All that is wrong with a catalogue, each with its line and entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue is not right:\n{0}")]
pub struct CatalogueError(pub Mistakes);

/// Providers and models by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    providers: BTreeMap<String, Provider>,
    models: BTreeMap<Kind, BTreeMap<Arc<str>, CatalogueModel>>,
}

/// One provider: what stands before the first slash of its models' ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    pub id: String,
    /// As people say it: "ElevenLabs".
    pub name: String,
    /// Where it documents its concurrency limit; empty when it does not.
    pub limit_url: String,
    /// What is worth knowing about how it counts; may be empty.
    pub facts: String,
    /// What it counts, by kind; streams where nothing is said.
    pub units: BTreeMap<Kind, Unit>,
    pub tiers: Vec<TierSet>,
}

/// The limits of a provider's tiers for some of its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierSet {
    pub kind: Kind,
    /// Ids of the models it is for; empty for all of the kind.
    pub models: Vec<String>,
    pub measure: Measure,
    /// Where these numbers were read.
    pub source: String,
    /// Tier and limit, the smallest first.
    pub limits: Vec<(String, u32)>,
}

/// What a tier's number limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Slots held at once.
    Slots,
    /// Sessions opened in a minute.
    StartsPerMinute,
}

/// One model under one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueModel {
    pub kind: Kind,
    /// `provider/model`, as LiveKit Inference spells it.
    pub model: Arc<str>,
    /// As people say it: "ElevenLabs Turbo v2.5".
    pub name: String,
    /// What the provider counts of it, where that is not what it counts of the kind.
    pub unit: Option<Unit>,
}

impl Catalogue {
    /// The catalogue that is built in. Reads its text: keep what it returns.
    pub fn builtin() -> Self {
        read::extend(&Self::default(), BUILTIN).expect("OK because a test reads the same text")
    }

    /// This catalogue with what a text of the same form adds: models replace those of the same kind and id; of a
    /// provider, what the text says replaces what was said.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn with_extra(&self, text: &str) -> Result<Self, CatalogueError> {
        read::extend(self, text).map_err(CatalogueError)
    }

    /// The model under a kind; what follows its last colon (a voice, a language) does not matter.
    pub fn find(&self, kind: Kind, model: &str) -> Option<&CatalogueModel> {
        self.models.get(&kind)?.get(base(model))
    }

    /// What a meter counts when nothing is said. For the gateway's account that is always streams, since the gateway
    /// counts concurrent streams whatever the provider behind it counts; for every other account it is the provider's
    /// unit, also of a model that only the provider is known of.
    pub fn resolve_unit(&self, kind: Kind, model: &str, account: &str) -> Unit {
        let gateway = account.is_empty() || account == DEFAULT_ACCOUNT;
        if gateway || !kind.has_model() {
            return Unit::Stream;
        }
        self.provider_unit(kind, model)
    }

    /// What the provider counts of a model on an account with itself.
    pub fn provider_unit(&self, kind: Kind, model: &str) -> Unit {
        let of_model = self.find(kind, model).and_then(|known| known.unit);
        let of_provider = || self.provider_of(model).and_then(|provider| provider.units.get(&kind).copied());
        of_model.or_else(of_provider).unwrap_or(Unit::Stream)
    }

    /// A target as people say it: "ElevenLabs Turbo v2.5" for a meter (the id where the model is not known), "TTS" for
    /// the pool of a kind, "ElevenLabs Turbo v2.5, all projects" for a model across projects.
    pub fn display_name(&self, target: &Target) -> String {
        let model = |meter: &Meter| match self.find(meter.kind, &meter.model) {
            Some(known) => known.name.clone(),
            None if meter.model.is_empty() => meter.kind.display_name().to_owned(),
            None => meter.model.to_string(),
        };
        match target {
            Target::KindPool { kind, .. } => kind.display_name().to_owned(),
            Target::ModelPool(meter) => format!("{}, all projects", model(meter)),
            Target::Meter(meter) => model(meter),
        }
    }

    /// All models, by kind and id.
    pub fn models(&self) -> impl Iterator<Item = &CatalogueModel> {
        self.models.values().flat_map(BTreeMap::values)
    }

    /// All providers, by id.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.get(id)
    }

    /// The provider of a model.
    pub fn provider_of(&self, model: &str) -> Option<&Provider> {
        self.provider(model.split_once('/')?.0)
    }

    /// The limits that are known for the tiers of a model's provider.
    pub fn tiers(&self, kind: Kind, model: &str) -> impl Iterator<Item = &TierSet> {
        let model = base(model);
        let sets = self.provider_of(model).map_or(&[][..], |provider| &provider.tiers);
        let covers = move |set: &&TierSet| set.models.is_empty() || set.models.iter().any(|named| named == model);
        sets.iter().filter(move |set| set.kind == kind).filter(covers)
    }
}

/// A model's id without its suffix.
fn base(model: &str) -> &str {
    model.rsplit_once(':').map_or(model, |(base, _suffix)| base)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn unit(kind: Kind, model: &str, account: &str, expected: Unit) {
        assert_eq!(Catalogue::builtin().resolve_unit(kind, model, account), expected);
    }

    #[track_caller]
    fn wrong(text: &str, expected: &[&str]) {
        let CatalogueError(mistakes) = Catalogue::builtin().with_extra(text).unwrap_err();
        assert_eq!(mistakes.to_string(), expected.join("\n"));
    }

    #[test]
    fn the_built_in_catalogue_is_right_and_complete() {
        let catalogue = read::extend(&Catalogue::default(), BUILTIN).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        for model in catalogue.models() {
            assert!(catalogue.provider_of(&model.model).is_some(), "{} has no provider", model.model);
        }
        for provider in catalogue.providers() {
            let used = catalogue.models().any(|model| model.model.split('/').next() == Some(&provider.id));
            assert!(used, "{} has no models", provider.id);
            for model in provider.tiers.iter().flat_map(|set| &set.models) {
                assert!(catalogue.models().any(|known| *known.model == **model), "{model} of a tier is not known");
            }
        }
        for kind in [Kind::Llm, Kind::Stt, Kind::Tts, Kind::Realtime] {
            assert!(catalogue.models().any(|model| model.kind == kind));
        }
    }

    #[test]
    fn the_gateway_counts_streams_and_a_direct_account_what_its_provider_counts() {
        unit(Kind::Tts, "elevenlabs/eleven_turbo_v2_5", "livekit", Unit::Stream);
        unit(Kind::Tts, "elevenlabs/eleven_turbo_v2_5", "", Unit::Stream);
        unit(Kind::Tts, "elevenlabs/eleven_turbo_v2_5:voice", "direct", Unit::Generation);
        unit(Kind::Tts, "elevenlabs/not_yet_known", "direct", Unit::Generation);
        unit(Kind::Stt, "cartesia/ink-whisper", "direct", Unit::Stream);
        unit(Kind::Stt, "deepgram/nova-3", "acme", Unit::Connection);
        unit(Kind::Stt, "nobody/nothing", "direct", Unit::Stream);
        unit(Kind::Agent, "", "direct", Unit::Stream);
    }

    #[test]
    fn targets_have_the_names_that_people_say() {
        let catalogue = Catalogue::builtin();
        let meter = |kind, model| Meter::new(kind, model, "", None).unwrap();
        let turbo = meter(Kind::Tts, "elevenlabs/eleven_turbo_v2_5");
        let pool = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
        let name = |target| catalogue.display_name(&target);
        assert_eq!(name(Target::Meter(turbo.clone())), "ElevenLabs Turbo v2.5");
        assert_eq!(name(Target::ModelPool(turbo)), "ElevenLabs Turbo v2.5, all projects");
        assert_eq!(name(pool), "TTS");
        assert_eq!(name(Target::Meter(meter(Kind::Agent, ""))), "Agent sessions");
        assert_eq!(name(Target::Meter(meter(Kind::Stt, "acme/ear-1"))), "acme/ear-1");
    }

    #[test]
    fn tiers_are_those_of_the_model() {
        let catalogue = Catalogue::builtin();
        let limit = |model: &str, tier: &str| {
            let mut sets = catalogue.tiers(Kind::Tts, model);
            let set = sets.next()?;
            assert!(sets.next().is_none(), "one set a model");
            set.limits.iter().find(|(name, _)| name == tier).map(|(_, limit)| *limit)
        };
        assert_eq!(limit("elevenlabs/eleven_flash_v2_5", "pro"), Some(20));
        assert_eq!(limit("elevenlabs/eleven_multilingual_v2", "pro"), Some(10));
        assert_eq!(limit("elevenlabs/eleven_v3", "pro"), None);
        let starts = catalogue.tiers(Kind::Stt, "assemblyai/universal-streaming").next().unwrap();
        assert_eq!((starts.measure, starts.limits[0].1), (Measure::StartsPerMinute, 5));
    }

    #[test]
    fn a_file_of_the_users_adds_and_replaces() {
        let text = r#"
            [providers.elevenlabs]
            units = { tts = "connection" }
            [providers.acme]
            name = "Acme"
            [models.stt]
            "acme/ear-1" = { name = "Acme Ear", unit = "generation" }
            "deepgram/nova-3" = "Nova"
        "#;
        let catalogue = Catalogue::builtin().with_extra(text).unwrap();
        assert_eq!(catalogue.resolve_unit(Kind::Tts, "elevenlabs/eleven_v3", "direct"), Unit::Connection);
        assert_eq!(catalogue.provider("elevenlabs").unwrap().name, "ElevenLabs");
        assert!(!catalogue.provider("elevenlabs").unwrap().tiers.is_empty());
        assert_eq!(catalogue.resolve_unit(Kind::Stt, "acme/ear-1", "direct"), Unit::Generation);
        assert_eq!(catalogue.find(Kind::Stt, "deepgram/nova-3:en").unwrap().name, "Nova");
    }

    #[test]
    fn every_mistake_is_named() {
        let text = r#"[providers.acme]
limit = "x"
units = { video = "stream", agent = "stream", stt = "socket" }
[[providers.acme.tiers]]
kind = "stt"
limits = { free = 0 }
[models.tts]
"Sonic" = "Sonic"
"a/b:c" = 7
[models.agent]
"#;
        wrong(
            text,
            &[
                "line 1: providers.acme: has no `name`",
                "line 2: providers.acme.limit: is not known; did you mean `limits`?",
                "line 3: providers.acme.units.agent: has no models; one of llm, stt, tts, realtime is needed",
                "line 3: providers.acme.units.stt: unit \"socket\" is not known; it is one of stream, connection, \
                 generation",
                "line 3: providers.acme.units.video: kind \"video\" is not known; it is one of llm, stt, tts, \
                 realtime, agent, participant, sip, ingress, egress",
                "line 4: providers.acme.tiers[1]: has no `source`",
                "line 6: providers.acme.tiers[1].limits.free: is 0; a whole number from 1 to 16777215 is needed",
                "line 8: models.tts.Sonic: byte 0 of \"Sonic\" is not one of [a-z0-9._:/@+-] (lower case)",
                "line 9: models.tts.a/b:c: has a suffix; \"a/b\" is needed",
                "line 10: models.agent: has no models; one of llm, stt, tts, realtime is needed",
            ],
        );
    }
}
