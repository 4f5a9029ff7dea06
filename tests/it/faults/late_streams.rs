//! An older stream of a worker whose words arrive late: a network held them back while the worker attached again. They
//! race the newer stream's snapshot, and change nothing.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use highwater::{
    config::Config,
    proto::{ColumnBatch, SnapshotChunk, attach_request::Message as Say, attach_response::Message as Heard},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    faults::{dice, rounds},
    serving::{MODEL, Serving, Worker, config, declare, digest, hello, id},
};

/// Workers that race at the same time; their numbers are bytes.
const WORKERS: u8 = 50;
/// Streams that each opens after its first.
const STREAMS: u64 = 4;
/// Batches that a stream sends while it is taken over.
const BATCHES: u64 = 20;
/// Longest pause before anything is said.
const PAUSE: Duration = Duration::from_millis(5);

/// Sessions of one worker, each a byte.
type Sessions = BTreeSet<u8>;

fn ids(sessions: &Sessions) -> Vec<Vec<u8>> {
    sessions.iter().map(|session| id(*session)).collect()
}

fn any_sessions(dice: &mut StdRng) -> Sessions {
    (1..=u8::MAX).filter(|_| dice.random_bool(0.3)).collect()
}

/// A snapshot in two chunks, with room for others to speak between them.
fn chunks(sessions: &Sessions) -> [Say; 2] {
    let all = ids(sessions);
    let (first, second) = all.split_at(all.len() / 2);
    let chunk = |index, part: &[Vec<u8>]| SnapshotChunk {
        index,
        session_ids: part.concat().into(),
        handles: vec![1; part.len()],
        ..SnapshotChunk::default()
    };
    let (count, digest) = (all.len() as u64, digest(&all));
    [Say::Snapshot(chunk(0, first)), Say::Snapshot(SnapshotChunk { last: true, count, digest, ..chunk(1, second) })]
}

/// Everything that a stream could say to do harm: it opens what is not live, and ends what is.
fn harm(seq: u64, live: &Sessions) -> Say {
    let all: Vec<_> = (1..=u8::MAX).collect();
    let outcomes: Vec<u8> = all.iter().map(|session| u8::from(live.contains(session))).collect();
    let session_ids = all.iter().flat_map(|session| id(*session)).collect::<Vec<_>>().into();
    let handles = vec![1; all.len()];
    Say::Columns(ColumnBatch { seq, session_ids, outcomes: outcomes.into(), handles, ..ColumnBatch::default() })
}

/// Two streams of a worker may be on two cores.
fn on_both_cores() -> Config {
    let mut config = config();
    config.threads = 2;
    config
}

async fn pause(dice: &mut StdRng) {
    sleep(PAUSE.mul_f64(dice.random())).await;
}

/// A stream that a newer one takes over, its number, and that of the batch that it would send next.
struct Older {
    worker: Worker,
    attach_seq: u64,
    next_seq: u64,
}

impl Older {
    /// Speaks on, before, while and after it is taken over, until it hears that it is over.
    async fn speak(self, live: Sessions, mut dice: StdRng) {
        for seq in self.next_seq..self.next_seq + BATCHES {
            pause(&mut dice).await;
            if !self.worker.try_say(harm(seq, &live)).await {
                return;
            }
        }
    }
}

/// Opens stream after stream, each while the one before still speaks; returns what is live at the end.
async fn race(address: SocketAddr, who: u8, mut dice: StdRng) -> (Worker, Sessions) {
    let mut older: Option<Older> = None;
    loop {
        let live = any_sessions(&mut dice);
        let attach_seq = older.as_ref().map_or(1, |older| older.attach_seq + 1);
        let speaking =
            older.take().map(|older| tokio::spawn(older.speak(live.clone(), StdRng::seed_from_u64(dice.random()))));
        let mut newer = Worker::open_at(address).await;
        pause(&mut dice).await;
        newer.say(Say::Hello(hello(who, attach_seq))).await;
        let Heard::Welcome(welcome) = newer.hear().await else { panic!("a welcome is due") };
        newer.say(declare(1, MODEL)).await;
        for chunk in chunks(&live) {
            pause(&mut dice).await;
            newer.say(chunk).await;
        }
        while !matches!(newer.hear().await, Heard::Ack(_)) {}
        if let Some(speaking) = speaking {
            speaking.await.unwrap();
        }
        if attach_seq == STREAMS {
            return (newer, live);
        }
        older = Some(Older { worker: newer, attach_seq, next_seq: welcome.applied_seq + 1 });
    }
}

#[tokio::test]
async fn what_an_older_stream_says_late_changes_nothing() {
    let mut dice = dice();
    for _ in 0..rounds() {
        let serving = Serving::with(on_both_cores());
        let mut races = JoinSet::new();
        for who in 0..WORKERS {
            races.spawn(race(serving.address, who, StdRng::seed_from_u64(dice.random())));
        }
        let ended = races.join_all().await;
        let live: usize = ended.iter().map(|(_, live)| live.len()).sum();
        assert_eq!(serving.level() as usize, live);
        assert_eq!(serving.service.live.audit(), []);
    }
}
