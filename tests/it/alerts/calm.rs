//! A month of real calls under limits that they reach every day: whoever is told of it is told rarely.

use std::collections::{BTreeMap, HashMap};

use highwater::{
    alert::{
        Address, Asked, Delivery, Engine, Keys, NoticeKind, Outbox, Recipient, Row, Severity, Sort, Subject, Tried,
        rule::KEEP_SECONDS, state::What,
    },
    import::{Gathered, trace::TraceReader},
    model::{Entry, Frame, Key, KeyId, Meter, Project, Target, Tick},
};

use crate::oracle::{data, second_peaks};

const HOUR: u64 = 3_600;

/// The models, each with a limit of its own.
struct Models(Vec<(Key, u32)>);

impl Keys for Models {
    fn key(&self, id: KeyId) -> Option<Key> {
        self.0.get(id.0 as usize).map(|(key, _)| key.clone())
    }

    fn limit(&self, id: KeyId, _: Tick) -> Option<u32> {
        self.0.get(id.0 as usize).map(|(_, limit)| *limit)
    }
}

/// The level at the end of each second.
fn last_levels(intervals: &[(u64, u64)], first: u64, last: u64) -> Vec<u32> {
    let mut moves: HashMap<u64, i64> = HashMap::new();
    for (from, to) in intervals {
        *moves.entry(from / 1_000_000).or_default() += 1;
        // What ends as a second begins is over at the end of the one before.
        *moves.entry(to.saturating_sub(1) / 1_000_000).or_default() -= i64::from(to % 1_000_000 == 0);
        *moves.entry(to / 1_000_000).or_default() -= i64::from(to % 1_000_000 != 0);
    }
    let mut level = 0;
    (first..=last)
        .map(|second| {
            level += moves.get(&second).copied().unwrap_or(0);
            u32::try_from(level).unwrap()
        })
        .collect()
}

fn recipient(project: &Project) -> Recipient {
    Recipient {
        name: "ops".into(),
        project: project.clone(),
        address: Address::Mailbox("ops@x.example".into()),
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    }
}

#[test]
fn a_month_of_calls_fires_once_a_model_and_hour_at_most() {
    let Some(file) = data("calls-1999-01.csv") else { return };
    let mut trace = Gathered::default();
    TraceReader::new(file).unwrap().for_each(|item| trace.take(item.unwrap()));
    let (first, last) = trace.window().unwrap();
    let (first, last) = (first.tick().0, last.tick_before().0);
    let project = Project::new("demo").unwrap();
    let mut courses: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
    let mut models = Models(Vec::new());
    for (nth, meter) in trace.meters.iter().enumerate() {
        let of_meter = trace.sessions.iter().filter(|session| session.meter as usize == nth);
        let intervals: Vec<_> = of_meter.map(|session| (session.connected.0, session.disconnected.0)).collect();
        let peaks = second_peaks(&intervals, first, last);
        let peak = peaks.iter().max().copied().unwrap_or(0);
        let meter: Meter = meter.clone();
        let limit = (peak * 80).div_ceil(100);
        models.0.push((Key { project: project.clone(), target: Target::Meter(meter) }, limit));
        courses.push((peaks, last_levels(&intervals, first, last)));
    }

    let mut engine = Engine::default();
    let mut outbox = Outbox::default();
    let to = recipient(&project);
    let asked = Asked { sort_of: &|_| Sort::Mail, wanted: &|_| true, standing: &|_| None };
    let mut told: BTreeMap<NoticeKind, u32> = BTreeMap::new();
    let mut firings: BTreeMap<(Subject, u64), u32> = BTreeMap::new();
    let (mut mails, mut number) = (0_u32, 0_u64);
    for nth in 0..=(last - first) as usize {
        let tick = first + nth as u64;
        let mut entries = Vec::new();
        for (id, (peaks, levels)) in (0..).zip(&courses) {
            let before = if nth == 0 { u32::MAX } else { levels[nth - 1] };
            if levels[nth] != before || peaks[nth] != before {
                entries.push(Entry { key: id, level: levels[nth], peak: peaks[nth], ..Entry::default() });
            }
        }
        let decided = engine.take(&Frame { tick, entries, ..Frame::default() }, &[], &models);
        let now = Tick(tick + 1).start();
        for notice in &decided.notices {
            *told.entry(notice.notice).or_default() += 1;
            let rule = engine.rules.of(&project).into_iter().find(|rule| rule.name == notice.rule).unwrap();
            number += 1;
            let row = Row {
                id: format!("{number:08}").into(),
                project: project.clone(),
                recipient: to.name.clone(),
                subject: notice.alert.subject,
                key: None,
                notice: notice.notice,
                kind: rule.kind,
                severity: rule.severity,
                stage_percent: 0,
                detail: String::new(),
                alert: notice.alert.clone(),
                created: now,
                due: now,
                held: false,
                attempts: 0,
                delivery: Delivery::Queued,
                gone: Vec::new(),
            };
            let rows = outbox.queue(row, &to);
            outbox.take(rows);
        }
        for alert in decided.past.iter() {
            *firings.entry((alert.subject, alert.began.0 / HOUR)).or_default() += 1;
            // A rule that fired ends no sooner than the time for which it has to be low.
            let fires = |at: &highwater::alert::Event| matches!(at.what, What::Fired { .. });
            for (nth, event) in
                alert.events.iter().enumerate().filter(|(_, event)| matches!(event.what, What::Resolved { .. }))
            {
                let fired = alert.events[..nth].iter().rfind(|event| fires(event)).unwrap();
                let lasted = event.at.0 - fired.at.0;
                assert!(lasted >= u64::from(KEEP_SECONDS), "{:?} ended {lasted} s after it fired", alert.subject);
            }
        }
        for batch in outbox.claim(now, Sort::Mail, 10, &asked) {
            mails += 1;
            let rows = outbox.tried(&batch, &Tried::Sent("250".into()), now, 0);
            outbox.take(rows);
        }
    }
    let days = (last - first) / (24 * HOUR) + 1;
    println!("{days} days, {} models: {} episodes; told: {told:?}; {mails} mails", models.0.len(), firings.len());
    for (id, (key, limit)) in models.0.iter().enumerate() {
        let of = |(subject, _): &(Subject, u64)| *subject == Subject::Level(KeyId(id as u32));
        println!("  {} under {limit}: {} episodes", key.target, firings.keys().filter(|key| of(key)).count());
    }
    assert!(firings.len() > 10, "{firings:?}");
    assert!(firings.values().all(|count| *count == 1), "one a model and hour: {firings:?}");
    assert!(u64::from(mails) < days * 10, "{mails} mails");
}
