//! Answers as messages of the contract.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{
    api::{
        convert::{to_duration, to_meter, to_target, to_timestamp},
        limit::to_limit,
        pages::Page,
        quota::check::{Columns, place_bytes},
        routed::to_condition,
    },
    history::{Risk, StepPoint, Week, heat::Cell},
    model::{Bound, Outcome, Target, Tick, Time, time::SECONDS_PER_MINUTE},
    proto,
    query::{
        Annotation, Distributions, Happening, HeatMap, History, QuotaList, QuotaView, SessionPage, SessionView, Status,
        Window, status::LiveKitStatus,
    },
};

pub fn second(tick: Tick) -> prost_types::Timestamp {
    to_timestamp(tick.start())
}

pub fn moment((level, at): (u32, Tick)) -> proto::Moment {
    proto::Moment { level, at: Some(second(at)) }
}

pub const fn risk(risk: Option<Risk>) -> proto::Risk {
    match risk {
        None => proto::Risk::Unspecified,
        Some(Risk::Ok) => proto::Risk::Ok,
        Some(Risk::Approaching) => proto::Risk::Approaching,
        Some(Risk::AtLimit) => proto::Risk::AtLimit,
        Some(Risk::Over) => proto::Risk::Over,
        Some(Risk::Unknown) => proto::Risk::Unknown,
    }
}

pub const fn bound(bound: Bound) -> proto::Bound {
    match bound {
        Bound::Exact => proto::Bound::Exact,
        Bound::AtLeast => proto::Bound::AtLeast,
        Bound::AtMost => proto::Bound::AtMost,
        Bound::About => proto::Bound::About,
    }
}

pub const fn week(week: Option<Week>) -> proto::Week {
    match week {
        None => proto::Week::Unspecified,
        Some(Week::Calm) => proto::Week::Calm,
        Some(Week::OneOff) => proto::Week::OneOff,
        Some(Week::Repeating) => proto::Week::Repeating,
        Some(Week::Constant) => proto::Week::Constant,
        Some(Week::Scattered) => proto::Week::Scattered,
    }
}

/// The kind of peaks of this word.
pub fn week_of(word: &str) -> proto::Week {
    week(Week::ALL.into_iter().find(|week| week.as_str() == word))
}

fn closed(counts: &[u64; Outcome::COUNT]) -> proto::ClosedCounts {
    let of = |outcome: Outcome| counts[outcome.index()];
    proto::ClosedCounts {
        ok: of(Outcome::Ok),
        cancelled: of(Outcome::Cancelled),
        concurrency: of(Outcome::Concurrency),
        rate: of(Outcome::Rate),
        credits: of(Outcome::Credits),
        unavailable: of(Outcome::Unavailable),
        timeout: of(Outcome::Timeout),
        auth: of(Outcome::Auth),
        other: of(Outcome::Other),
        lost: of(Outcome::Lost),
    }
}

pub fn quota(quota: &QuotaView) -> proto::Quota {
    let target = &quota.key.target;
    proto::Quota {
        target: Some(to_target(target)),
        display_name: quota.name.to_string(),
        level: quota.level,
        level_bound: bound(quota.level_bound).into(),
        silent_level: quota.silent_level,
        limit: quota.limit.as_ref().map(|limit| to_limit(target, limit, limit.end)),
        risk: risk(quota.risk).into(),
        week: week(quota.week).into(),
        minutes_near_limit: quota.minutes_near,
        minutes_covered: quota.minutes_covered,
        peak: quota.peak.map(moment),
        recent_peak: quota.recent_peak,
        in_catalogue: quota.in_catalogue,
        covered: quota.covered,
        opened: quota.opened,
        refused: quota.refused,
        diverted: quota.diverted,
        closed: Some(closed(&quota.closed)),
        peak_bound: bound(quota.peak_bound).into(),
        recent_peak_bound: bound(quota.recent_peak_bound).into(),
        known_since: quota.known_since.map(|since| second(since.first_tick())),
        condition: quota.provider.as_ref().map_or(0, |provider| to_condition(provider.condition) as i32),
        learned_ceiling: quota.provider.as_ref().and_then(|provider| provider.ceiling),
        learned_from: quota.provider.as_ref().map(|provider| provider.source.clone()).unwrap_or_default(),
    }
}

/// The verdict on a list, which is all of a project.
pub fn verdict(list: &QuotaList, zone: &TimeZone) -> proto::Verdict {
    let verdict = list.verdict(zone);
    let about = verdict.about.and_then(|nth| list.quotas.get(nth));
    proto::Verdict {
        sentence: verdict.sentence,
        target: about.map(|quota| to_target(&quota.key.target)),
        level: about.map_or(0, |quota| quota.level),
        limit_plus_one: about.and_then(|quota| quota.limit.as_ref()).map_or(0, |limit| plus_one(limit.slots)),
        risk: risk(about.and_then(|quota| quota.risk)).into(),
        week: week(about.and_then(|quota| quota.week)).into(),
        days_at_limit: verdict.days_at_limit,
        wanted_slots: verdict.wanted_slots,
    }
}

pub fn status(status: Status) -> proto::GetStatusResponse {
    proto::GetStatusResponse {
        version: status.version.to_owned(),
        started_at: Some(to_timestamp(status.started)),
        settling: status.settling,
        attached_workers: status.attached_workers,
        silent_workers: status.silent_workers,
        live_sessions: status.live_sessions,
        audit_drift: status.drift,
        durable_until: status.durable.map(|durable| second(durable.next())),
        degraded: status.degraded,
        store: status.store,
        warnings: status.warnings,
        simulation: status.simulation,
        livekit: status.livekit.map(livekit),
    }
}

fn livekit(status: LiveKitStatus) -> proto::LiveKitStatus {
    let counted = status.counted;
    proto::LiveKitStatus {
        has_lists: status.has_lists,
        lists_read_at: status.read_at.map(to_timestamp),
        lists_read: counted.lists_read,
        lists_failed: counted.lists_failed,
        missed_begins: counted.missed_begins,
        missed_ends: counted.missed_ends,
        events: counted.events,
        repeated: counted.repeated,
        passed_over: counted.passed_over,
        stale: counted.stale,
        given_up: counted.given_up,
        ends_first: counted.ends_first,
        unsigned: counted.unsigned,
        unreadable: counted.unreadable,
        refused: counted.refused,
        expired: counted.expired,
    }
}

pub fn histories(window: &Window, histories: Vec<proto::History>) -> proto::GetHistoryResponse {
    let step = Duration::from_secs(u64::from(window.width()) * SECONDS_PER_MINUTE);
    proto::GetHistoryResponse {
        start_time: Some(second(window.minutes().start.first_tick())),
        step: Some(to_duration(step)),
        histories,
    }
}

pub fn history(target: &Target, history: History, limits: Vec<Option<u32>>, wanted: &Columns) -> proto::History {
    let History { peaks, flags, steps, lowest } = history;
    let column = |is_wanted: bool, of: fn(&StepPoint) -> u64| -> Vec<u32> {
        let steps = if is_wanted { &steps[..] } else { &[] };
        steps.iter().map(|step| narrow(of(step))).collect()
    };
    let closed = |of: fn(&[u64; Outcome::COUNT]) -> u64| -> Vec<u32> {
        let steps = if wanted.sessions { &steps[..] } else { &[] };
        steps.iter().map(|step| narrow(of(&step.closed))).collect()
    };
    proto::History {
        target: Some(to_target(target)),
        peak: peaks,
        flags,
        peak_second: column(wanted.peak_second, |step| step.peak_at.0.saturating_sub(step.start.first_tick().0)),
        last: column(wanted.last, |step| step.last.into()),
        opened: column(wanted.sessions, |step| step.opened),
        closed_ok: closed(|closed| closed[Outcome::Ok.index()]),
        closed_cancelled: closed(|closed| closed[Outcome::Cancelled.index()]),
        closed_error: closed(|closed| closed[Outcome::Concurrency.index()..=Outcome::Other.index()].iter().sum()),
        lost: closed(|closed| closed[Outcome::Lost.index()]),
        refused: column(wanted.unmet, |step| step.refused),
        diverted: column(wanted.unmet, |step| step.diverted),
        covered_seconds: column(wanted.covered, |step| step.covered),
        limit_plus_one: limits.into_iter().map(plus_one).collect(),
        lowest_peak: lowest,
    }
}

/// A limit as the contract says it where there may be none.
pub fn plus_one(limit: Option<u32>) -> u32 {
    limit.map_or(0, |limit| limit.saturating_add(1))
}

fn narrow(sum: u64) -> u32 {
    u32::try_from(sum).unwrap_or(u32::MAX)
}

pub fn distributions(found: Distributions) -> proto::GetDistributionResponse {
    let level = |(percentile, level)| proto::LevelPercentile { percentile, level };
    let time_at = |(level, seconds)| proto::TimeAtLevel { level, seconds };
    let duration = |(percentile, millis)| proto::DurationPercentile {
        percentile,
        duration: Some(to_duration(Duration::from_millis(millis))),
    };
    proto::GetDistributionResponse {
        covered_seconds: found.covered_seconds,
        levels: found.levels.into_iter().map(level).collect(),
        time_at: found.time_at.into_iter().map(time_at).collect(),
        ended_sessions: found.ended_sessions,
        durations: found.durations.into_iter().map(duration).collect(),
        longest: found.longest.map(|millis| to_duration(Duration::from_millis(millis))),
    }
}

pub fn heat_map(found: HeatMap) -> proto::GetHeatMapResponse {
    let cell = |cell: &Cell| proto::HeatCell {
        peak: cell.peak,
        minutes_covered: cell.covered,
        minutes_near_limit: cell.near,
        permille_of_limit: cell.permille,
    };
    let cells = found.cells.iter().map(cell).collect();
    proto::GetHeatMapResponse { cells, week: week(found.week).into(), sentence: found.sentence }
}

pub fn annotation(mark: &Annotation) -> proto::Annotation {
    use proto::annotation::Happening as Told;
    let happening = match mark.happening {
        Happening::Limit => Told::Limit,
        Happening::Outage => Told::Outage,
        Happening::Request => Told::Request,
        Happening::Route => Told::Route,
        Happening::Alert => Told::Alert,
    };
    proto::Annotation {
        happening: happening.into(),
        start_time: Some(to_timestamp(mark.start)),
        end_time: mark.end.map(to_timestamp),
        target: mark.target.as_ref().map(to_target),
        text: mark.text.clone(),
    }
}

pub fn sessions(found: SessionPage, page: &Page, now: Time) -> proto::ListSessionsResponse {
    proto::ListSessionsResponse {
        next_page_token: found.last.map(|place| page.token(&place_bytes(&place))).unwrap_or_default(),
        sessions: found.sessions.into_iter().map(|held| session(held, now)).collect(),
        total_size: i32::try_from(found.total).unwrap_or(i32::MAX),
    }
}

fn session(held: SessionView, now: Time) -> proto::Session {
    let text_id = &held.labels.text_id;
    proto::Session {
        id: if text_id.is_empty() { held.place.id.to_string() } else { text_id.to_string() },
        worker_id: held.worker.into(),
        incarnation: held.place.incarnation.to_string(),
        meter: Some(to_meter(&held.meter)),
        labels: Some(proto::Labels { room: held.labels.room.into(), job: held.labels.job.into() }),
        since: Some(to_timestamp(held.place.since)),
        age: Some(to_duration(now.since(held.place.since))),
        last_beat: Some(to_timestamp(held.heard)),
        silent: held.silent,
    }
}
