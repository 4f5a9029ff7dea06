//! What overtakes what: nobody is told of a beginning after its end, and a message is of what fires now.

use super::*;
use crate::alert::Standing;

fn failed(outbox: &mut Outbox, batch: &Batch, seconds: u64) {
    let rows = outbox.tried(batch, &Tried::Failed("451 later".into()), at(seconds), 9);
    outbox.take(rows);
}

fn resolved(id: &str, key: u32, seconds: u64) -> Row {
    row(id, key, NoticeKind::Resolved, Severity::Warning, seconds)
}

fn of(outbox: &Outbox, id: &str) -> (NoticeKind, &'static str) {
    let row = outbox.get(id).unwrap();
    let delivery = match row.delivery {
        Delivery::Queued => "queued",
        Delivery::Sending { .. } => "sending",
        Delivery::Retry { .. } => "retry",
        Delivery::Sent { .. } => "sent",
        Delivery::Undeliverable { .. } => "undeliverable",
        Delivery::Superseded { .. } => "superseded",
    };
    (row.notice, delivery)
}

#[test]
fn an_end_does_not_overtake_a_beginning_that_waits_to_be_tried_again() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    failed(&mut outbox, &batch, 1);
    queue(&mut outbox, resolved("r", 1, 5));
    assert_eq!(of(&outbox, "a").1, "superseded");
    assert_eq!(of(&outbox, "r"), (NoticeKind::FiredAndResolved, "queued"));
    assert_eq!(sent(&mut outbox, 6), [["r"]], "nobody had the first: the second need not wait to be folded");
    assert!(sent(&mut outbox, 10_000).is_empty(), "and the beginning does not come after it");
}

#[test]
fn an_end_that_comes_while_its_beginning_is_on_its_way_waits_for_what_becomes_of_it() {
    // It is not taken: one message tells of both.
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    queue(&mut outbox, resolved("r", 1, 5));
    assert_eq!(of(&outbox, "r").0, NoticeKind::Resolved);
    assert!(claim(&mut outbox, 299).is_empty());
    failed(&mut outbox, &batch, 299);
    assert_eq!((of(&outbox, "a").1, of(&outbox, "r").0), ("superseded", NoticeKind::FiredAndResolved));
    assert_eq!(sent(&mut outbox, 300), [["r"]]);
    // It is taken late: the end comes after it.
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("x", 9, 0));
    sent(&mut outbox, 0);
    queue(&mut outbox, fired("a", 1, 1));
    let batch = taken(&mut outbox, 300, 1).remove(0);
    failed(&mut outbox, &batch, 301);
    let again = taken(&mut outbox, 311, 1).remove(0);
    assert_eq!(&*again.lead, "a");
    queue(&mut outbox, resolved("r", 1, 312));
    assert!(claim(&mut outbox, 609).is_empty(), "it is still on its way, although the next message is due");
    let rows = outbox.tried(&again, &Tried::Sent("250".into()), at(610), 0);
    outbox.take(rows);
    assert_eq!(sent(&mut outbox, 611), [["r"]]);
    assert_eq!(of(&outbox, "r").0, NoticeKind::Resolved);
}

#[test]
fn what_of_a_message_is_not_overtaken_comes_again_under_its_name() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    queue(&mut outbox, fired("b", 2, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    let lead = batch.lead.clone();
    failed(&mut outbox, &batch, 1);
    let (led, other) = if &*lead == "a" { (1, "b") } else { (2, "a") };
    queue(&mut outbox, resolved("r", led, 5));
    let again = taken(&mut outbox, 60, 1).remove(0);
    assert_eq!((&again.lead, again.rows.len(), &*again.rows[0].id), (&lead, 1, other));
    let rows = outbox.tried(&again, &Tried::Sent("250".into()), at(60), 0);
    outbox.take(rows);
    let mut kept = Outbox::new(outbox.rows().cloned());
    assert!(claim(&mut kept, 61).is_empty(), "a message without its first row is one, too, after a restart");
    assert_eq!(claim(&mut kept, 360), [["r"]]);
}

#[test]
fn a_message_is_of_what_fires_now_and_is_worst() {
    let mut outbox = Outbox::default();
    let rows = [
        row("over", 1, NoticeKind::FiredAndResolved, Severity::Critical, 50),
        row("eased", 2, NoticeKind::Fired, Severity::Critical, 40),
        row("near", 3, NoticeKind::Fired, Severity::Warning, 10),
        row("full", 4, NoticeKind::Fired, Severity::Critical, 20),
        row("beyond", 5, NoticeKind::Fired, Severity::Critical, 15),
    ];
    rows.into_iter().for_each(|row| queue(&mut outbox, row));
    let standing = |row: &Row| {
        let now = |severity, level| Some(Standing { fires: true, severity, level, limit: Some(20) });
        match &*row.id {
            "near" => now(Severity::Warning, 18),
            "full" => now(Severity::Critical, 20),
            "beyond" => now(Severity::Critical, 25),
            _ => None,
        }
    };
    let batch = outbox.claim(at(60), Sort::Mail, 1, &Asked { standing: &standing, ..asked(&|_| true) }).remove(0);
    let order: Vec<_> = batch.rows.iter().map(|row| &*row.id).collect();
    assert_eq!(order, ["beyond", "full", "near", "over", "eased"]);
    assert_eq!(&*batch.lead, "beyond");
}

#[test]
fn what_is_equally_bad_stands_in_the_same_order_for_everybody() {
    let mut outbox = Outbox::default();
    for (recipient, ids) in [("ops", ["p", "q", "r"]), ("lee", ["z", "y", "x"])] {
        for (key, id) in (0..).zip(ids) {
            let row = Row { recipient: recipient.into(), ..fired(id, key, 0) };
            queue(&mut outbox, row);
        }
    }
    let batches = taken(&mut outbox, 0, 9);
    let subjects = |batch: &Batch| batch.rows.iter().map(|row| row.subject).collect::<Vec<_>>();
    assert_eq!(subjects(&batches[0]), subjects(&batches[1]));
}

#[test]
fn the_end_of_what_fired_longer_ago_than_rows_are_kept_is_told() {
    let mut outbox = Outbox::default();
    for (nth, day) in [0, 1, 2, 3].into_iter().enumerate() {
        let notice = if day == 0 { NoticeKind::Fired } else { NoticeKind::Repeated };
        queue(&mut outbox, row(&format!("{nth}"), 1, notice, Severity::Warning, day * DAY));
        sent(&mut outbox, day * DAY);
    }
    queue(&mut outbox, fired("over", 2, 3 * DAY + 400));
    sent(&mut outbox, 3 * DAY + 400);
    let goes_on = |row: &Row| row.subject == Subject::Level(crate::model::KeyId(1));
    let mut gone: Vec<_> = outbox.expire(at(20 * DAY), &goes_on).iter().map(|id| id.to_string()).collect();
    gone.sort();
    assert_eq!(gone, ["1", "2", "over"], "the first and the last of what goes on stay");
    queue(&mut outbox, resolved("r", 1, 20 * DAY + 1));
    assert_eq!(sent(&mut outbox, 20 * DAY + 1), [["r"]]);
    assert_eq!(of(&outbox, "r").0, NoticeKind::Resolved);
    assert_eq!(outbox.expire(at(21 * DAY), &|_| false).len(), 2, "and then they are forgotten");
}

#[test]
fn a_recipient_who_takes_nothing_is_late_only_while_nobody_is_told() {
    let mut outbox = Outbox::default();
    queue(&mut outbox, Row { recipient: "dead".into(), ..fired("d", 1, 0) });
    let batch = taken(&mut outbox, 0, 1).remove(0);
    failed(&mut outbox, &batch, 1);
    assert_eq!(outbox.late_since(at(5), &|_| false), Some(at(0)), "nobody is told");
    queue(&mut outbox, fired("a", 1, 6));
    sent(&mut outbox, 7);
    assert_eq!(outbox.late_since(at(8), &|_| false), None, "others are: what it does not take shows with it");
    assert_eq!(outbox.late_since(at(20), &|_| false), Some(at(11)), "and it is to be tried again");
}

#[test]
fn what_could_not_be_tried_is_as_it_was_and_is_overtaken_as_before() {
    let waits = |outbox: &mut Outbox, batch: &Batch, seconds| {
        outbox.take_back(batch);
        let rows = outbox.tried(batch, &Tried::Waits("no server".into()), at(seconds), 9);
        outbox.take(rows);
    };
    let mut outbox = Outbox::default();
    queue(&mut outbox, fired("a", 1, 0));
    queue(&mut outbox, fired("b", 2, 0));
    let batch = taken(&mut outbox, 0, 1).remove(0);
    waits(&mut outbox, &batch, 1);
    for id in ["a", "b"] {
        assert_eq!((of(&outbox, id).1, outbox.get(id).unwrap().attempts), ("queued", 0));
    }
    // What came while it was to be sent takes its place.
    let batch = taken(&mut outbox, 2, 1).remove(0);
    assert_eq!(batch.rows.len(), 2, "it need not wait to be folded");
    queue(&mut outbox, resolved("r", 1, 3));
    waits(&mut outbox, &batch, 4);
    assert_eq!((of(&outbox, "a").1, of(&outbox, "r")), ("superseded", (NoticeKind::FiredAndResolved, "queued")));
    // A message that was tried stays that message.
    let batch = taken(&mut outbox, 5, 1).remove(0);
    failed(&mut outbox, &batch, 5);
    let again = taken(&mut outbox, 60, 1).remove(0);
    waits(&mut outbox, &again, 61);
    let next = taken(&mut outbox, 62, 1).remove(0);
    assert_eq!((&next.lead, next.rows.len(), next.rows[0].attempts), (&batch.lead, 2, 2));
}
