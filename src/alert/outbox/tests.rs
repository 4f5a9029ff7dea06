//! When rows go out, which of them together, and what becomes of them.

#[cfg(test)]
mod order;

use super::*;
use crate::{
    alert::{Address, Alert, AlertKind, NoticeKind, Phase, Recipient, Severity, Subject},
    model::Tick,
};

const DAY: u64 = 24 * 3_600;

fn at(seconds: u64) -> Time {
    Time::from_secs(1_700_000_000 + seconds)
}

fn recipient() -> Recipient {
    Recipient {
        name: "ops".into(),
        project: Project::new("demo").unwrap(),
        address: Address::Mailbox("ops@example.com".into()),
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    }
}

fn row(id: &str, key: u32, notice: NoticeKind, severity: Severity, seconds: u64) -> Row {
    let subject = Subject::Level(crate::model::KeyId(key));
    let alert = Alert { phase: Phase::Firing, ..Alert::new(subject, Tick(7)) };
    Row {
        id: id.into(),
        project: recipient().project,
        recipient: "ops".into(),
        subject,
        key: None,
        notice,
        kind: AlertKind::AtLimit,
        severity,
        stage_percent: 100,
        detail: String::new(),
        alert,
        created: at(seconds),
        due: at(seconds),
        held: false,
        attempts: 0,
        delivery: Delivery::Queued,
        gone: Vec::new(),
    }
}

fn fired(id: &str, key: u32, seconds: u64) -> Row {
    row(id, key, NoticeKind::Fired, Severity::Warning, seconds)
}

fn queue(outbox: &mut Outbox, row: Row) {
    let changed = outbox.queue(row, &recipient());
    outbox.take(changed);
}

fn taken(outbox: &mut Outbox, seconds: u64, most: usize) -> Vec<Batch> {
    outbox.claim(at(seconds), most, &|_| true, &|_| None)
}

/// The ids of each message that goes out.
fn claim(outbox: &mut Outbox, seconds: u64) -> Vec<Vec<String>> {
    let batches = taken(outbox, seconds, 100);
    batches.iter().map(|batch| batch.rows.iter().map(|row| row.id.to_string()).collect()).collect()
}

fn sent(outbox: &mut Outbox, seconds: u64) -> Vec<Vec<String>> {
    let batches = taken(outbox, seconds, 100);
    for batch in &batches {
        let rows = outbox.tried(batch, &Tried::Sent("250 ok".into()), at(seconds), 0);
        outbox.take(rows);
    }
    batches.iter().map(|batch| batch.rows.iter().map(|row| row.id.to_string()).collect()).collect()
}

#[test]
fn the_first_notice_goes_at_once_and_what_follows_is_folded() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    assert_eq!(sent(&mut outbox, 0), [["a"]]);
    queue(&mut outbox, fired("b", 2, 10));
    queue(&mut outbox, row("c", 3, NoticeKind::Fired, Severity::Critical, 20));
    queue(&mut outbox, fired("d", 4, 30));
    assert!(sent(&mut outbox, 299).is_empty());
    assert_eq!(sent(&mut outbox, 300), [["c", "d", "b"]], "the worst first, then the newest");
    assert!(sent(&mut outbox, 10_000).is_empty());
}

#[test]
fn stages_of_an_alert_supersede_each_other_while_they_wait() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("x", 9, 0));
    sent(&mut outbox, 0);
    queue(&mut outbox, fired("a", 1, 1));
    queue(&mut outbox, row("b", 1, NoticeKind::Fired, Severity::Critical, 2));
    assert_eq!(sent(&mut outbox, 300), [["b"]]);
    assert!(matches!(outbox.get("a").unwrap().delivery, Delivery::Superseded { .. }));
}

#[test]
fn what_ended_is_told_to_who_was_told_that_it_began() {
    let resolved = |id, seconds| row(id, 1, NoticeKind::Resolved, Severity::Warning, seconds);
    // Nobody was told.
    let mut outbox = Outbox::default();
    queue(&mut outbox, resolved("r", 9));
    assert_eq!(outbox.rows().count(), 0);
    // Both wait: one message tells of both.
    queue(&mut outbox, fired("x", 9, 0));
    sent(&mut outbox, 0);
    queue(&mut outbox, fired("a", 1, 1));
    queue(&mut outbox, resolved("r", 9));
    assert_eq!(outbox.get("r").unwrap().notice, NoticeKind::FiredAndResolved);
    assert_eq!(sent(&mut outbox, 300), [["r"]]);
    // It was sent.
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    sent(&mut outbox, 0);
    queue(&mut outbox, resolved("r", 400));
    assert_eq!(outbox.get("r").unwrap().notice, NoticeKind::Resolved);
    assert_eq!(sent(&mut outbox, 400), [["r"]]);
}

#[test]
fn a_row_that_is_there_is_not_queued_again() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    sent(&mut outbox, 0);
    assert!(outbox.queue(fired("a", 1, 50), &recipient()).is_empty());
}

#[test]
fn ten_an_hour_and_the_next_one_tells_what_was_held_back() {
    let mut outbox = Outbox::default();
    let mut messages = Vec::new();
    for minute in 0..120 {
        queue(&mut outbox, fired(&format!("m{minute:03}"), minute, u64::from(minute) * 60));
        for batch in taken(&mut outbox, u64::from(minute) * 60, 100) {
            let rows = outbox.tried(&batch, &Tried::Sent(String::new()), at(u64::from(minute) * 60), 0);
            outbox.take(rows);
            messages.push((minute, batch.rows.len(), batch.held_back));
        }
    }
    for (nth, (minute, ..)) in messages.iter().enumerate() {
        let within = messages[nth..].iter().take_while(|(later, ..)| later - minute < 60).count();
        assert!(within <= MOST_AN_HOUR, "{messages:?}");
    }
    let told: usize = messages.iter().map(|(_, rows, _)| rows).sum();
    let waiting = outbox.open().count();
    assert_eq!(told + waiting, 120, "nothing is lost");
    assert!(messages.iter().any(|(.., held_back)| *held_back > 5), "{messages:?}");
}

#[test]
fn quiet_hours_hold_back_what_is_not_critical() {
    let zone = jiff::tz::TimeZone::UTC;
    // 22:13:20 is the time of day of the first second.
    let quiet = crate::alert::QuietHours { from: 22 * 60, to: 7 * 60, zone, critical_too: false };
    let recipient = Recipient { quiet: Some(quiet), ..recipient() };
    let mut outbox = Outbox::default();
    for row in [fired("a", 1, 0), row("b", 2, NoticeKind::Fired, Severity::Critical, 0), fired("c", 3, 60)] {
        let changed = outbox.queue(row, &recipient);
        outbox.take(changed);
    }
    assert_eq!(sent(&mut outbox, 60), [["b"]]);
    let morning = (8 * 60 + 46) * 60 + 40;
    assert!(sent(&mut outbox, morning - 1).is_empty());
    let batch = taken(&mut outbox, morning, 1).remove(0);
    assert_eq!((batch.rows.len(), batch.held_back), (2, 2));
}

#[test]
fn a_message_that_was_tried_is_the_same_message_again() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    let rows = outbox.tried(&batch, &Tried::Failed("451 later".into()), at(5), 29);
    assert_eq!(rows[0].delivery, Delivery::Retry { lead: "a".into(), at: at(35), reason: "451 later".into() });
    outbox.take(rows);
    queue(&mut outbox, fired("b", 2, 6));
    assert!(claim(&mut outbox, 34).is_empty());
    assert_eq!(claim(&mut outbox, 35), [["a"]], "what came since is another message");
    // Who sent it is gone: after its lease another does, the same message.
    assert_eq!(claim(&mut outbox, 335), [["a"]]);
    assert_eq!(outbox.get("a").unwrap().attempts, 3);
}

#[test]
fn kept_rows_go_on_as_they_were() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    sent(&mut outbox, 0);
    queue(&mut outbox, fired("b", 2, 10));
    let mut again = Outbox::new(outbox.rows().cloned());
    assert!(claim(&mut again, 299).is_empty());
    assert_eq!(claim(&mut again, 300), [["b"]]);
    let mut killed = Outbox::new(again.rows().cloned());
    assert!(claim(&mut killed, 599).is_empty());
    assert_eq!(claim(&mut killed, 600), [["b"]]);
}

#[test]
fn what_can_not_be_delivered_is_given_up_after_three_days() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let (mut now, mut tries) = (0, 0);
    loop {
        let Some(batch) = taken(&mut outbox, now, 1).pop() else {
            now += 1;
            continue;
        };
        tries += 1;
        let rows = outbox.tried(&batch, &Tried::Failed("no route".into()), at(now), 3_599);
        let over = !rows[0].is_open();
        outbox.take(rows);
        if over {
            break;
        }
    }
    assert!((3 * DAY..3 * DAY + 3_700).contains(&now), "{now}");
    assert!((72..400).contains(&tries), "{tries}");
    let Delivery::Undeliverable { reason, .. } = &outbox.get("a").unwrap().delivery else { panic!() };
    assert_eq!(reason, "given up after 72 hours: no route");
}

#[test]
fn what_could_not_be_written_is_claimed_again_at_once() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batches = taken(&mut outbox, 0, 1);
    outbox.unclaim(&batches);
    assert_eq!(outbox.get("a").unwrap().delivery, Delivery::Queued);
    assert_eq!(claim(&mut outbox, 1), [["a"]]);
    assert_eq!(outbox.get("a").unwrap().attempts, 1);
}

#[test]
fn what_is_refused_is_over_and_what_is_old_is_forgotten() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    let rows = outbox.tried(&batch, &Tried::Refused("550 nobody".into()), at(1), 0);
    outbox.take(rows);
    assert_eq!(outbox.open().count(), 0);
    assert!(outbox.expire(at(7 * DAY), &|_| true).is_empty());
    assert_eq!(outbox.expire(at(7 * DAY + 1), &|_| true).len(), 1);
}

#[test]
fn too_many_that_wait_are_dropped_and_counted() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("first", 0, 0));
    sent(&mut outbox, 0);
    (0..MOST_WAITING as u32 + 5)
        .for_each(|n| queue(&mut outbox, fired(&format!("{n:05}"), n + 1, 1 + u64::from(n) / 100)));
    let dropped = outbox.overflow(at(20));
    assert_eq!((dropped.len(), &*dropped[0].id), (5, "00000"));
    outbox.take(dropped);
    assert_eq!(taken(&mut outbox, 300, 1)[0].held_back, 5);
}

#[test]
fn pauses_grow_and_have_an_end() {
    let longest: Vec<_> = (1..=9).map(|attempts| pause(attempts, 3_599).as_secs()).collect();
    assert!(longest[..4].is_sorted() && longest[8] == 3_600, "{longest:?}");
    assert!((1..20).all(|attempts| pause(attempts, 0).as_secs() == 1));
}

/// A clock that was a year ahead when rows were written, and is right again.
#[test]
fn what_a_clock_that_was_ahead_wrote_waits_for_no_year() {
    const YEAR: u64 = 365 * DAY;
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, YEAR));
    assert_eq!(sent(&mut outbox, YEAR), [["a"]]);
    queue(&mut outbox, fired("b", 2, YEAR + 1));
    assert_eq!(claim(&mut outbox, 0), [["b"]], "neither its time nor the message before it is of the future");
    assert!(claim(&mut outbox, 1).is_empty(), "it is being sent");
    let mut ahead = Outbox::new(outbox.rows().cloned());
    let batch = taken(&mut ahead, YEAR, 9).remove(0);
    let rows = ahead.tried(&batch, &Tried::Failed("451".into()), at(YEAR), 29);
    let mut after = Outbox::new(rows);
    assert_eq!(claim(&mut after, 0), [["b"]], "the pause is not of a year");
}

#[test]
fn nothing_is_given_up_because_the_clock_jumped() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 9).remove(0);
    let rows = outbox.tried(&batch, &Tried::Failed("451".into()), at(30 * DAY), 0);
    assert!(rows[0].is_open(), "{:?}", rows[0].delivery);
}

#[test]
fn what_is_folded_is_not_late_and_what_is_not_taken_is() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    assert_eq!(outbox.late_since(at(7), &|_| false), Some(at(0)), "nobody sends it");
    assert_eq!(sent(&mut outbox, 7), [["a"]]);
    queue(&mut outbox, fired("b", 2, 10));
    assert_eq!(outbox.late_since(at(306), &|_| false), None, "it waits for those that may follow");
    assert_eq!(outbox.late_since(at(320), &|_| false), Some(at(307)));
    let batch = taken(&mut outbox, 320, 9).remove(0);
    let rows = outbox.tried(&batch, &Tried::Failed("451".into()), at(320), 9);
    outbox.take(rows);
    assert_eq!(outbox.late_since(at(321), &|_| false), Some(at(10)));
}

#[test]
fn a_message_goes_on_without_what_was_snoozed_which_has_a_name_of_its_own_then() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, row("a", 1, NoticeKind::Fired, Severity::Critical, 0));
    queue(&mut outbox, fired("b", 2, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    let rows = outbox.tried(&batch, &Tried::Failed("451".into()), at(0), 0);
    outbox.take(rows);
    let silenced = |row: &Row| &*row.id == "a";
    let held = outbox.hold(&silenced);
    assert_eq!((held.len(), &held[0].delivery, held[0].held), (1, &Delivery::Queued, true));
    outbox.take(held);
    assert!(outbox.hold(&silenced).is_empty(), "once");
    let rest = outbox.claim(at(30), 9, &|row| !silenced(row), &|_| None).remove(0);
    assert_eq!((&*rest.lead, rest.rows.len()), ("a", 1), "the message that was tried");
    let rows = outbox.tried(&rest, &Tried::Sent(String::new()), at(30), 0);
    outbox.take(rows);
    assert_eq!(outbox.late_since(at(4_000), &silenced), None, "it is not late");
    let alone = taken(&mut outbox, 4_000, 9).remove(0);
    assert_eq!((&*alone.lead, &*alone.rows[0].id, alone.held_back), ("a-1", "a", 1));
}

#[test]
fn a_message_that_is_snoozed_as_a_whole_is_the_same_message_later() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    let rows = outbox.tried(&batch, &Tried::Failed("451".into()), at(0), 0);
    outbox.take(rows);
    let held = outbox.hold(&|_| true);
    outbox.take(held);
    assert_eq!(&*taken(&mut outbox, 4_000, 9).remove(0).lead, "a");
}

#[test]
fn what_was_on_its_way_when_the_service_ended_counts_in_its_hour() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    assert_eq!(taken(&mut outbox, 0, 1).len(), 1);
    let mut again = Outbox::new(outbox.rows().cloned());
    queue(&mut again, fired("b", 2, 10));
    assert!(claim(&mut again, 20).is_empty(), "it may have arrived, so that this waits to be folded");
}
