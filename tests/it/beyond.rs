//! What is reported beyond the bounds of a project: facts stay counted as far as there is room, nothing gets stuck, and it
//! is told.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use highwater::{
    live::{Attachment, Batch, Event, Hello, Live, Meter, snapshot::Live as LiveSession},
    livekit::{
        counts::Counts,
        desk::{Desk, DeskSettings},
        known::Answer,
        thing::{List, Listed, Thing},
    },
    model::{Bounds, Coverage, Incarnation, Kind, Meter as Name, Now, Outcome, Project, SessionId, Time},
    proto::{
        Beat, Bound, Declare, ListQuotasRequest, MeterDeclaration, ReportRequest, ReportedEvent,
        attach_request::Message as Say, attach_response::Message as Heard, event::Event as What,
        quota_service_client::QuotaServiceClient,
    },
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tonic::Code;

use crate::{
    doors::page,
    redis_server::soon,
    serving::{
        MODEL, Serving, Worker, batch, config, connect, declare, digest, disconnect, hello, id, is_meter_of, meter,
        snapshot,
    },
};

const MOST: usize = 20;
const WORKERS: usize = 4;

fn at(second: u64) -> Now {
    Now::at(Time::from_secs(7_200 + second))
}

/// A worker of the random histories, and what it holds in truth.
struct Member {
    stream: Attachment,
    held: BTreeSet<u64>,
    seq: u64,
}

impl Member {
    fn id(n: u64) -> SessionId {
        SessionId::of_text(&n.to_le_bytes())
    }

    fn believes(&self) -> (u64, u64, u64) {
        let digest = self.held.iter().fold(0, |digest, n| digest ^ Self::id(*n).digest());
        (self.seq, self.held.len() as u64, digest)
    }

    fn snapshot(&self, live: &Live, meter: &Arc<Meter>, now: Now) {
        let session =
            |n: &u64| LiveSession { id: Self::id(*n), meter: meter.clone(), age: Duration::ZERO, labels: None };
        let (_, count, digest) = self.believes();
        let sessions = self.held.iter().map(session).collect();
        let taken = live.snapshot(&self.stream, 0, sessions, Some((count, digest)), now).unwrap();
        assert!(matches!(taken, Batch::Applied(_)), "{taken:?}");
    }

    /// Says that it is alive, and what it holds; a snapshot if it is asked for one. Returns whether it was.
    fn beat(&self, live: &Live, meter: &Arc<Meter>, now: Now) -> bool {
        let asked = live.beat(&self.stream, Some(self.believes()), now).unwrap() != Batch::Ignored;
        if asked {
            self.snapshot(live, meter, now);
        }
        asked
    }
}

#[test]
fn whatever_comes_beyond_the_sessions_of_a_project_is_right_again_when_there_is_room() {
    for seed in 0..200 {
        let dice = &mut StdRng::seed_from_u64(seed);
        let live = Live::new(Bounds { sessions_per_project: MOST, ..Bounds::default() }, at(0).wall.tick());
        let project = Project::new("p").unwrap();
        let meter = live.meter(&project, &Name::new(Kind::Tts, "a/b", "", None).unwrap(), at(0)).unwrap();
        let mut crew = Vec::new();
        for nth in 0..WORKERS {
            let incarnation = Incarnation([nth as u8 + 1; 16]);
            let hello =
                Hello { project: project.clone(), worker: "w".into(), incarnation, replaces: None, attach_seq: 1 };
            let member = Member { stream: live.attach(&hello, at(0)).unwrap(), held: BTreeSet::new(), seq: 0 };
            member.snapshot(&live, &meter, at(0));
            crew.push(member);
        }
        let (mut next, mut left_out, mut now) = (0, 0, at(0));
        for step in 0..300_u64 {
            now = at(step / 50);
            let nth = dice.random_range(0..WORKERS);
            let member = &mut crew[nth];
            let mut events = Vec::new();
            for _ in 0..dice.random_range(1..6) {
                if dice.random_bool(0.6) {
                    next += 1;
                    member.held.insert(next);
                    let (id, age) = (Member::id(next), Duration::ZERO);
                    events.push(Event::Open { id, meter: meter.clone(), age, labels: None });
                } else if let Some(n) = member.held.iter().nth(dice.random_range(0..member.held.len().max(1))).copied()
                {
                    member.held.remove(&n);
                    let (id, outcome, age) = (Member::id(n), Outcome::Ok, Duration::ZERO);
                    events.push(Event::Close { id, outcome, age, meter: Some(meter.clone()) });
                }
            }
            member.seq += 1;
            let Batch::Applied(applied) = live.batch(&member.stream, member.seq, events, now).unwrap() else {
                panic!("seed {seed}: a batch is not applied");
            };
            left_out += applied.left_out;
            if dice.random_bool(0.2) {
                crew[nth].beat(&live, &meter, now);
            }
            let (level, truth) = (meter.tally.word.level() as usize, crew.iter().map(|m| m.held.len()).sum::<usize>());
            assert!(level <= MOST && level <= truth, "seed {seed}: {level} of {truth}");
            assert_eq!(live.audit(), [], "seed {seed}");
            let beyond: u64 = live.registry.beyond(now.wall.tick()).iter().map(|beyond| beyond.left_out).sum();
            assert_eq!(
                (level as u64 + beyond, beyond > 0),
                (truth as u64, truth > level),
                "seed {seed}: none is forgotten"
            );
            let coverage = if beyond > 0 { Coverage::Partial } else { Coverage::Full };
            assert_eq!(meter.coverage(), coverage, "seed {seed}: what is left out makes a lower bound");
        }
        assert!(left_out > 0, "seed {seed}: the bound was not reached");
        // All but a few end: what was left out comes in with the next beats.
        for member in &mut crew {
            let ends: Vec<u64> = member.held.iter().copied().skip(3).collect();
            member.held.retain(|n| !ends.contains(n));
            let close =
                |n: &u64| Event::Close { id: Member::id(*n), outcome: Outcome::Ok, age: Duration::ZERO, meter: None };
            member.seq += 1;
            if !ends.is_empty() {
                let _ =
                    live.batch(&member.stream, member.seq, ends.iter().map(close).collect::<Vec<_>>(), now).unwrap();
            } else {
                member.seq -= 1;
            }
        }
        for member in &crew {
            member.beat(&live, &meter, now);
        }
        let truth: usize = crew.iter().map(|member| member.held.len()).sum();
        assert_eq!(meter.tally.word.level() as usize, truth, "seed {seed}");
        assert_eq!((meter.coverage(), live.registry.beyond(now.wall.tick())), (Coverage::Full, vec![]), "seed {seed}");
        assert!(crew.iter().all(|member| !member.beat(&live, &meter, now)), "seed {seed}: nobody is asked for nothing");
    }
}

fn beat(sessions: &[u8], as_of_seq: u64) -> Say {
    let ids: Vec<_> = sessions.iter().map(|session| id(*session)).collect();
    let (live_count, live_digest) = (ids.len() as u64, digest(&ids));
    Say::Beat(Beat { has_digest: true, live_count, live_digest, as_of_seq, grants_heard: 0 })
}

#[tokio::test]
async fn a_worker_beyond_the_sessions_of_its_project_goes_on_and_it_is_told() {
    let mut config = config();
    config.bounds.sessions_per_project = 3;
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1, 2]).await;
    worker.say(batch(1, [connect(3), connect(4), connect(5), disconnect(1)])).await;
    worker.until_applied(1).await;
    assert_eq!(serving.level(), 2, "ends count, and what has room");
    soon("it is told", || {
        serving
            .service
            .health
            .warnings()
            .iter()
            .any(|words| words.contains("live sessions beyond sessions_per_project (3)"))
    })
    .await;
    let ready = page(serving.address, "/readyz").await;
    assert!(ready.contains(" 200 ") && ready.contains("sessions_per_project"), "{ready}");
    assert!(!ready.contains("default"), "whoever reads it may be of another project: {ready}");
    let mut client = QuotaServiceClient::new(serving.channel().await);
    let mut bounds = async || {
        let quotas = client.list_quotas(ListQuotasRequest::default()).await.unwrap().into_inner().quotas;
        quotas.iter().map(|quota| quota.level_bound()).collect::<Vec<_>>()
    };
    assert_eq!(bounds().await, [Bound::AtLeast; 2], "the meter and its pool");
    // There is room for one: the worker is asked who is there, and one more is counted.
    worker.say(beat(&[2, 3, 4, 5], 1)).await;
    while !matches!(worker.hear().await, Heard::SnapshotNeeded(_)) {}
    worker.say(snapshot(&[2, 3, 4, 5])).await;
    worker.until_applied(1).await;
    assert_eq!(serving.level(), 3);
    // One that is left out ends, and one that is counted.
    worker.say(batch(2, [disconnect(2), disconnect(3), disconnect(4), disconnect(5)])).await;
    worker.until_applied(2).await;
    assert_eq!(serving.level(), 0);
    soon("all is well", || serving.service.health.warnings().is_empty()).await;
    assert_eq!(bounds().await, [Bound::Exact; 2]);
}

#[tokio::test]
async fn a_report_beyond_the_sessions_of_its_project_names_the_bound_and_its_ends_count() {
    let mut config = config();
    config.bounds.sessions_per_project = 2;
    let serving = Serving::with(config);
    let mut client = serving.ingest().await;
    let mut report = async |events: Vec<_>| {
        let request =
            ReportRequest { worker_id: "w".into(), incarnation: vec![9; 16], events, ..ReportRequest::default() };
        client.report(request).await
    };
    let connect =
        |id: &[u8]| ReportedEvent { session_id: id.into(), meter: Some(meter(MODEL)), ..ReportedEvent::default() };
    let end = |id: &[u8]| ReportedEvent { outcome: 1, ..connect(id) };
    let status = report(vec![connect(b"1"), connect(b"2"), connect(b"3")]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("sessions_per_project"), "{status:?}");
    assert_eq!(report(vec![end(b"1"), connect(b"3")]).await.unwrap().into_inner().applied, 2);
    let full = report(vec![end(b"2"), connect(b"4"), connect(b"5")]).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert_eq!(report(vec![end(b"3"), end(b"4")]).await.unwrap().into_inner().applied, 2, "both were counted");
}

#[tokio::test]
async fn models_beyond_the_bound_are_counted_together_and_their_pool_is_right() {
    let mut config = config();
    config.bounds.meters_per_project = 2;
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    for (handle, model) in [(2, "a/b"), (3, "a/c"), (4, "a/d"), (3, "a/c")] {
        worker.say(declare(handle, model)).await;
        let Heard::Declared(declared) = worker.hear().await else { panic!("no answer") };
        let counted = declared.meters[0].meter.clone().unwrap().model;
        assert_eq!(counted, if handle == 2 { "a/b" } else { "other/other" }, "{model} is said to be what it counts as");
    }
    let on = |session: u8, handle: u32| {
        let mut event = connect(session);
        if let Some(What::Connect(connect)) = &mut event.event {
            connect.handle = handle;
        }
        event
    };
    worker.say(batch(1, [on(2, 2), on(3, 3), on(4, 4)])).await;
    worker.until_applied(1).await;
    let mut client = QuotaServiceClient::new(serving.channel().await);
    let quotas = client.list_quotas(ListQuotasRequest::default()).await.unwrap().into_inner().quotas;
    let level = |model: &str| quotas.iter().find(|quota| is_meter_of(&quota.target, model)).unwrap().level;
    assert_eq!((level("a/b"), level("other/other")), (1, 2));
    assert_eq!(quotas.iter().map(|quota| quota.level).max(), Some(4), "the pool of TTS has all");
    let is_told = |words: &String| words.contains("models beyond meters_per_project (2)");
    soon("it is told", || serving.service.health.warnings().iter().any(is_told)).await;
}

#[test]
fn that_models_are_beyond_the_bound_is_told_while_they_are_held_and_for_an_hour() {
    let live = Live::new(Bounds { meters_per_project: 1, ..Bounds::default() }, at(0).wall.tick());
    let (project, who) = (Project::new("p").unwrap(), Incarnation([1; 16]));
    let named = |model| live.meter_or_other(&project, &Name::new(Kind::Tts, model, "", None).unwrap(), at(0)).unwrap();
    let (_, other) = (named("a/b"), named("a/c"));
    let others = |second| live.registry.beyond(at(second).wall.tick()).iter().map(|beyond| beyond.others).sum::<u64>();
    assert_eq!((others(0), others(3_599), others(3_600)), (1, 1, 0));
    let open = Event::Open { id: Member::id(1), meter: other, age: Duration::ZERO, labels: None };
    live.report(&project, "w", who, Duration::from_secs(300), vec![open], at(0)).unwrap();
    assert_eq!(others(3_600), 1);
    live.goodbye(&project, who, Outcome::Ok, at(1));
    assert_eq!(others(3_600), 0);
}

#[tokio::test]
async fn what_is_beyond_the_bound_on_another_account_stays_out_of_the_pool_of_the_gateways() {
    let mut config = config();
    config.bounds.meters_per_project = 2;
    let serving = Serving::with(config);
    let mut worker = Worker::ready(&serving, hello(1, 1), &[1]).await;
    let on = |handle: u32, model: &str, account: &str| {
        let meter = Some(highwater::proto::Meter { account: account.into(), ..meter(model) });
        Say::Declare(Declare { meters: vec![MeterDeclaration { handle, meter }] })
    };
    for (handle, model, account) in [(2, "a/b", "direct"), (3, "a/c", "direct"), (4, "a/d", "team"), (5, "a/e", "")] {
        worker.say(on(handle, model, account)).await;
        let Heard::Declared(declared) = worker.hear().await else { panic!("no answer") };
        let counted = declared.meters[0].meter.clone().unwrap();
        let expect = match handle {
            2 => ("a/b", "direct"),
            3 => ("other/other", "direct"),
            4 => ("other/other", "other"),
            _ => ("other/other", "livekit"),
        };
        assert_eq!((&*counted.model, &*counted.account), expect);
    }
}

#[test]
fn what_livekit_lists_beyond_the_bound_comes_in_when_there_is_room() {
    let live = Live::new(Bounds { sessions_per_project: 2, ..Bounds::default() }, at(0).wall.tick());
    let project = Project::new("p").unwrap();
    let settings = DeskSettings { lease: Some(Duration::from_secs(90)), expire_after: Duration::from_secs(3_600) };
    let (mut desk, counts) = (Desk::new(&project, settings), Counts::default());
    let mut listed = |sids: &[&str], second: u64| {
        let now = at(second);
        let line = |sid: &&str| {
            let (id, room) = ((*sid).into(), "call".into());
            let thing =
                Thing { id, run: "".into(), kind: Kind::Participant, room, room_id: "RM_1".into(), began: None };
            Listed { thing, is_live: true }
        };
        let answer = Answer { room: None, asked: now.mono, lines: sids.iter().map(line).collect() };
        desk.listed(&live, List::Participants, &[answer], true, now, &counts).unwrap();
        live.meter(&project, &Name::new(Kind::Participant, "", "", None).unwrap(), now).unwrap().tally.word.level()
    };
    assert_eq!(listed(&["PA_1", "PA_2", "PA_3", "PA_4"], 1), 2);
    assert_eq!(listed(&["PA_1", "PA_2", "PA_3", "PA_4"], 31), 2);
    assert_eq!(listed(&["PA_3", "PA_4"], 61), 2, "those that were left out come in");
    assert_eq!((listed(&[], 91), live.audit(), live.registry.beyond(at(91).wall.tick())), (0, vec![], vec![]));
}
