//! The agents of the simulated fleet, as data: which models they use, how busy they are at which hour of which day, and
//! the limits that the fleet is under. Numbers are chosen so that one model comes near its limit every afternoon.

use std::sync::Arc;

use crate::model::{
    Chain, Kind, Meter, Project, Target, Unit,
    chain::{MIN_DWELL, Thresholds},
    key::DEFAULT_ACCOUNT,
};

/// The model that comes near its limit around 14:00.
pub const BUSY_TTS: &str = "elevenlabs/eleven_turbo_v2_5";
/// The limit that it comes near: ElevenLabs' Pro tier.
pub const BUSY_TTS_LIMIT: u32 = 20;
/// What new calls use while all slots of the busy model are held.
pub const FALLBACK_TTS: &str = "cartesia/sonic-3";
/// What the bursts speak with, and nobody else.
const CAMPAIGN_TTS: &str = "deepgram/aura-2";

/// One agent: a program that takes calls of one sort.
#[derive(Debug)]
pub struct Agent {
    /// As rooms are named after it.
    pub name: &'static str,
    pub stack: Stack,
    /// Calls at once, on average, in the busiest hour of a usual day.
    pub load: f64,
    /// How busy the start of each hour of a day is, in percent of the busiest.
    pub hours: &'static [u8; 24],
    /// How busy a day is, Monday first, in percent of a usual one.
    pub days: &'static [u8; 7],
    /// Share of the calls that come by telephone, 0 to 1.
    pub by_phone: f64,
}

/// What an agent hears, thinks and speaks with.
#[derive(Clone, Copy, Debug)]
pub enum Stack {
    Pipeline { stt: &'static str, llm: &'static str, tts: &'static str },
    Realtime { model: &'static str },
}

/// A help line: busy in office hours, a dip at lunch, and a rush after it.
const OFFICE: &[u8; 24] = &[3, 2, 2, 2, 3, 5, 12, 24, 36, 45, 49, 47, 40, 66, 100, 80, 54, 42, 34, 28, 20, 14, 8, 4];
/// Bookings: before noon and in the evening.
const EVENING: &[u8; 24] = &[6, 4, 3, 3, 3, 5, 10, 24, 46, 72, 88, 84, 62, 60, 64, 66, 74, 90, 100, 92, 66, 40, 22, 12];
/// Always there: around the world.
const STEADY: &[u8; 24] =
    &[48, 46, 44, 44, 46, 50, 58, 66, 76, 86, 94, 98, 96, 98, 100, 98, 94, 90, 84, 78, 70, 62, 56, 52];
/// Calls that the fleet makes: office hours, evenly.
const OUTBOUND: &[u8; 24] = &[0, 0, 0, 0, 0, 0, 0, 10, 60, 90, 100, 95, 60, 80, 95, 100, 95, 70, 30, 5, 0, 0, 0, 0];

const HELP_LINE_DAYS: &[u8; 7] = &[102, 100, 104, 98, 96, 82, 78];
const SHOP_DAYS: &[u8; 7] = &[80, 82, 88, 92, 108, 120, 70];
const WORK_DAYS: &[u8; 7] = &[100, 104, 104, 100, 86, 12, 8];

/// Every agent of the fleet but [`CAMPAIGN`].
pub const AGENTS: &[Agent] = &[
    Agent {
        name: "support",
        stack: Stack::Pipeline { stt: "deepgram/nova-3", llm: "openai/gpt-4.1-mini", tts: BUSY_TTS },
        load: 12.5,
        hours: OFFICE,
        days: HELP_LINE_DAYS,
        by_phone: 0.7,
    },
    Agent {
        name: "claims",
        stack: Stack::Pipeline { stt: "deepgram/flux-general", llm: "openai/gpt-4.1-mini", tts: BUSY_TTS },
        load: 3.0,
        hours: OFFICE,
        days: HELP_LINE_DAYS,
        by_phone: 0.9,
    },
    Agent {
        name: "booking",
        stack: Stack::Pipeline { stt: "deepgram/nova-3", llm: "google/gemini-3-flash", tts: FALLBACK_TTS },
        load: 7.0,
        hours: EVENING,
        days: SHOP_DAYS,
        by_phone: 0.55,
    },
    Agent {
        name: "tutor",
        stack: Stack::Pipeline {
            stt: "assemblyai/universal-streaming",
            llm: "google/gemini-3-flash",
            tts: "inworld/inworld-tts-1.5",
        },
        load: 13.0,
        hours: STEADY,
        days: SHOP_DAYS,
        by_phone: 0.0,
    },
    Agent {
        name: "concierge",
        stack: Stack::Realtime { model: "openai/gpt-realtime" },
        load: 4.0,
        hours: STEADY,
        days: SHOP_DAYS,
        by_phone: 0.2,
    },
    Agent {
        name: "survey",
        stack: Stack::Pipeline { stt: "assemblyai/universal-streaming", llm: "openai/gpt-4o-mini", tts: "rime/arcana" },
        load: 3.0,
        hours: OUTBOUND,
        days: WORK_DAYS,
        by_phone: 1.0,
    },
];

/// The agent of the bursts: it calls many people at once, now and then.
pub const CAMPAIGN: Agent = Agent {
    name: "reminder",
    stack: Stack::Pipeline { stt: "deepgram/nova-3", llm: "openai/gpt-4.1-mini", tts: CAMPAIGN_TTS },
    load: 0.0,
    hours: OUTBOUND,
    days: WORK_DAYS,
    by_phone: 1.0,
};

/// Calls at once that a busy hour brings to each agent, by its name: alone, those of the busy model are beyond its limit.
/// With those of its fallback, beyond both.
pub const BUSY_HOUR: &[(&str, u32)] = &[("support", 38), ("claims", 4), ("booking", 26), ("tutor", 14)];

/// The provider that fails when one is asked to, as its models begin, and as people say it.
pub const FAILING: (&str, &str) = ("elevenlabs/", "ElevenLabs");

/// Calls at once that come while it fails, so that there is something to fail at any hour.
pub const WHILE_FAILING: &[(&str, u32)] = &[("support", 14), ("claims", 2)];

/// The limits of a kind, or of one of its models: the fleet's contracts.
const LIMITS: &[(Kind, &str, u32)] = &[
    (Kind::Llm, "", 120),
    (Kind::Llm, "openai/gpt-4.1-mini", 60),
    (Kind::Stt, "", 120),
    (Kind::Stt, "deepgram/nova-3", 60),
    (Kind::Tts, "", 120),
    (Kind::Tts, BUSY_TTS, BUSY_TTS_LIMIT),
    (Kind::Tts, FALLBACK_TTS, 40),
    (Kind::Tts, "inworld/inworld-tts-1.5", 32),
    (Kind::Tts, CAMPAIGN_TTS, 28),
    (Kind::Agent, "", 120),
    (Kind::Participant, "", 200),
    (Kind::Sip, "", 60),
    (Kind::Ingress, "", 4),
    (Kind::Egress, "", 12),
];

/// What the fleet falls back to: a name, and the models, the primary first.
const CHAINS: &[(&str, Kind, &[&str])] = &[
    ("reasoning", Kind::Llm, &["openai/gpt-4.1-mini", "google/gemini-3-flash"]),
    ("transcription", Kind::Stt, &["deepgram/nova-3", "assemblyai/universal-streaming"]),
    ("voice", Kind::Tts, &[BUSY_TTS, FALLBACK_TTS]),
];

/// The meter of a kind, or of one of its models, on the gateway's account.
pub fn meter(kind: Kind, model: &str) -> Meter {
    Meter { kind, model: model.into(), account: DEFAULT_ACCOUNT.into(), unit: Unit::Stream }
}

/// The chain whose primary a model is.
pub fn chain_of(kind: Kind, model: &str) -> Option<&'static str> {
    let is_it = |(_, of, models): &&(&str, Kind, &[&str])| *of == kind && models.first() == Some(&model);
    CHAINS.iter().find(is_it).map(|(name, ..)| *name)
}

/// The chains of the fleet, in a project.
pub fn chains(project: &Project) -> Vec<Chain> {
    let chain = |(name, kind, models): &(&str, Kind, &[&str])| Chain {
        project: project.clone(),
        name: (*name).into(),
        kind: *kind,
        models: models.iter().map(|model| meter(*kind, model)).collect(),
        thresholds: Some(Thresholds::default()),
        dwell: MIN_DWELL,
    };
    CHAINS.iter().map(chain).collect()
}

/// The limits that the fleet is under: most slots held at once, by target.
pub fn limits() -> Vec<(Target, u32)> {
    let account: Arc<str> = DEFAULT_ACCOUNT.into();
    let target = |kind: Kind, model: &str| {
        if model.is_empty() {
            Target::KindPool { kind, account: account.clone() }
        } else {
            Target::Meter(meter(kind, model))
        }
    };
    LIMITS.iter().map(|(kind, model, slots)| (target(*kind, model), *slots)).collect()
}
