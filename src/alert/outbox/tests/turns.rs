//! Whose turn it is, also where one project has many recipients.

use super::*;

const MANY: u32 = 1_000;

fn of(project: &str, nth: u32, severity: Severity, seconds: u64) -> Row {
    Row {
        project: Project::new(project).unwrap(),
        recipient: format!("r{nth:05}").into(),
        ..row(&format!("{project}-{nth}"), nth, NoticeKind::Fired, severity, seconds)
    }
}

fn put(outbox: &mut Outbox, row: Row) {
    outbox.take([row]);
}

fn ids(batches: &[Batch]) -> Vec<String> {
    batches.iter().map(|batch| batch.rows[0].id.to_string()).collect()
}

#[test]
fn a_project_of_many_recipients_holds_up_no_other() {
    let mut outbox = Outbox::default();
    (0..MANY).for_each(|nth| put(&mut outbox, of("big", nth, Severity::Critical, 0)));
    assert_eq!(taken(&mut outbox, 0, 60).len(), 60);
    put(&mut outbox, of("nx", 0, Severity::Critical, 6));
    put(&mut outbox, of("ny", 0, Severity::Info, 6));
    assert_eq!(ids(&taken(&mut outbox, 7, 2)), ["nx-0", "ny-0"], "who was not served has the turn");
    put(&mut outbox, of("nx", 1, Severity::Critical, 8));
    put(&mut outbox, of("nx", 2, Severity::Critical, 8));
    let next = ids(&taken(&mut outbox, 8, 4));
    assert!(next[0].starts_with("big") && next[1] == "nx-1", "then they take turns: {next:?}");
    assert!(next[2].starts_with("big") && next[3] == "nx-2", "{next:?}");
}

#[test]
fn within_a_project_the_worst_goes_first_and_then_what_waits_longest() {
    let mut outbox = Outbox::default();
    for (nth, severity, seconds) in
        [(1, Severity::Info, 0), (2, Severity::Critical, 9), (3, Severity::Warning, 1), (4, Severity::Critical, 5)]
    {
        put(&mut outbox, of("big", nth, severity, seconds));
    }
    let mut order = Vec::new();
    for second in 10..15 {
        order.extend(ids(&taken(&mut outbox, second, 1)));
    }
    assert_eq!(order, ["big-4", "big-2", "big-3", "big-1"]);
}

#[test]
fn mails_and_webhooks_have_turns_of_their_own() {
    let mut outbox = Outbox::default();
    (0..3).for_each(|nth| put(&mut outbox, of("big", nth, Severity::Critical, 0)));
    let sort_of = |row: &Row| if row.recipient.ends_with('1') { Sort::Webhook } else { Sort::Mail };
    let asked = Asked { sort_of: &sort_of, ..asked(&|_| true) };
    let webhooks = outbox.claim(at(0), Sort::Webhook, 9, &asked);
    assert_eq!((ids(&webhooks), outbox.claim(at(0), Sort::Mail, 9, &asked).len()), (vec!["big-1".to_owned()], 2));
    // Who was told by a mail is told by a webhook from now on.
    outbox.unclaim(&webhooks);
    let all = Asked { sort_of: &|_| Sort::Mail, ..asked };
    outbox.look_again(&Project::new("big").unwrap(), &"r00001".into());
    assert_eq!(outbox.claim(at(0), Sort::Mail, 9, &all).len(), 1);
}

#[test]
fn what_is_silenced_keeps_nobody_waiting_and_goes_when_it_is_not() {
    let mut outbox = Outbox::default();
    (0..3).for_each(|nth| put(&mut outbox, of("big", nth, Severity::Critical, 0)));
    let some = |row: &Row| &*row.recipient == "r00002";
    assert_eq!(ids(&outbox.claim(at(0), Sort::Mail, 1, &asked(&some))), ["big-2"]);
    assert_eq!(taken(&mut outbox, 1, 9).len(), 2);
}

/// A claim of one message looks at those alone of whom something has changed.
#[test]
fn a_claim_does_not_go_through_all_that_waits() {
    let mut outbox = Outbox::default();
    (0..MANY).for_each(|nth| put(&mut outbox, of("big", nth, Severity::Critical, 0)));
    let looked_at = std::cell::Cell::new(0);
    let sort_of = |_: &Row| {
        looked_at.set(looked_at.get() + 1);
        Sort::Mail
    };
    let asked = Asked { sort_of: &sort_of, ..asked(&|_| true) };
    assert_eq!((outbox.claim(at(0), Sort::Mail, 1, &asked).len(), looked_at.replace(0)), (1, MANY));
    for second in 1..100 {
        let batch = outbox.claim(at(second), Sort::Mail, 1, &asked).remove(0);
        let rows = outbox.tried(&batch, &Tried::Sent("250".into()), at(second), 0);
        outbox.take(rows);
    }
    assert!(looked_at.get() < 300, "{}", looked_at.get());
    // Nor does one of which all were told lately.
    let all = taken(&mut outbox, 200, usize::MAX);
    assert_eq!(all.len() as u32, MANY - 100);
}
