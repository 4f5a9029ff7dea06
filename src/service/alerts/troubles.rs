//! What is wrong with the service itself, and with the way that sessions go: who is turned away, which chains use a fallback,
//! and how providers do.

use crate::{
    alert::{AlertKind, Subject, Trouble},
    model::{Frame, Now, Tick},
    route::Condition,
    service::{Service, alerts::State, health::STORE},
};

/// LiveKit's webhooks disagree with its lists when so many sessions were missed within so many seconds.
const MOST_DISAGREEMENTS: u64 = 5;
const DISAGREEMENT_SECONDS: u64 = 10 * 60;
/// Callers are turned away for so many seconds after one was.
const REFUSED_SECONDS: u64 = 60;

impl State {
    /// All that is wrong now.
    pub(super) fn troubles(&mut self, service: &Service, frames: &[Frame], now: Now) -> Vec<Trouble> {
        let at = now.wall.tick();
        let mut wrong = self.of_service(service, at);
        wrong.extend(self.refused(frames, at));
        for (id, provider) in service.unwell_providers(now) {
            if provider.condition != Condition::Up {
                let words = match provider.condition {
                    Condition::Probing => "Sessions on it failed. A few sessions try it again now.",
                    _ => "Sessions on it fail. A few sessions try it again after a while.",
                };
                wrong.push((Subject::Way(AlertKind::ProviderDown, id), words.to_owned()));
            }
            if let Some(ceiling) = provider.ceiling {
                let words = format!("Up to {ceiling} new sessions are sent there ({}).", provider.source);
                wrong.push((Subject::Way(AlertKind::ProviderDisagrees, id), words));
            }
        }
        wrong.extend(
            service
                .fallbacks_in_use()
                .into_iter()
                .map(|(id, words)| (Subject::Way(AlertKind::FallbackInUse, id), words)),
        );
        let gone = |subject: &Subject| matches!(subject, Subject::Way(..)) && self.engine.get(*subject).is_none();
        let over: Vec<_> = self.details.keys().filter(|subject| gone(subject)).copied().collect();
        over.iter().for_each(|subject| drop(self.details.remove(subject)));
        let mut troubles = Vec::with_capacity(wrong.len());
        for (subject, words) in wrong {
            self.details.insert(subject, words);
            troubles.push(subject);
        }
        troubles
    }

    /// Models of which callers were turned away of late.
    fn refused(&mut self, frames: &[Frame], at: Tick) -> Vec<(Subject, String)> {
        for frame in frames {
            for entry in frame.entries.iter().filter(|entry| entry.refused > 0) {
                let id = crate::model::KeyId(entry.key);
                // Of pools the same was said by their meters.
                if self.names.get(id).is_some_and(|key| !key.target.is_pool()) {
                    self.refused.insert(id, Tick(frame.tick.saturating_add(frame.repeat)));
                }
            }
        }
        self.refused.retain(|_, last| last.0 + REFUSED_SECONDS > at.0);
        let words = "Callers asked for a slot and were given none.";
        self.refused.keys().map(|id| (Subject::Way(AlertKind::Refused, *id), words.to_owned())).collect()
    }

    fn of_service(&mut self, service: &Service, at: Tick) -> Vec<(Subject, String)> {
        let mut wrong = Vec::new();
        if service.health.parts().contains(&STORE) {
            wrong.push((AlertKind::StoreDegraded, service.health.degraded().join("; ")));
        }
        let drift = service.live.drift();
        if drift > 0 {
            wrong.push((AlertKind::AuditDrift, format!("{drift} levels differ from the records that they stand for")));
        }
        let recent = self.recent_disagreements(service, at);
        if recent >= MOST_DISAGREEMENTS {
            let words =
                format!("in ten minutes LiveKit's webhooks missed {recent} beginnings and ends that its lists know of");
            wrong.push((AlertKind::WebhooksDisagree, words));
        }
        wrong.into_iter().map(|(kind, words)| (Subject::Service(kind), words)).collect()
    }

    fn recent_disagreements(&mut self, service: &Service, at: Tick) -> u64 {
        let counted = service.livekit.counts.read();
        let missed = counted.missed_begins + counted.missed_ends;
        self.disagreements.push_back((at, missed));
        while self.disagreements.front().is_some_and(|(then, _)| then.0 + DISAGREEMENT_SECONDS < at.0) {
            self.disagreements.pop_front();
        }
        let before = self.disagreements.front().map_or(missed, |(_, before)| *before);
        missed.saturating_sub(before)
    }
}
