//! What is set is kept, with who, what and why; what ends with what; and what a failure would ask.

use std::{sync::Arc, time::Duration};

use highwater::{
    access::Role,
    model::{Hour, Key, KeyHour, KeyId, Kind, Meter as Name, Point, Project, Target},
    proto::{
        AuditRow, FallbackNeed, ListAuditRowsRequest, ListChainsRequest, SetLimitRequest, Target as Named,
        limit_service_client::LimitServiceClient, r#override::Action, target,
    },
    service::{Chains, Clock},
    store::{EmbeddedStore, Store},
};
use tonic::Code;

use super::{MODEL, RIME, TTS, TURBO, agents, chain, client, delete, end, list, model, models, said, say, set, words};
use crate::{
    access::{admin, key, new_key},
    redis_server::{Redis, soon},
    serving::{Serving, config},
};

/// A service that needs keys, on a store.
fn on(store: Arc<dyn Store>) -> Serving {
    let mut config = config();
    config.dev = false;
    Serving::on(config, store)
}

#[tokio::test]
async fn what_is_set_and_said_is_kept() {
    check_kept(Arc::new(EmbeddedStore::in_memory().unwrap())).await;
}

#[tokio::test]
async fn what_is_set_and_said_is_kept_in_redis() {
    let redis = Redis::start();
    check_kept(Arc::new(redis.open("hw:").unwrap())).await;
}

async fn check_kept(store: Arc<dyn Store>) {
    let mut serving = on(store.clone());
    let (editor_id, editor) = key(&serving, new_key(Role::Editor, "acme"));
    let (_, viewer) = key(&serving, new_key(Role::Viewer, "acme"));
    let mut edits = client(&serving, &editor).await;
    let made = set(&mut edits, agents()).await.unwrap();
    let agents_made = made.chain.clone().unwrap();
    assert_eq!((made.before, made.ended, made.unknown_models), (None, vec![], vec![]));
    assert_eq!(agents_made.display_names, ["ElevenLabs Turbo v2.5", "Cartesia Sonic 3"]);
    assert_eq!(
        (agents_made.fill_percent, agents_made.return_percent, agents_made.dwell.unwrap().seconds),
        (90, 70, 30)
    );
    assert_eq!((&*agents_made.set_by, &*agents_made.set_by_name), (&*editor_id, "editor of acme"));
    let drained = said(&mut edits, say(Action::Drain, TURBO)).await.unwrap();
    assert_eq!((&*drained.chain, &*drained.set_by, &*drained.reason), ("agents", &*editor_id, "the voice crackles"));
    assert_eq!(drained.model.as_ref().unwrap().kind, TTS, "as it is counted");
    set(&mut edits, chain("voice", &[MODEL])).await.unwrap();
    let listed = list(&mut client(&serving, &viewer).await).await;
    assert_eq!(listed.iter().map(|chain| &*chain.name).collect::<Vec<_>>(), ["agents", "voice"]);
    assert_eq!((models(&listed[0]), &listed[0].overrides), (vec![TURBO, MODEL], &vec![drained.clone()]));

    // A start on the same store finds it as it was, and the project, of which nothing else is known.
    let acme = Project::new("acme").unwrap();
    let kept = serving.service.chains.of(&acme);
    assert_eq!((kept.chains.len(), kept.by_hand.len()), (2, 1));
    assert_eq!(Chains::load(&*store).unwrap().of(&acme), kept);
    drop(edits);
    serving.stop();
    serving.stopped().await;
    let serving = on(store);
    let (_, token) = key(&serving, new_key(Role::Editor, "acme"));
    let mut edits = client(&serving, &token).await;
    assert_eq!(list(&mut edits).await, listed);
    assert_eq!(words(&[end(&mut edits, TURBO).await.unwrap()]), [(TURBO, Action::Drain)]);
    let version = serving.service.chains.version();
    assert_eq!(delete(&mut edits, "agents").await.unwrap().name, "agents");
    assert!(serving.service.chains.version() > version);

    let rows = audit(&serving, "acme").await;
    let told: Vec<_> = rows.iter().map(|row| (&*row.action, &*row.object)).collect();
    let expected = ["chain.delete", "chain.end", "chain.set", "chain.drain", "chain.set"];
    assert_eq!(told, expected.into_iter().zip(["agents", "agents", "voice", "agents", "agents"]).collect::<Vec<_>>());
    let first = &rows[4];
    assert_eq!((&*first.actor, &*first.before), (&*editor_id, ""));
    let after = "tts elevenlabs/eleven_turbo_v2_5 > tts cartesia/sonic-3 fill_percent=90 return_percent=70 dwell_s=30 \
                 reason=\"the launch\"";
    assert_eq!(first.after, after);
    assert!(rows[3].after.starts_with("drain tts elevenlabs/eleven_turbo_v2_5 end_us="), "{}", rows[3].after);
    assert_eq!(rows[1].after, "ended reason=\"it sounds well again\"");
    assert_eq!((&*rows[0].before, &*rows[0].after), (after, "deleted reason=\"over\""));
}

/// The rows of the audit log that tell of chains, the newest first.
async fn audit(serving: &Serving, project: &str) -> Vec<AuditRow> {
    let (_, operator) = key(serving, new_key(Role::Operator, "default"));
    let all = ListAuditRowsRequest { project: project.to_owned(), page_size: 100, ..Default::default() };
    let mut rows = admin(serving, &operator).await.list_audit_rows(all).await.unwrap().into_inner().rows;
    rows.retain(|row| row.action.starts_with("chain."));
    rows
}

#[tokio::test]
async fn a_change_can_be_taken_back_and_ends_what_is_said_of_models_that_are_gone() {
    let serving = Serving::start();
    let mut edits = client(&serving, "").await;
    let three = chain("agents", &[TURBO, MODEL, RIME]);
    set(&mut edits, three.clone()).await.unwrap();
    said(&mut edits, say(Action::Drain, TURBO)).await.unwrap();
    said(&mut edits, say(Action::Pin, RIME)).await.unwrap();
    let changed = set(&mut edits, chain("agents", &[MODEL, RIME])).await.unwrap();
    let before = changed.before.unwrap();
    assert_eq!(
        (models(&before), words(&before.overrides)),
        (vec![TURBO, MODEL, RIME], vec![(TURBO, Action::Drain), (RIME, Action::Pin)])
    );
    assert_eq!(words(&changed.ended), [(TURBO, Action::Drain)]);
    assert_eq!(words(&changed.chain.unwrap().overrides), [(RIME, Action::Pin)]);
    // The chain as it was, just as it was told.
    let back = SetChainRequest { name: before.name, models: before.models, dwell: before.dwell, ..three };
    let back = SetChainRequest { fill_percent: before.fill_percent, return_percent: before.return_percent, ..back };
    assert_eq!(models(&set(&mut edits, back).await.unwrap().chain.unwrap()), [TURBO, MODEL, RIME]);
    let deleted = delete(&mut edits, "agents").await.unwrap();
    assert_eq!((models(&deleted), words(&deleted.overrides)), (vec![TURBO, MODEL, RIME], vec![(RIME, Action::Pin)]));
    assert_eq!(list(&mut edits).await, []);
    let kept = serving.service.chains.of(&Project::new("default").unwrap());
    assert!(kept.by_hand.is_empty(), "{kept:?}");
    assert_eq!(delete(&mut edits, "agents").await.unwrap_err().message(), "there is no chain agents");
}

#[tokio::test]
async fn a_pin_takes_the_place_of_a_drain_of_its_model() {
    let serving = Serving::start();
    let mut edits = client(&serving, "").await;
    set(&mut edits, agents()).await.unwrap();
    said(&mut edits, say(Action::Drain, MODEL)).await.unwrap();
    let answer = edits.set_override(say(Action::Pin, &format!("{MODEL}:a-voice"))).await.unwrap().into_inner();
    assert_eq!(words(&[answer.before.unwrap()]), [(MODEL, Action::Drain)]);
    assert_eq!(words(&list(&mut edits).await[0].overrides), [(MODEL, Action::Pin)]);
}

#[tokio::test]
async fn what_is_said_by_hand_ends_by_itself_with_a_row() {
    let serving = Serving::start();
    let mut edits = client(&serving, "").await;
    set(&mut edits, agents()).await.unwrap();
    let end = Clock::wall().after(Duration::from_millis(1_200));
    let end_time =
        prost_types::Timestamp { seconds: (end.0 / 1_000_000) as i64, nanos: (end.0 % 1_000_000 * 1_000) as i32 };
    said(&mut edits, SetOverrideRequest { end_time: Some(end_time), ..say(Action::Pin, MODEL) }).await.unwrap();
    assert_eq!(list(&mut edits).await[0].overrides.len(), 1);
    let default = Project::new("default").unwrap();
    soon("its end", || serving.service.chains.of(&default).by_hand.is_empty()).await;
    assert!(Clock::wall() >= end && list(&mut edits).await[0].overrides.is_empty());
    assert_eq!(super::end(&mut edits, MODEL).await.unwrap_err().code(), Code::NotFound);
    assert!(Chains::load(&*serving.service.store).unwrap().of(&default).by_hand.is_empty());
    let row = audit(&serving, "default").await.remove(0);
    assert_eq!((&*row.actor, &*row.action, &*row.after), ("service", "chain.end", "ended by itself"));
}

#[tokio::test]
async fn chains_come_in_pages_and_end_at_their_bound() {
    let serving = Serving::start();
    let mut edits = client(&serving, "").await;
    for nth in 0..100 {
        set(&mut edits, chain(&format!("chain-{nth:02}"), &[MODEL])).await.unwrap();
    }
    let full = set(&mut edits, chain("one-more", &[MODEL])).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert!(full.message().contains("at most 100"), "{full}");
    set(&mut edits, chain("chain-07", &[TURBO])).await.expect("one that is there may change");
    let mut request = ListChainsRequest { page_size: 60, ..Default::default() };
    let mut names = Vec::new();
    for pages in 1.. {
        let page = edits.list_chains(request.clone()).await.unwrap().into_inner();
        names.extend(page.chains.into_iter().map(|chain| chain.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            assert_eq!(pages, 2);
            break;
        }
    }
    assert_eq!(names, (0..100).map(|nth| format!("chain-{nth:02}")).collect::<Vec<_>>());
    assert_eq!(list(&mut edits).await.len(), 100, "all that there may be are one page");
}

/// A store in which models held so many at once in two minutes of a day ago.
fn with_history(held: &[(&str, [u32; 2])]) -> Arc<dyn Store> {
    let store = EmbeddedStore::in_memory().unwrap();
    let hour = Hour(Clock::wall().tick().hour().0 - 24);
    let (mut keys, mut rows) = (Vec::new(), Vec::new());
    for (nth, (model, peaks)) in (1..).zip(held) {
        let target = Target::Meter(Name::new(Kind::Tts, model, "", None).unwrap());
        keys.push((KeyId(nth), Key { project: Project::new("default").unwrap(), target }));
        let mut row = KeyHour::gap();
        for (minute, peak) in peaks.iter().enumerate() {
            row.points[10 + minute] = Point { peak: *peak, covered: 60, ..Point::default() };
        }
        rows.push((KeyId(nth), hour, row));
    }
    store.put_hours(&keys, &rows).unwrap();
    Arc::new(store)
}

#[tokio::test]
async fn what_a_failure_would_ask_stands_beside_its_chain() {
    let serving = Serving::on(config(), with_history(&[(TURBO, [24, 20]), (MODEL, [7, 12])]));
    let mut limits = LimitServiceClient::new(serving.channel().await);
    let mut limit = async |of: &str, slots: u32| {
        let meter = highwater::proto::Meter { kind: TTS, ..model(of) };
        let target = Some(Named { target: Some(target::Target::Meter(meter)) });
        let request = SetLimitRequest { target, slots: Some(slots), set_by: "kim".into(), ..Default::default() };
        limits.set_limit(request).await.unwrap();
    };
    limit(TURBO, 30).await;
    limit(MODEL, 15).await;
    let mut edits = client(&serving, "").await;
    let set_chain = set(&mut edits, agents()).await.unwrap().chain.unwrap();
    let sentences = |chain: &highwater::proto::Chain| -> Vec<String> {
        chain.failures.iter().map(|failure| failure.sentence.clone()).collect()
    };
    // Of the two minutes the one that leaves more over: 20 + 12 of 15, not 24 + 7.
    let words = [
        "If ElevenLabs fails at this peak, Cartesia needs 32 of 15.",
        "If Cartesia fails at this peak, ElevenLabs needs 32 of 30.",
    ];
    assert_eq!(sentences(&set_chain), words);
    let failure = &set_chain.failures[0];
    assert_eq!((failure.failed, failure.moved, failure.left_over), (0, 20, 17));
    assert_eq!(failure.needs, [FallbackNeed { place: 1, slots: 32, limit: Some(15) }]);
    assert_eq!(failure.minute.unwrap().seconds % 3_600, 11 * 60);
    limit(MODEL, 40).await;
    let raised = list(&mut edits).await.remove(0);
    assert_eq!(
        sentences(&raised)[0],
        "If ElevenLabs fails at this peak, Cartesia needs 31 of 40.",
        "by the limits now"
    );
    // One more fallback, of which nothing is known, and that has no limit.
    limit(MODEL, 15).await;
    let three = set(&mut edits, chain("agents", &[TURBO, MODEL, RIME])).await.unwrap().chain.unwrap();
    let words = "If ElevenLabs fails at this peak, Cartesia needs 15 of 15 and Rime needs 16, which has no limit.";
    assert_eq!((&*sentences(&three)[0], three.failures.len()), (words, 2), "what held nothing moves nothing");
}

use highwater::proto::{SetChainRequest, SetOverrideRequest};
