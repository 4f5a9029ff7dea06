//! The facts of a message: what was decided, as it was then, and what history and the live state say beside it.

use std::{collections::HashMap, time::Duration};

use crate::{
    alert::{
        Address, Curve, Facts, Folded, Holder, HolderOf, NoticeKind, Row, Subject, Thread, Trend,
        facts::{Stands, Then},
    },
    history::LimitInForce,
    model::{
        Bound, Coverage, Flags, Key, KeyId, LimitHistory, Minute, Now, Outcome, Target, Unit,
        key::DEFAULT_ACCOUNT,
        time::{MINUTES_PER_WEEK, SECONDS_PER_MINUTE},
    },
    query::{Detail, Queries, SessionFilter, Window},
    service::{
        Service,
        alerts::{deliver::Delivered, name_of},
    },
};

/// Minutes of a step of the picture: 336 in seven days.
const STEP_MINUTES: u32 = 30;
/// Holders that are told, of each sort.
const MOST_HOLDERS: usize = 5;
/// Sessions that holders are counted from.
const MOST_SESSIONS: usize = 100_000;

/// What was decided so long ago is told with how it stands now beside it: whoever reads it decides on that.
const STALE: Duration = Duration::from_secs(60);

/// Gathers them. Reads the store, and walks what is held: for a thread of its own. What can't be read is left out: a mail
/// that says less is better than none.
pub fn gather(queries: &Queries, delivered: &Delivered, host: &str, now: Now) -> Facts {
    let (batch, service) = (&delivered.batch, queries.service());
    let row = &batch.rows[0];
    let alert = &row.alert;
    let zone = service.config.time_zone.clone();
    let mut facts = Facts {
        notice: row.notice,
        kind: row.kind,
        severity: row.severity,
        project: row.project.clone(),
        target: row.key.as_ref().map(|key| key.target.clone()),
        name: row.key.as_ref().map_or_else(|| row.kind.to_string(), |key| key.target.to_string()),
        detail: row.detail.clone(),
        deleted: !row.gone.is_empty(),
        stage_percent: row.stage_percent,
        level: alert.level,
        level_known: alert.known,
        limit: alert.limit,
        then: None,
        trend: Trend::Steady,
        peak: alert.peak,
        since: alert.began.start(),
        at: row.created,
        resolved: alert.resolved.map(|at| at.start()),
        week: None,
        week_in_words: None,
        time_to_limit: None,
        turned_away: 0,
        holders: Vec::new(),
        wanted_slots: None,
        curve: Curve::default(),
        link_base: service.config.alerts.link.clone().filter(|_| row.gone.is_empty()),
        row_link: row_link(row),
        snooze_link: alert_link(row),
        request_link: request_link(row),
        unsubscribe_link: None,
        also: batch.rows[1..].iter().map(|row| folded(service, row, host, now)).collect(),
        held_back: batch.held_back,
        thread: Thread { message_id: format!("{}@{host}", batch.lead), root: root(row, host) },
        zone,
        simulated: service.simulation,
        delayed: now.wall.since(row.created),
        held: row.held,
    };
    // Everybody in a channel could follow that of a webhook.
    if let Address::Mailbox(mailbox) = &delivered.recipient.address {
        let token = service.unsubscribe_token(&row.project, &row.recipient, mailbox);
        facts.unsubscribe_link = facts.link_base.as_ref().map(|base| {
            format!("{base}/alerts/unsubscribe?project={}&recipient={}&token={token}", row.project, row.recipient)
        });
    }
    if let Some(key) = &row.key
        && row.notice != NoticeKind::Test
    {
        add_history(queries, key, row, now, &mut facts);
    }
    facts
}

/// Whether a notice says how something stands: an end is told as it was.
fn tells_of_now(notice: NoticeKind) -> bool {
    matches!(notice, NoticeKind::Fired | NoticeKind::Repeated)
}

/// The identifier that all mails of an alert's episode refer to.
fn root(row: &Row, host: &str) -> String {
    format!("{}.{}@{host}", name_of(row.subject), row.alert.began.0)
}

fn folded(service: &Service, row: &Row, host: &str, now: Now) -> Folded {
    let is_stale = now.wall.since(row.created) >= STALE && tells_of_now(row.notice);
    let of_level = match row.subject {
        Subject::Level(id) if is_stale => Some(id),
        _ => None,
    };
    Folded {
        notice: row.notice,
        kind: row.kind,
        severity: row.severity,
        name: row.key.as_ref().map_or_else(|| row.kind.to_string(), |key| service.catalogue.display_name(&key.target)),
        target: row.key.as_ref().map(|key| key.target.clone()),
        level: row.alert.level,
        limit: row.alert.limit,
        since: row.alert.began.start(),
        resolved: row.alert.resolved.map(|at| at.start()),
        at: row.created,
        now: of_level.map(|id| stands(service, id, now)),
        row_link: row_link(row),
        root: root(row, host),
    }
}

/// How a meter or pool stands now.
fn stands(service: &Service, id: KeyId, now: Now) -> Stands {
    let rollup = service.rollup();
    let is_known = !service.live.is_settling() && rollup.coverage(id) != Coverage::None;
    let level = is_known.then(|| rollup.level(id));
    drop(rollup);
    Stands { level, limit: service.limits.slots_at(id, now.wall) }
}

/// The page on the row of an alert.
fn row_link(row: &Row) -> String {
    match &row.key {
        Some(key) => format!("/p/{}/quotas?select={}", key.project, select(&key.target)),
        None => "/operator".to_owned(),
    }
}

/// The page on the alert itself, where it is snoozed and acknowledged.
fn alert_link(row: &Row) -> String {
    let name = name_of(row.subject);
    match &row.key {
        Some(key) => format!("/p/{}/alerts?open={name}", key.project),
        None => format!("/alerts?open={name}"),
    }
}

/// The form that asks for more.
fn request_link(row: &Row) -> String {
    match &row.key {
        Some(key) => format!("/p/{}/requests?select={}", key.project, select(&key.target)),
        None => "/requests".to_owned(),
    }
}

/// A target as the page's address spells it: `tts/cartesia/sonic-3@direct~generation`, `pool:tts`.
fn select(target: &Target) -> String {
    let mut text = if target.is_pool() { "pool:".to_owned() } else { String::new() };
    text.push_str(target.kind().as_str());
    if !target.model().is_empty() {
        // The signs of account and unit, where a model has them.
        let model = target.model().replace('%', "%25").replace('@', "%40").replace('~', "%7E");
        text.push_str(&format!("/{model}"));
    }
    if &**target.account() != DEFAULT_ACCOUNT {
        text.push_str(&format!("@{}", target.account()));
    }
    if let Target::Meter(meter) | Target::ModelPool(meter) = target
        && meter.unit != Unit::Stream
    {
        text.push_str(&format!("~{}", meter.unit));
    }
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        _ if b"-_.~/@:".contains(&byte) => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn add_history(queries: &Queries, key: &Key, row: &Row, now: Now, facts: &mut Facts) {
    let service = queries.service();
    let Ok(view) = queries.quota(key, now) else { return };
    let as_of = service.live.tick(now);
    facts.name = view.name.to_string();
    facts.week = view.week;
    facts.week_in_words = view.week_in_words(as_of, &service.config.time_zone);
    facts.wanted_slots = Some(view.wanted_slots()).filter(|wanted| *wanted > 0);
    if facts.delayed >= STALE && row.kind.is_of_level() && tells_of_now(row.notice) {
        facts.then = Some(Then { level: facts.level, limit: facts.limit, at: facts.at });
        // After a restart, and where not all is counted, a level may be too low by all of it: that is not known, and no 0.
        facts.level_known = view.covered && view.level_bound == Bound::Exact;
        if facts.level_known {
            facts.level = view.level;
        }
        facts.limit = view.limit.as_ref().and_then(|limit| limit.slots);
        facts.peak = facts.peak.max(service.alerts.peak_of(&row.alert));
        facts.at = now.wall;
    }
    if row.kind.is_of_level() && facts.level_known {
        (facts.trend, facts.time_to_limit) = service.pace(view.id, facts.level, facts.limit, now);
        facts.holders = holders(queries, key);
    }
    let began = Minute((facts.since.tick().0 / SECONDS_PER_MINUTE) as u32);
    let end = as_of.minute().next();
    let week = Minute(end.0.saturating_sub(MINUTES_PER_WEEK));
    if let Ok(window) = Window::new(began.max(week)..end, 1)
        && let Ok(history) = queries.history(view.id, &window, Detail::All)
    {
        let [concurrency, rate] = [Outcome::Concurrency.index(), Outcome::Rate.index()];
        let steps = history.steps.iter();
        let turned = steps.map(|step| step.refused + step.diverted + step.closed[concurrency] + step.closed[rate]);
        facts.turned_away = turned.sum();
    }
    if let Ok(window) = Window::new(week..end, STEP_MINUTES)
        && let Ok(history) = queries.history(view.id, &window, Detail::Peaks)
    {
        let known = history.peaks.iter().zip(&history.flags);
        let peaks = known.map(|(peak, flags)| (!Flags(*flags).has(Flags::GAP)).then_some(*peak)).collect();
        let limits = limits(&service.limits.of(view.id), &window);
        facts.curve = Curve { first: window.minutes().start, step_minutes: STEP_MINUTES, peaks, limits };
    }
}

/// The lowest limit in force in each step.
fn limits(history: &LimitHistory, window: &Window) -> Vec<Option<u32>> {
    let mut in_force = LimitInForce::new(history);
    let minutes = window.minutes();
    let step = |first: u32| {
        let minutes = (first..first + window.width()).map(|minute| in_force.at(Minute(minute).first_tick().start()));
        minutes.flatten().min()
    };
    (minutes.start.0..minutes.end.0).step_by(window.width() as usize).map(step).collect()
}

/// Who holds the most slots of a key.
fn holders(queries: &Queries, key: &Key) -> Vec<Holder> {
    let filter = SessionFilter { target: Some(key.target.clone()), ..SessionFilter::default() };
    let Ok(page) = queries.sessions(&key.project, &filter, None, MOST_SESSIONS) else { return Vec::new() };
    let (mut workers, mut rooms): (HashMap<String, u32>, HashMap<String, u32>) = Default::default();
    for session in &page.sessions {
        *workers.entry(session.worker.to_string()).or_default() += 1;
        *rooms.entry(session.labels.room.to_string()).or_default() += 1;
    }
    [(HolderOf::Worker, workers), (HolderOf::Room, rooms)]
        .into_iter()
        .flat_map(|(of, counted)| top(of, counted))
        .collect()
}

fn top(of: HolderOf, counted: HashMap<String, u32>) -> Vec<Holder> {
    let mut holders: Vec<_> = counted.into_iter().map(|(name, slots)| Holder { of, name, slots }).collect();
    holders.sort_by(|a, b| b.slots.cmp(&a.slots).then_with(|| a.name.cmp(&b.name)));
    holders.truncate(MOST_HOLDERS);
    holders
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Kind, LimitEntry, Meter};

    #[test]
    fn a_link_selects_the_row() {
        let meter = Meter::new(Kind::Tts, "a/b+c", "direct", None).unwrap();
        assert_eq!(select(&Target::Meter(meter)), "tts/a/b%2Bc@direct");
        let odd = Meter::new(Kind::Tts, "a/b@c", "direct", None).unwrap();
        assert_eq!(select(&Target::Meter(odd)), "tts/a/b%2540c@direct", "as the page's keys spell it, escaped");
        assert_eq!(select(&Target::KindPool { kind: Kind::Stt, account: DEFAULT_ACCOUNT.into() }), "pool:stt");
    }

    #[test]
    fn a_step_has_the_lowest_limit_in_force_in_it() {
        let entry = |slots, start: u32| LimitEntry {
            slots,
            start: Minute(start).first_tick().start(),
            end: None,
            set_by: String::new(),
            reason: String::new(),
        };
        let history = LimitHistory::new(vec![entry(Some(20), 10), entry(Some(15), 20), entry(None, 60)]);
        let window = Window::new(Minute(0)..Minute(120), 30).unwrap();
        assert_eq!(limits(&history, &window), [Some(15), Some(15), None, None]);
    }

    #[test]
    fn who_holds_most_comes_first() {
        let counted = ["a", "b", "c", "d", "e", "f"].into_iter().zip([1, 3, 2, 9, 1, 1]);
        let held = top(HolderOf::Room, counted.map(|(name, slots)| (name.to_owned(), slots)).collect());
        let held: Vec<_> = held.iter().map(|holder| (&*holder.name, holder.slots)).collect();
        assert_eq!(held, [("d", 9), ("b", 3), ("c", 2), ("a", 1), ("e", 1)]);
    }
}
