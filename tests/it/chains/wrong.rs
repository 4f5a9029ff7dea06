//! Chains, pins and drains that are wrong: each is refused with its field, what is wrong, and what would be right.

use highwater::{
    access::Role,
    proto::{EndOverrideRequest, ListChainsRequest, Meter, SetChainRequest, SetOverrideRequest, r#override::Action},
};
use tonic::Code;

use super::{Client, MODEL, RIME, TURBO, agents, chain, client, delete, end, list, model, said, say, set};
use crate::{
    access::{key, keyed, new_key},
    serving::{Serving, wrong},
};

/// A chain is refused, and there is none after it.
async fn refused(client: &mut Client, request: SetChainRequest, field: &str, words: &str) {
    wrong(set(client, request).await, field, words);
    assert_eq!(list(client).await, []);
}

#[tokio::test]
async fn what_is_wrong_with_a_chain_is_named() {
    let serving = Serving::start();
    serving
        .service
        .create_project(
            &highwater::model::Project::new("default").unwrap(),
            &highwater::service::Actor::offline(),
            serving.service.clock.now(),
        )
        .unwrap();
    let mut edits = client(&serving, "").await;
    let edits = &mut edits;
    refused(
        edits,
        chain("agents", &[MODEL, TURBO, MODEL]),
        "models[2]",
        "is models[0] already, so that the chain would loop",
    )
    .await;
    refused(edits, chain("agents", &[MODEL, &format!("{MODEL}:a-voice")]), "models[1]", "stands twice").await;
    let words = "openai/gpt-4.1-mini is of kind llm; a chain of kind tts names tts models only";
    refused(edits, chain("agents", &[MODEL, "openai/gpt-4.1-mini"]), "models[1]", words).await;
    let of_stt = Meter { kind: 2, ..model("a/b") };
    let request = SetChainRequest { models: vec![of_stt], ..agents() };
    refused(edits, request, "models[0]", "is of kind stt; a chain of kind tts").await;
    let odd_kind = Meter { kind: 77, ..model("a/b") };
    refused(edits, SetChainRequest { models: vec![model(MODEL), odd_kind], ..agents() }, "models[1].kind", "is 77")
        .await;
    let odd_unit = Meter { unit: 3, ..model(MODEL) };
    refused(edits, SetChainRequest { models: vec![odd_unit], ..agents() }, "models[0].unit", "counted in streams")
        .await;
    refused(edits, chain("agents", &[]), "models", "name 1 to 8, the primary first").await;
    refused(edits, chain("agents", &["a/b"; 9]), "models", "has 9; 1 to 8 are allowed").await;
    refused(edits, chain("agents", &["a/b"; 4_000]), "models", "has 4000; 1 to 8 are allowed").await;
    refused(edits, chain("agents", &["sonic"]), "models[0]", "is not provider/model").await;
    refused(edits, SetChainRequest { kind: 0, ..agents() }, "kind", "a kind from 1 to 9").await;
    refused(edits, SetChainRequest { kind: 7, ..agents() }, "kind", "it is one of llm, stt, tts, realtime").await;
    refused(edits, chain("Agents", &[MODEL]), "name", "[a-z0-9._-]").await;
    refused(edits, chain("", &[MODEL]), "name", "0 bytes").await;
    refused(edits, chain(&"x".repeat(65), &[MODEL]), "name", "65 bytes").await;
    refused(edits, SetChainRequest { fill_percent: 101, ..agents() }, "fill_percent", "at most 100").await;
    refused(edits, SetChainRequest { return_percent: 90, ..agents() }, "return_percent", "at most 85").await;
    let both = SetChainRequest { thresholds_off: true, fill_percent: 90, ..agents() };
    refused(edits, both, "thresholds_off", "leave them out").await;
    for (seconds, words) in [(29, "is 29 s; 30 to 3600"), (3_601, "30 to 3600"), (-1, "is negative")] {
        let dwell = Some(prost_types::Duration { seconds, nanos: 0 });
        refused(edits, SetChainRequest { dwell, ..agents() }, "dwell", words).await;
    }
    refused(edits, SetChainRequest { reason: "x".repeat(501), ..agents() }, "reason", "501 bytes").await;
    refused(edits, SetChainRequest { reason: "a\u{202e}b".into(), ..agents() }, "reason", "control character").await;
    refused(edits, SetChainRequest { project: "-".into(), ..agents() }, "project", "a chain is of one").await;
    let page = ListChainsRequest { page_token: "00".into(), ..Default::default() };
    wrong(edits.list_chains(page).await, "page_token", "first page");
    let unknown = set(edits, chain("agents", &[MODEL, "acme/unheard-of"])).await.unwrap();
    assert_eq!(unknown.unknown_models, [1], "it is taken, and told");
}

#[tokio::test]
async fn what_is_wrong_with_a_pin_or_a_drain_is_named() {
    let serving = Serving::start();
    let mut edits = client(&serving, "").await;
    let edits = &mut edits;
    set(edits, agents()).await.unwrap();
    let pin = || say(Action::Pin, MODEL);
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let ahead = |days: i64| at(pin().end_time.unwrap().seconds + days * 86_400);
    wrong(said(edits, say(Action::Pin, RIME)).await, "model", "is not in chain agents; it has elevenlabs/");
    wrong(said(edits, say(Action::Pin, "sonic")).await, "model.model", "is not provider/model");
    wrong(said(edits, SetOverrideRequest { model: None, ..pin() }).await, "model", "is needed");
    let of_stt = Some(Meter { kind: 2, ..model(MODEL) });
    wrong(said(edits, SetOverrideRequest { model: of_stt, ..pin() }).await, "model.kind", "which is tts");
    wrong(said(edits, SetOverrideRequest { action: 0, ..pin() }).await, "action", "1 (pin) or 2 (drain)");
    wrong(said(edits, SetOverrideRequest { action: 9, ..pin() }).await, "action", "is 9");
    wrong(said(edits, SetOverrideRequest { end_time: None, ..pin() }).await, "end_time", "is needed");
    wrong(said(edits, SetOverrideRequest { end_time: at(1_000), ..pin() }).await, "end_time", "is not in the future");
    wrong(said(edits, SetOverrideRequest { end_time: at(-5), ..pin() }).await, "end_time", "before 1970");
    wrong(said(edits, SetOverrideRequest { end_time: ahead(30), ..pin() }).await, "end_time", "more than 30 days");
    wrong(said(edits, SetOverrideRequest { reason: " ".into(), ..pin() }).await, "reason", "say why in 1 to 500");
    wrong(said(edits, SetOverrideRequest { reason: "x".repeat(501), ..pin() }).await, "reason", "501 bytes");
    wrong(said(edits, SetOverrideRequest { project: "-".into(), ..pin() }).await, "project", "a chain is of one");
    wrong(said(edits, SetOverrideRequest { chain: String::new(), ..pin() }).await, "chain", "0 bytes");
    let missing = said(edits, SetOverrideRequest { chain: "others".into(), ..pin() }).await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::NotFound, "there is no chain others"));

    let nothing = end(edits, MODEL).await.unwrap_err();
    assert_eq!(
        (nothing.code(), nothing.message()),
        (Code::NotFound, "there is no pin or drain in force of cartesia/sonic-3")
    );
    let missing = EndOverrideRequest { chain: "others".into(), model: Some(model(MODEL)), ..Default::default() };
    assert_eq!(edits.end_override(missing).await.unwrap_err().code(), Code::NotFound);
    said(edits, pin()).await.unwrap();
    wrong(said(edits, say(Action::Pin, TURBO)).await, "model", "cartesia/sonic-3 is pinned already; end that first");
    said(edits, say(Action::Drain, TURBO)).await.unwrap();
    wrong(
        said(edits, say(Action::Drain, MODEL)).await,
        "model",
        "is the last model of chain agents that is not drained",
    );
    wrong(set(edits, chain("agents", &[TURBO])).await, "models", "has no model that is not drained by hand");
    assert_eq!(list(edits).await[0].overrides.len(), 2, "what was refused changed nothing");
}

#[tokio::test]
async fn chains_are_changed_by_editors_and_read_by_viewers() {
    let serving = keyed();
    let of = async |role, project| client(&serving, &key(&serving, new_key(role, project)).1).await;
    let (mut editor, mut viewer, mut other) =
        (of(Role::Editor, "acme").await, of(Role::Viewer, "acme").await, of(Role::Editor, "other").await);
    set(&mut editor, agents()).await.unwrap();
    assert_eq!(list(&mut viewer).await.len(), 1);
    assert_eq!(set(&mut viewer, agents()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(delete(&mut viewer, "agents").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(said(&mut viewer, say(Action::Pin, MODEL)).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(end(&mut viewer, MODEL).await.unwrap_err().code(), Code::PermissionDenied);
    let foreign = SetChainRequest { project: "acme".into(), ..agents() };
    let refused = set(&mut other, foreign).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "there is no project acme"));
    set(&mut other, agents()).await.expect("names are of their project");
    assert_eq!(delete(&mut other, "agents").await.unwrap().name, "agents");
    assert_eq!(list(&mut viewer).await.len(), 1, "another's is not touched");
}
