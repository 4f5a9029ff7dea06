//! LiveKit's webhooks and lists over real sockets: a service, and a stand-in for LiveKit.

use std::{sync::Arc, time::Duration};

use highwater::{
    config::LiveKitConfig,
    livekit::counts::Counted,
    model::{Coverage, Key, Kind, Meter, Project, Target},
    store::embedded::EmbeddedStore,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::standin::{KEY, Mode, SECRET, StandIn, claims, post_to, seconds, send, token};
use crate::serving::{Serving, config};

mod standin;

const KINDS: [Kind; 5] = [Kind::Agent, Kind::Participant, Kind::Sip, Kind::Ingress, Kind::Egress];
/// Some readings, the lease after them, and the 30 s after which a list is believed rather than an end that was heard, on a
/// busy machine.
const WITHIN: Duration = Duration::from_secs(60);

fn livekit(standin: Option<&StandIn>) -> LiveKitConfig {
    LiveKitConfig {
        url: standin.map(|standin| format!("http://{}", standin.address)),
        api_key: KEY.to_owned(),
        secret: SECRET.into(),
        project: Project::new("default").unwrap(),
        interval: Duration::from_secs(1),
        expire_after: Duration::from_secs(3_600),
    }
}

fn serving(standin: Option<&StandIn>) -> Serving {
    let mut config = config();
    config.livekit = Some(livekit(standin));
    Serving::with(config)
}

/// Level, sessions that are open by the sums, and how the level is known; none when it never was.
fn level(serving: &Serving, kind: Kind) -> Option<(u32, i64, Coverage)> {
    let target = Target::Meter(Meter::new(kind, "", "", None).unwrap());
    let key = Key { project: Project::new("default").unwrap(), target };
    let meter = serving.service.live.registry.find_meter(&key)?;
    Some((meter.tally.word.level(), meter.totals().open(), meter.coverage()))
}

fn counted(serving: &Serving) -> Counted {
    serving.service.livekit.counts.read()
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < WITHIN, "{at}: not within {WITHIN:?}: {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn joined(sid: &str, kind: &str) -> Value {
    let now = seconds();
    json!({"event": "participant_joined", "id": format!("EV_{sid}"), "createdAt": now.to_string(),
        "room": {"sid": "RM_1", "name": "call-1"},
        "participant": {"sid": sid, "kind": kind, "state": "ACTIVE", "joinedAt": now.to_string()}})
}

#[tokio::test]
async fn what_is_not_signed_as_it_should_be_changes_nothing() {
    let serving = serving(None);
    assert_eq!(send(serving.address, &joined("PA_1", "AGENT")).await, 200);
    let (before, known) = (counted(&serving), Some((1, 1, Coverage::Partial)));
    assert_eq!(level(&serving, Kind::Agent), known);

    let body = joined("PA_2", "AGENT").to_string().into_bytes();
    let (hs256, good) = (json!({"alg": "HS256"}), claims(&body));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token(&hs256, &claims, SECRET)
    };
    let valid = token(&hs256, &good, SECRET);
    let none = format!("{}.", token(&json!({"alg": "none"}), &good, SECRET).rsplit_once('.').unwrap().0);
    let huge = vec![b' '; serving.service.config.connections.message_bytes + 1];
    let not_json = b"{\"event\":".to_vec();
    let changed = joined("PA_3", "AGENT").to_string().into_bytes();
    let json_type = "application/webhook+json";
    let cases: [(_, Option<String>, _, &[u8], _); 15] = [
        ("no token", None, json_type, &body, 401),
        ("wrong signature", Some(token(&hs256, &good, "another")), json_type, &body, 401),
        ("wrong key", Some(with("iss", json!("APIother"))), json_type, &body, 401),
        ("another algorithm", Some(token(&json!({"alg": "HS384"}), &good, SECRET)), json_type, &body, 401),
        ("no algorithm", Some(none), json_type, &body, 401),
        ("expired", Some(with("exp", json!(seconds() - 61))), json_type, &body, 401),
        ("not yet valid", Some(with("nbf", json!(seconds() + 120))), json_type, &body, 401),
        ("an expiry that is a text", Some(with("exp", json!("9999999999"))), json_type, &body, 401),
        ("no hash", Some(with("sha256", Value::Null)), json_type, &body, 401),
        ("a hash that is none", Some(with("sha256", json!("x"))), json_type, &body, 401),
        ("Bearer", Some(format!("Bearer {valid}")), json_type, &body, 401),
        ("a changed body", Some(valid.clone()), json_type, &changed, 401),
        ("another type", Some(valid.clone()), "text/html", &body, 415),
        ("too large", Some(token(&hs256, &claims(&huge), SECRET)), json_type, &huge, 413),
        ("not JSON", Some(token(&hs256, &claims(&not_json), SECRET)), json_type, &not_json, 400),
    ];
    let refused = cases.len() as u64;
    for (what, token, content, body, expect) in cases {
        let mut headers = vec![("content-type", content)];
        headers.extend(token.as_deref().map(|token| ("authorization", token)));
        let (status, words) = post_to(serving.address, &headers, body).await;
        assert_eq!(status, expect, "{what}: {words}");
        assert!(!words.contains(SECRET) && !words.contains("APIother"), "{what}: {words}");
    }
    let after = counted(&serving);
    assert_eq!((after.unsigned + after.unreadable, after.events), (refused, before.events));
    assert_eq!((after.unreadable, after.refused), (3, 0), "of another type, too large, no JSON");
    assert_eq!(level(&serving, Kind::Agent), known);
    // And the same event, as it should be.
    let headers = [("authorization", &*valid), ("content-type", "application/webhook+json; charset=utf-8")];
    assert_eq!(post_to(serving.address, &headers, &body).await.0, 200);
    assert_eq!(post_to(serving.address, &headers, &body).await.0, 200);
    assert_eq!(level(&serving, Kind::Agent), Some((2, 2, Coverage::Partial)));
    assert_eq!(counted(&serving).repeated, 1);
}

#[tokio::test]
async fn who_fails_to_sign_too_often_is_told_no_more_and_a_signature_that_is_right_is_taken() {
    let serving = serving(None);
    let body = joined("PA_1", "AGENT").to_string().into_bytes();
    let headers = [("content-type", "application/webhook+json"), ("authorization", "a.b.c")];
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(post_to(serving.address, &headers, &body).await.0);
    }
    assert!(statuses[..20].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(statuses[39], 429, "{statuses:?}");
    assert_eq!(counted(&serving).unsigned, 40, "each is counted");
    assert_eq!(send(serving.address, &joined("PA_1", "AGENT")).await, 200);
}

#[tokio::test]
async fn without_a_key_every_webhook_is_refused() {
    let serving = Serving::start();
    assert_eq!(send(serving.address, &joined("PA_1", "AGENT")).await, 401);
    assert_eq!(level(&serving, Kind::Agent), None);
}

#[tokio::test]
async fn a_bound_refuses_by_its_name_and_livekit_may_send_again() {
    let mut config = config();
    config.livekit = Some(livekit(None));
    config.bounds.sessions_per_project = 1;
    let serving = Serving::with(config);
    assert_eq!(send(serving.address, &joined("PA_1", "SIP")).await, 200);
    assert_eq!(send(serving.address, &joined("PA_2", "SIP")).await, 503);
    let left = json!({"event": "participant_left", "id": "EV_left", "room": {"sid": "RM_1", "name": "call-1"},
        "participant": {"sid": "PA_1"}});
    assert_eq!(send(serving.address, &left).await, 200);
    assert_eq!(send(serving.address, &joined("PA_2", "SIP")).await, 200);
    assert_eq!(level(&serving, Kind::Sip), Some((1, 1, Coverage::Partial)));
    assert_eq!((counted(&serving).refused, serving.service.live.audit()), (1, Vec::new()));
}

fn is_true(serving: &Serving, standin: &StandIn) -> bool {
    let inside = standin.state.lock().unwrap();
    KINDS.into_iter().all(|kind| {
        let there = inside.truth.count(kind);
        level(serving, kind) == Some((there, i64::from(there), Coverage::Full))
    })
}

#[tokio::test]
async fn heavy_livekits_schedules_over_http_end_at_the_true_counts() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let dice = &mut StdRng::seed_from_u64(seed);
    let standin = StandIn::start().await;
    let serving = serving(Some(&standin));
    for round in 0..5 {
        let mut waiting: Vec<Value> = Vec::new();
        for _ in 0..60 {
            let now_ms = seconds() * 1_000;
            let events = standin.state.lock().unwrap().truth.happen(dice, now_ms);
            for event in events {
                (0..[0, 1, 1, 2][dice.random_range(0..4)]).for_each(|_| waiting.push(event.clone()));
            }
            while waiting.len() > dice.random_range(0..12) {
                let event = waiting.swap_remove(dice.random_range(0..waiting.len()));
                assert_eq!(send(serving.address, &event).await, 200);
            }
        }
        for event in waiting {
            assert_eq!(send(serving.address, &event).await, 200);
        }
        until(&format!("round {round} of seed {seed}"), || is_true(&serving, &standin)).await;
        let levels = KINDS.map(|kind| level(&serving, kind));
        println!("round {round}: {levels:?}");
    }
    let counted = counted(&serving);
    assert!(counted.missed_begins > 0 && counted.missed_ends > 0 && counted.repeated > 0, "{counted:?}");
    assert_eq!((counted.lists_failed, serving.service.live.audit()), (0, Vec::new()));
}

#[tokio::test]
async fn lists_that_cannot_be_read_leave_levels_silent_and_then_unknown_and_never_zero() {
    let standin = StandIn::start().await;
    let serving = serving(Some(&standin));
    let dice = &mut StdRng::seed_from_u64(7);
    for _ in 0..40 {
        standin.state.lock().unwrap().truth.happen(dice, seconds() * 1_000);
    }
    until("the lists are read", || is_true(&serving, &standin)).await;
    let there = standin.state.lock().unwrap().truth.count(Kind::Participant);
    let whole = Some((there, i64::from(there), Coverage::Full));
    assert!(there > 0 && level(&serving, Kind::Participant) == whole);

    standin.set(Mode::Down);
    let silent = Some((there, i64::from(there), Coverage::Partial));
    until("silent", || level(&serving, Kind::Participant) == silent).await;
    let words = serving.service.health.warnings().join("\n");
    assert!(words.starts_with("livekit: the list of participants can't be read: LiveKit refused: 503"), "{words}");
    assert!(!words.contains("127.0.0.1"), "{words}");
    until("lost", || level(&serving, Kind::Participant) == Some((0, 0, Coverage::None))).await;
    // What LiveKit says now is all that is known.
    assert_eq!(send(serving.address, &joined("PA_new", "STANDARD")).await, 200);
    assert_eq!(level(&serving, Kind::Participant), Some((1, 1, Coverage::Partial)));
    let missed = || (counted(&serving).missed_begins, counted(&serving).missed_ends);
    let before = missed();
    // And what it does not say, since the event was lost, the next reading tells.
    for _ in 0..60 {
        standin.state.lock().unwrap().truth.happen(dice, seconds() * 1_000);
    }

    standin.set(Mode::HalfDown);
    until("half of it", || level(&serving, Kind::Egress).is_some_and(|(_, _, known)| known == Coverage::Full)).await;
    assert_eq!(level(&serving, Kind::Participant).unwrap().2, Coverage::Partial);
    standin.set(Mode::Well);
    until("true again", || is_true(&serving, &standin) && serving.service.health.warnings().is_empty()).await;
    assert!(counted(&serving).lists_failed > 1);
    let after = missed();
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_livekit_of_one_node_has_neither_egress_nor_ingress_and_is_well() {
    let standin = StandIn::start().await;
    standin.set(Mode::WithoutRedis);
    let serving = serving(Some(&standin));
    until("read", || counted(&serving).lists_read > 0).await;
    assert_eq!(level(&serving, Kind::Egress), Some((0, 0, Coverage::Full)));
    assert_eq!(serving.service.health.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn a_url_where_nobody_answers_is_told_and_events_count() {
    let mut livekit = livekit(None);
    livekit.url = Some("http://127.0.0.1:1".to_owned());
    let mut config = config();
    config.livekit = Some(livekit);
    let serving = Serving::with(config);
    until("degraded", || !serving.service.health.warnings().is_empty()).await;
    assert!(serving.service.health.warnings()[0].contains("onnection refused"), "{:?}", serving.service.health);
    assert_eq!(send(serving.address, &joined("PA_1", "AGENT")).await, 200);
    assert_eq!(level(&serving, Kind::Agent), Some((1, 1, Coverage::Partial)));
}

#[tokio::test]
async fn a_restart_learns_from_the_first_reading() {
    let standin = StandIn::start().await;
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let start = || {
        let mut config = config();
        config.livekit = Some(livekit(Some(&standin)));
        Serving::on(config, store.clone())
    };
    let dice = &mut StdRng::seed_from_u64(11);
    for _ in 0..60 {
        standin.state.lock().unwrap().truth.happen(dice, seconds() * 1_000);
    }
    let mut first = start();
    until("the lists are read", || is_true(&first, &standin)).await;
    let opened = |serving: &Serving, kind: Kind| {
        let target = Target::Meter(Meter::new(kind, "", "", None).unwrap());
        let key = Key { project: Project::new("default").unwrap(), target };
        serving.service.live.registry.find_meter(&key).unwrap().totals()
    };
    // Until then, nothing of it would be known after a restart.
    let seen = first.service.clock.now().wall.tick();
    until("that is durable", || first.service.live.durable() >= Some(seen)).await;
    first.stop();
    first.stopped().await;
    let second = start();
    assert!(second.service.live.is_settling(), "it waits for LiveKit's lists");
    until("the lists are read again", || is_true(&second, &standin)).await;
    until("the first reading ends it", || !second.service.live.is_settling()).await;
    for kind in KINDS {
        let totals = opened(&second, kind);
        assert_eq!(
            (totals.opened, totals.closed.iter().sum::<u64>()),
            (0, 0),
            "{kind}: none is counted twice, or lost"
        );
    }
}

#[tokio::test]
async fn an_event_that_is_sent_again_after_a_restart_is_known_also_where_no_list_says_who_is_there() {
    let store = Arc::new(EmbeddedStore::in_memory().unwrap());
    let start = || {
        let mut config = config();
        config.livekit = Some(livekit(None));
        Serving::on(config, store.clone())
    };
    let mut first = start();
    let body = joined("PA_1", "AGENT").to_string().into_bytes();
    let caught = token(&json!({"alg": "HS256"}), &claims(&body), SECRET);
    let headers = [("authorization", &*caught), ("content-type", "application/webhook+json")];
    assert_eq!(post_to(first.address, &headers, &body).await.0, 200);
    assert_eq!(level(&first, Kind::Agent), Some((1, 1, Coverage::Partial)));
    let mut left = joined("PA_1", "AGENT");
    (left["event"], left["id"]) = (json!("participant_left"), json!("EV_left"));
    assert_eq!(send(first.address, &left).await, 200);
    assert_eq!(level(&first, Kind::Agent).map(|(level, ..)| level), Some(0));
    until("the store knows of both", || first.service.livekit.heard.unkept().is_none()).await;
    first.stop();
    first.stopped().await;

    let second = start();
    assert_eq!(post_to(second.address, &headers, &body).await.0, 200, "LiveKit need not send it once more");
    assert_eq!((counted(&second).repeated, counted(&second).events), (1, 0));
    assert_eq!(level(&second, Kind::Agent).map_or(0, |(level, ..)| level), 0, "it left before the restart");
    // What is new is taken.
    assert_eq!(send(second.address, &joined("PA_2", "AGENT")).await, 200);
    until("it counts", || level(&second, Kind::Agent).is_some_and(|(level, ..)| level == 1)).await;
}
