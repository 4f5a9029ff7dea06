//! Attacks of one who speaks the protocol well, as a project of its own: too many names, too many events, too much at once.

use std::net::SocketAddr;

use highwater::proto::{
    ColumnBatch, Connect, Declare, Event, EventBatch, Hello, Labels, MeterDeclaration, SnapshotChunk,
    attach_request::Message as Say, event::Event as What,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    hostile::raw::{Answered, PACE},
    serving::{MODEL, Worker, channel, declare, meter},
};

/// Streams of one that sends as fast as it can.
const STREAMS: usize = 8;
/// Events of a batch, in columns.
const EVENTS: usize = 2_048;

/// Says what `next` gives on one stream after the other, until each is ended by the service or the time is over.
async fn speak(address: SocketAddr, until: Instant, mut next: impl FnMut(u64) -> Say) -> Answered {
    let mut answered = Answered::default();
    while Instant::now() < until {
        let said = timeout_at(until, async {
            let Ok(channel) = channel(address).await else { return };
            let mut worker = Worker::open_on(channel).await;
            answered.connections += 1;
            worker.try_say(Say::Hello(hello())).await;
            worker.try_say(declare(1, MODEL)).await;
            let mut nth = 1;
            loop {
                sleep(PACE).await;
                let saying = worker.say_slowly(next(nth));
                tokio::select! {
                    biased;
                    heard = worker.next() => match heard {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => {
                            answered.answers += 1;
                            break;
                        }
                    },
                    goes_on = saying => match goes_on {
                        true => nth += 1,
                        // It has ended: how, is heard next.
                        false => continue,
                    },
                }
            }
        });
        let _ = said.await;
    }
    answered
}

fn hello() -> Hello {
    Hello {
        protocol_version: 1,
        project: "evil".to_owned(),
        worker_id: "evil".to_owned(),
        incarnation: rand::random::<[u8; 16]>().to_vec(),
        attach_seq: 1,
        ..Hello::default()
    }
}

/// Names of models that nobody has heard of.
pub async fn model_names(address: SocketAddr, until: Instant) -> Answered {
    speak(address, until, |nth| {
        let handles = (nth as u32 * 64)..(nth as u32 + 1) * 64;
        let meters = handles.map(|handle| {
            let model = format!("evil/{:032x}", rand::random::<u128>());
            MeterDeclaration { handle: handle + 2, meter: Some(meter(&model)) }
        });
        Say::Declare(Declare { meters: meters.collect() })
    })
    .await
}

/// Sessions, each with labels that no other has.
pub async fn labels(address: SocketAddr, until: Instant) -> Answered {
    speak(address, until, |nth| {
        if nth == 1 {
            return Say::Snapshot(SnapshotChunk { last: true, ..SnapshotChunk::default() });
        }
        let events = (0..100).map(|_| {
            let text = || format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
            let labels = Some(Labels { room: text(), job: text() });
            let session_id = rand::random::<[u8; 16]>().to_vec();
            Event { event: Some(What::Connect(Connect { session_id, handle: 1, labels })), age_us: 0 }
        });
        Say::Events(EventBatch::new(nth - 1, events))
    })
    .await
}

/// A snapshot that does not end.
pub async fn giant_snapshot(address: SocketAddr, until: Instant) -> Answered {
    speak(address, until, |nth| {
        let ids: Vec<u8> = (0..4_096).flat_map(|_| rand::random::<[u8; 16]>()).collect();
        Say::Snapshot(SnapshotChunk {
            index: nth as u32 - 1,
            session_ids: ids.into(),
            handles: vec![1; 4_096],
            ..SnapshotChunk::default()
        })
    })
    .await
}

/// Events as fast as they are taken, on several streams: sessions that begin and end.
pub async fn events(address: SocketAddr, until: Instant) -> Answered {
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(speak(address, until, |nth| {
            if nth == 1 {
                return Say::Snapshot(SnapshotChunk { last: true, ..SnapshotChunk::default() });
            }
            // Each id begins in one batch and ends in the next.
            let batch = (nth - 2) / 2;
            let ids: Vec<u8> =
                (0..EVENTS as u64).flat_map(|row| [batch.to_le_bytes(), row.to_le_bytes()].concat()).collect();
            let outcome = u8::from(nth.is_multiple_of(2) ^ true);
            Say::Columns(ColumnBatch {
                seq: nth - 1,
                session_ids: ids.into(),
                outcomes: vec![outcome; EVENTS].into(),
                handles: vec![1; EVENTS],
                ..ColumnBatch::default()
            })
        }));
    }
    let mut all = Answered::default();
    for one in streams.join_all().await {
        all.connections += one.connections;
        all.answers += one.answers;
    }
    all
}
