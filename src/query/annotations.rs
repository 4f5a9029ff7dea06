//! What happened that a chart should mark: changes of limits and routes, outages of the service, requests for more, alerts.

use std::ops::Range;

use crate::{
    alert::{AlertKind, Subject},
    model::{IncreaseRequest, LimitHistory, Now, Project, Target, Time, request::Ruling, text::number},
    query::{Queries, Result},
    service::{alerts::Past, outages::Outage, routing::Turn},
};

/// Most annotations of a list, the newest of all.
pub const MOST_ANNOTATIONS: usize = 1_000;

/// A sort of annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    Limit,
    Outage,
    Request,
    Route,
    Alert,
}

/// A mark on a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub happening: Happening,
    /// When, or since when.
    pub start: Time,
    /// Until when; `None` for a moment.
    pub end: Option<Time>,
    /// `None` when it concerns the whole project.
    pub target: Option<Target>,
    pub text: String,
}

impl Queries {
    /// What happened in a window, the oldest first: to these targets, or to all when there are none, and to the whole.
    ///
    /// # Errors
    /// When the project was never seen.
    pub fn annotations(
        &self,
        project: &Project,
        targets: &[Target],
        window: &Range<Time>,
        now: Now,
    ) -> Result<Vec<Annotation>> {
        self.seen(project)?;
        let service = &*self.service;
        let is_wanted = |target: &Target| targets.is_empty() || targets.contains(target);
        // What is called something is called so here too.
        let called = |by: &str| service.access.name_of(by, project.as_str()).unwrap_or_else(|| by.to_owned());
        let mut found = Vec::new();
        for tally in service.live.registry.of_project(project) {
            let target = &tally.key.target;
            if is_wanted(target) {
                found.extend(of_limit(target, &service.limits.of(tally.id), window, now.wall, &called));
            }
        }
        let requests = service.requests.list(Some(project)).into_iter().filter(|request| is_wanted(&request.target));
        found.extend(
            requests.flat_map(|request| of_request(&request, &called)).filter(|mark| window.contains(&mark.start)),
        );
        let turns = service.routing.turns.of(project).into_iter().filter(|turn| window.contains(&turn.at));
        found.extend(turns.filter_map(|turn| of_turn(turn, &is_wanted)));
        let alerts = service.alerts.list(Some(project)).into_iter();
        let alerts = alerts.filter(|past| past.key.as_ref().is_some_and(|key| is_wanted(&key.target)));
        found.extend(alerts.filter_map(|past| of_alert(&past)).filter(|mark| window.contains(&mark.start)));
        let outages = service.outages.of(window.start, window.end);
        found.extend(outages.into_iter().map(|outage| of_outage(outage, now.wall)));
        found.sort_by_key(|mark| (mark.start, mark.happening));
        found.drain(..found.len().saturating_sub(MOST_ANNOTATIONS));
        Ok(found)
    }
}

/// The changes of the limit in force in a window, up to now: those by decisions, and those by time.
fn of_limit(
    target: &Target,
    history: &LimitHistory,
    window: &Range<Time>,
    now: Time,
    called: &dyn Fn(&str) -> String,
) -> Vec<Annotation> {
    let changes = history.changes();
    let in_window: Vec<_> = changes.into_iter().filter(|at| window.contains(at) && *at <= now).collect();
    let newest = in_window.len().saturating_sub(MOST_ANNOTATIONS);
    let mark = |at: &Time| {
        let (from, to) = (history.slots_at(Time(at.0.saturating_sub(1))), history.slots_at(*at));
        let spelled = |slots: Option<u32>| slots.map_or_else(|| "none".to_owned(), number);
        let entry = history.entries().iter().rev().find(|entry| entry.start == *at);
        let by = match entry {
            Some(entry) if entry.reason.is_empty() => format!(" by {}", called(&entry.set_by)),
            Some(entry) => format!(" by {}: {}", called(&entry.set_by), entry.reason),
            None => ": it ended by its time".to_owned(),
        };
        (from != to).then(|| Annotation {
            happening: Happening::Limit,
            start: *at,
            end: None,
            target: Some(target.clone()),
            text: format!("Limit {} → {}{by}", spelled(from), spelled(to)),
        })
    };
    in_window[newest..].iter().filter_map(mark).collect()
}

/// That it was asked, and what came of it.
fn of_request(request: &IncreaseRequest, called: &dyn Fn(&str) -> String) -> Vec<Annotation> {
    let mark = |start, text| Annotation {
        happening: Happening::Request,
        start,
        end: None,
        target: Some(request.target.clone()),
        text,
    };
    let wanted = number(request.wanted);
    let asked = format!("{wanted} asked for by {}: {}", called(&request.created_by), request.reason);
    let mut marks = vec![mark(request.created, asked)];
    if let Some(decision) = &request.decision {
        let word = if decision.word.is_empty() { String::new() } else { format!(": {}", decision.word) };
        let by = called(&decision.by);
        let text = match decision.ruling {
            Ruling::Approved => {
                format!("Request for {wanted} approved by {by}: {} granted{word}", number(decision.slots))
            }
            Ruling::ApprovedInPart => {
                format!("Request for {wanted} approved in part by {by}: {} granted{word}", number(decision.slots))
            }
            Ruling::Declined => format!("Request for {wanted} declined by {by}{word}"),
            Ruling::Withdrawn => format!("Request for {wanted} withdrawn by {by}{word}"),
        };
        marks.push(mark(decision.at, text));
    }
    marks
}

/// That new sessions of a chain go elsewhere: once, though it concerns two models.
fn of_turn(turn: Turn, is_wanted: &dyn Fn(&Target) -> bool) -> Option<Annotation> {
    let target = turn.concerns.into_iter().map(Target::Meter).find(is_wanted)?;
    Some(Annotation { happening: Happening::Route, start: turn.at, end: None, target: Some(target), text: turn.text })
}

/// How the way of sessions was, in words.
const fn was(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Refused => "callers were turned away",
        AlertKind::FallbackInUse => "new sessions went to the fallback",
        AlertKind::ProviderDown => "the provider was down",
        _ => "the provider refused below our limit",
    }
}

/// That it fired, from its beginning on.
fn of_alert(past: &Past) -> Option<Annotation> {
    let fired = past.alert.fired?;
    let of = past.alert.limit.map(|limit| format!(" of {}", number(limit))).unwrap_or_default();
    let text = match past.alert.subject {
        Subject::Level(_) => format!("Alert: up to {}{of}", number(past.alert.peak)),
        Subject::Way(kind, _) => format!("Alert: {}", was(kind)),
        Subject::Silence(_) | Subject::Service(_) => "Alert: its workers were silent".to_owned(),
    };
    Some(Annotation {
        happening: Happening::Alert,
        start: fired.start(),
        end: past.alert.resolved.map(|at| at.start()),
        target: past.key.as_ref().map(|key| key.target.clone()),
        text,
    })
}

fn of_outage(outage: Outage, now: Time) -> Annotation {
    let start = outage.from.start();
    let end = outage.to.map_or(now, |to| to.start()).max(start);
    let seconds = end.since(start).as_secs();
    let lasted = match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    };
    let words = if outage.to.is_some() { "lasted" } else { "has lasted" };
    let text = format!("The service was away, or learned again what its workers hold: it {words} {lasted}");
    Annotation { happening: Happening::Outage, start, end: Some(end), target: None, text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Kind, LimitEntry, Tick};

    fn entry(slots: Option<u32>, start: u64, end: Option<u64>, reason: &str) -> LimitEntry {
        LimitEntry { slots, start: Time(start), end: end.map(Time), set_by: "ada".into(), reason: reason.into() }
    }

    #[test]
    fn limits_are_marked_where_what_is_in_force_changes() {
        let target = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
        let history = LimitHistory::new(vec![
            entry(Some(20), 10, None, ""),
            entry(Some(26), 20, Some(40), "launch"),
            entry(Some(26), 30, Some(50), "longer"),
            entry(None, 60, None, "over"),
            entry(Some(9), 70, Some(90), "soon"),
        ]);
        let marks = of_limit(&target, &history, &(Time(10)..Time(100)), Time(80), &str::to_owned);
        let told: Vec<_> = marks.iter().map(|mark| (mark.start.0, &*mark.text)).collect();
        let expected = [
            (10, "Limit none → 20 by ada"),
            (20, "Limit 20 → 26 by ada: launch"),
            (50, "Limit 26 → 20: it ended by its time"),
            (60, "Limit 20 → none by ada: over"),
            (70, "Limit none → 9 by ada: soon"),
        ];
        assert_eq!(told, expected, "what ends at 90 has not ended yet");
        assert_eq!(of_limit(&target, &history, &(Time(11)..Time(20)), Time(80), &str::to_owned), []);
    }

    #[test]
    fn an_outage_that_goes_on_ends_now() {
        let mark = |to: Option<u64>, now| of_outage(Outage { from: Tick(100), to: to.map(Tick) }, Tick(now).start());
        let ended = mark(Some(115), 900);
        assert_eq!((ended.start, ended.end), (Tick(100).start(), Some(Tick(115).start())));
        assert!(ended.text.ends_with("it lasted 15 s"), "{}", ended.text);
        assert!(mark(None, 400).text.ends_with("it has lasted 5 min"));
        assert!(mark(Some(100 + 7_260), 9_000).text.ends_with("it lasted 2 h 1 min"));
    }
}
