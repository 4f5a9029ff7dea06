//! What workers report, over a real connection to a real service.

use std::time::Duration;

use highwater::proto::{
    Beat, ColumnBatch, SnapshotChunk, StreamGoodbye, attach_request::Message as Say, attach_response::Message as Heard,
    snapshot_needed::Reason,
};
use tonic::Code;

use crate::serving::{
    MODEL, Serving, Worker, batch, config, connect, declare, digest, disconnect, hello, id, snapshot,
};

#[tokio::test]
async fn a_worker_s_sessions_are_counted_and_acknowledged() {
    let serving = Serving::start();
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    worker.say(declare(1, &format!("{MODEL}:some-voice"))).await;
    let Heard::Declared(declared) = worker.hear().await else { panic!("declared is due") };
    let meter = declared.meters[0].meter.clone().unwrap();
    assert_eq!((meter.model.as_str(), meter.account.as_str(), meter.unit), (MODEL, "livekit", 1));
    assert!(declared.meters[0].in_catalogue);
    worker.say(snapshot(&[1, 2])).await;
    let Heard::Ack(ack) = worker.hear().await else { panic!("an acknowledgement is due") };
    assert_eq!((ack.applied_seq, serving.level()), (0, 2));
    worker.say(batch(1, [connect(3), connect(4), disconnect(1)])).await;
    worker.say(batch(2, [connect(5)])).await;
    worker.until_applied(2).await;
    assert_eq!(serving.level(), 4);
    // Without another word from the worker, it hears that its second is durable.
    loop {
        let Heard::Ack(ack) = worker.hear().await else { panic!("an acknowledgement is due") };
        if ack.durable_seq == 2 {
            break;
        }
    }
    worker.say(Say::Goodbye(StreamGoodbye { outcome: 1 })).await;
    assert_eq!(worker.end().await.code(), Code::Ok);
    assert_eq!(serving.level(), 0);
}

#[tokio::test]
async fn columns_say_the_same() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let columns = ColumnBatch {
        seq: 1,
        session_ids: [id(2), id(3), id(1)].concat().into(),
        outcomes: vec![0, 0, 3].into(),
        handles: vec![1, 1, 0],
        ages_us: vec![0, 1_000_000, 86_400_000_000],
        label_refs: vec![0, 1, 0],
        labels: vec![highwater::proto::Labels { room: "lobby".into(), job: String::new() }],
    };
    worker.say(Say::Columns(columns)).await;
    worker.until_applied(1).await;
    assert_eq!(serving.level(), 2);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_changes_nothing() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1), connect(1)])).await;
    worker.say(batch(1, [connect(2)])).await;
    worker.say(batch(2, [disconnect(1), disconnect(1), connect(1), connect(3)])).await;
    worker.until_applied(2).await;
    assert_eq!(serving.level(), 1);
}

#[tokio::test]
async fn a_gap_asks_for_a_snapshot_and_passes_over_what_came_before_it() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[]).await;
    worker.say(batch(1, [connect(1)])).await;
    worker.until_applied(1).await;
    worker.say(batch(3, [connect(3)])).await;
    worker.say(batch(4, [connect(4)])).await;
    loop {
        match worker.hear().await {
            Heard::SnapshotNeeded(needed) => {
                assert_eq!((needed.reason(), needed.applied_seq), (Reason::Gap, 1));
                break;
            }
            Heard::Ack(ack) => assert_eq!(ack.applied_seq, 1),
            other => panic!("{other:?}"),
        }
    }
    worker.say(snapshot(&[1, 3, 4])).await;
    worker.say(batch(2, [connect(5)])).await;
    worker.until_applied(2).await;
    assert_eq!(serving.level(), 4);
}

#[tokio::test]
async fn a_newer_stream_takes_over_and_the_older_can_change_nothing() {
    let serving = Serving::start();
    let mut older = Worker::ready(&serving, hello(1, 1), &[1, 2, 3]).await;
    let mut newer = Worker::ready(&serving, hello(1, 2), &[3, 4]).await;
    assert_eq!(serving.level(), 2);
    // It may have heard already that it is over.
    older.try_say(batch(1, [connect(9)])).await;
    assert_eq!(older.end().await.code(), Code::Aborted);
    newer.say(batch(1, [connect(5)])).await;
    newer.until_applied(1).await;
    assert_eq!(serving.level(), 3);
    let mut late = Worker::open(&serving).await;
    late.say(Say::Hello(hello(1, 2))).await;
    assert_eq!(late.end().await.code(), Code::Aborted);
}

#[tokio::test]
async fn a_worker_that_is_cut_off_keeps_its_sessions_until_its_lease_ends() {
    let mut config = config();
    config.bounds.lease = Duration::from_secs(1);
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1, 2]).await;
    worker.say(batch(1, [connect(3)])).await;
    worker.until_applied(1).await;
    drop(worker);
    assert_eq!(serving.level(), 3);
    serving.until_level(0).await;
    let mut worker = Worker::open(&serving).await;
    worker.say(Say::Hello(hello(1, 2))).await;
    let Heard::LeaseExpired(expired) = worker.hear().await else { panic!("the lease had ended") };
    assert_eq!(expired.lost_sessions, 3);
    let Heard::Welcome(welcome) = worker.hear().await else { panic!("welcome is due") };
    assert_eq!(welcome.applied_seq, 1);
}

#[tokio::test]
async fn a_silent_stream_hears_that_its_lease_ended() {
    let mut config = config();
    config.bounds.lease = Duration::from_secs(1);
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1, 2]).await;
    serving.until_level(0).await;
    worker.say(batch(1, [connect(3)])).await;
    let Heard::LeaseExpired(expired) = worker.hear().await else { panic!("the lease had ended") };
    assert_eq!((expired.lost_sessions, serving.level()), (2, 0));
    worker.say(batch(2, [connect(4)])).await;
    worker.say(snapshot(&[1, 2, 3])).await;
    assert!(matches!(worker.hear().await, Heard::Ack(_)));
    serving.until_level(3).await;
}

#[tokio::test]
async fn a_snapshot_that_does_not_add_up_is_asked_for_again_once() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let chunk = |index, last| {
        let (session_ids, handles) = (id(2).into(), vec![1]);
        Say::Snapshot(SnapshotChunk { index, last, session_ids, handles, ..SnapshotChunk::default() })
    };
    // The second of three chunks is missing: the third is passed over.
    worker.say(chunk(0, false)).await;
    worker.say(chunk(2, false)).await;
    worker.say(chunk(3, true)).await;
    let Heard::SnapshotNeeded(needed) = worker.hear().await else { panic!("a snapshot is needed") };
    assert_eq!(needed.reason(), Reason::SnapshotMismatch);
    // Complete, but not what it says.
    worker.say(chunk(0, true)).await;
    let Heard::SnapshotNeeded(needed) = worker.hear().await else { panic!("a snapshot is needed") };
    assert_eq!((needed.reason(), serving.level()), (Reason::SnapshotMismatch, 1));
    worker.say(snapshot(&[2, 3])).await;
    assert!(matches!(worker.hear().await, Heard::Ack(_)));
    assert_eq!(serving.level(), 2);
}

#[tokio::test]
async fn a_beat_that_believes_otherwise_is_answered() {
    let serving = Serving::start();
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1, 2]).await;
    let beat = |sessions: &[Vec<u8>]| {
        let live_count = sessions.len() as u64;
        Say::Beat(Beat { has_digest: true, live_count, live_digest: digest(sessions), ..Beat::default() })
    };
    worker.say(beat(&[id(1), id(2)])).await;
    worker.say(Say::Beat(Beat::default())).await;
    worker.say(beat(&[id(1), id(3)])).await;
    let Heard::SnapshotNeeded(needed) = worker.hear().await else { panic!("a snapshot is needed") };
    assert_eq!(needed.reason(), Reason::DigestMismatch);
}

#[tokio::test]
async fn workers_are_asked_to_leave_before_the_service_does() {
    let mut serving = Serving::start();
    let mut leaving = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let mut staying = Worker::ready(&serving, hello(2, 1), &[2]).await;
    serving.stop();
    for worker in [&mut leaving, &mut staying] {
        let Heard::Drain(drain) = worker.hear().await else { panic!("drain is due") };
        assert_eq!(drain.within.unwrap().seconds, 2);
    }
    // What is said meanwhile is still taken.
    leaving.say(batch(1, [connect(3)])).await;
    leaving.until_applied(1).await;
    leaving.say(Say::Goodbye(StreamGoodbye { outcome: 1 })).await;
    assert_eq!(leaving.end().await.code(), Code::Ok);
    assert_eq!(staying.end().await.code(), Code::Unavailable);
    serving.stopped().await;
    assert_eq!(serving.level(), 1, "what is live at the end is for the next start to learn");
}
