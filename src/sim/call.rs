//! One simulated call: a job in a room, and the sessions that it holds together.

use crate::{
    model::{Kind, Meter, Outcome, SessionId, Time, time::MICROS_PER_SECOND},
    sim::{
        agents::{Agent, Stack, chain_of, meter},
        random::Random,
    },
};

/// Half of the calls are shorter: 2.5 minutes.
const MEDIAN_SECONDS: f64 = 150.0;
/// Spread of the logarithm of their lengths: one call in forty lasts more than nine minutes.
const SPREAD: f64 = 0.65;
/// Shortest and longest call, in seconds. The longest is below the age at which an event is too late for history, so
/// that a live fleet can say since when its calls have been there.
pub const CALL_SECONDS: (f64, f64) = (6.0, 840.0);
/// Hosts that the agents run on.
const HOSTS: u64 = 12;
/// Share of the calls that are recorded (egress), and that bring a media stream with them (ingress).
const RECORDED: f64 = 0.07;
const WITH_STREAM: f64 = 0.008;
/// Share of the calls without a telephone in which a second person takes part.
const SECOND_PERSON: f64 = 0.15;
/// Letters and digits that LiveKit's ids are made of.
const ID_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// One held slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimSession {
    pub id: SessionId,
    pub meter: Meter,
    /// The chain that it is asked for by, where its agent would like the primary of one.
    pub chain: Option<&'static str>,
    pub connected: Time,
    /// After `connected`.
    pub disconnected: Time,
    pub outcome: Outcome,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The host whose worker process takes the call.
    pub worker: String,
    pub job: String,
    pub room: String,
    pub started: Time,
    /// In the order in which they are opened.
    pub sessions: Vec<SimSession>,
}

impl Call {
    /// A call of an agent. `tts` chooses the model it speaks with, knowing from when to when, and which the agent would
    /// like best.
    pub(super) fn new(
        agent: &Agent,
        started: Time,
        random: &mut Random,
        tts: impl FnOnce(Time, Time, &'static str) -> &'static str,
    ) -> Self {
        let seconds = random.log_normal(MEDIAN_SECONDS, SPREAD).clamp(CALL_SECONDS.0, CALL_SECONDS.1);
        let mut sessions = Sessions { started, seconds, outcome: outcome(random), random, list: Vec::with_capacity(8) };
        let by_phone = sessions.random.chance(agent.by_phone);
        sessions.hold(meter(if by_phone { Kind::Sip } else { Kind::Participant }, ""), 0.0, 0.2);
        if !by_phone && sessions.random.chance(SECOND_PERSON) {
            sessions.hold(meter(Kind::Participant, ""), 2.0, 4.0);
        }
        sessions.hold(meter(Kind::Agent, ""), 0.3, 0.9);
        match agent.stack {
            Stack::Pipeline { stt, llm, tts: liked } => {
                sessions.hold_model(Kind::Stt, stt, 0.9, 1.2);
                sessions.hold_model(Kind::Llm, llm, 1.2, 2.2);
                let (from, to) = sessions.interval(1.2, 2.4);
                let spoken = meter(Kind::Tts, tts(from, to, liked));
                sessions.hold_in(spoken, chain_of(Kind::Tts, liked), from, to, sessions.outcome);
            }
            Stack::Realtime { model } => sessions.hold_model(Kind::Realtime, model, 0.9, 1.4),
        }
        if sessions.random.chance(RECORDED) {
            sessions.hold(meter(Kind::Egress, ""), 1.0, 2.0);
        }
        if sessions.random.chance(WITH_STREAM) {
            sessions.hold(meter(Kind::Ingress, ""), 2.0, 4.0);
        }
        let mut sessions = sessions.list;
        sessions.sort_by_key(|session| session.connected);
        let id = |random: &mut Random| -> String {
            (0..12).map(|_| char::from(ID_LETTERS[random.below(ID_LETTERS.len() as u64) as usize])).collect()
        };
        Self {
            worker: format!("voice-agent-{:02}", random.below(HOSTS) + 1),
            job: format!("AJ_{}", id(random)),
            room: format!("{}-{}", agent.name, id(random)),
            started,
            sessions,
        }
    }

    /// When the last of its sessions ends.
    pub fn ended(&self) -> Time {
        self.sessions.iter().map(|session| session.disconnected).max().unwrap_or(self.started)
    }
}

/// How the models of a call end: mostly well.
fn outcome(random: &mut Random) -> Outcome {
    match random.unit() {
        share if share < 0.965 => Outcome::Ok,
        share if share < 0.985 => Outcome::Cancelled,
        share if share < 0.992 => Outcome::Timeout,
        share if share < 0.997 => Outcome::Unavailable,
        share if share < 0.9973 => Outcome::Rate,
        _ => Outcome::Other,
    }
}

/// The sessions of a call that is being made.
struct Sessions<'a> {
    started: Time,
    seconds: f64,
    outcome: Outcome,
    random: &'a mut Random,
    list: Vec<SimSession>,
}

impl Sessions<'_> {
    /// From some time between two seconds of the call to its end, or a little before that.
    fn interval(&mut self, earliest: f64, latest: f64) -> (Time, Time) {
        let at = |seconds: f64| Time(self.started.0.saturating_add((seconds * MICROS_PER_SECOND as f64) as u64));
        let from = at(self.random.between(earliest, latest));
        (from, at(self.seconds - self.random.between(0.0, 0.8)))
    }

    fn hold_in(
        &mut self,
        meter: Meter,
        chain: Option<&'static str>,
        connected: Time,
        disconnected: Time,
        outcome: Outcome,
    ) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.number().to_le_bytes());
        id[8..].copy_from_slice(&self.random.number().to_le_bytes());
        self.list.push(SimSession { id: SessionId(id), meter, chain, connected, disconnected, outcome });
    }

    fn hold_model(&mut self, kind: Kind, model: &str, earliest: f64, latest: f64) {
        let (from, to) = self.interval(earliest, latest);
        self.hold_in(meter(kind, model), chain_of(kind, model), from, to, self.outcome);
    }

    fn hold(&mut self, meter: Meter, earliest: f64, latest: f64) {
        let (from, to) = self.interval(earliest, latest);
        self.hold_in(meter, None, from, to, Outcome::Ok);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::agents::AGENTS;

    #[test]
    fn a_call_holds_its_sessions_together() {
        let started = Time::from_secs(1_000);
        for seed in 0..500 {
            for agent in AGENTS {
                let call = Call::new(agent, started, &mut Random::of(seed, 0, 0), |_, _, liked| liked);
                let kinds: Vec<_> = call.sessions.iter().map(|session| session.meter.kind).collect();
                assert!(kinds.contains(&Kind::Agent), "{kinds:?}");
                assert!(
                    kinds.contains(&Kind::Realtime)
                        || [Kind::Stt, Kind::Llm, Kind::Tts].iter().all(|kind| kinds.contains(kind))
                );
                assert!(kinds.contains(&Kind::Sip) != kinds.contains(&Kind::Participant));
                assert!(
                    call.sessions.iter().all(|s| started <= s.connected && s.connected < s.disconnected),
                    "{call:?}"
                );
                assert!(call.ended() <= started.after(std::time::Duration::from_secs_f64(CALL_SECONDS.1)));
            }
        }
    }
}
