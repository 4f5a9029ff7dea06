//! That new sessions go elsewhere, as a mark of a chart.

use std::sync::Arc;

use highwater::{
    proto::{
        Annotation, ListAnnotationsRequest, Target as Named, annotation::Happening, r#override::Action,
        quota_service_client::QuotaServiceClient, target,
    },
    store::{Shelf, Store, embedded::EmbeddedStore},
};

use super::{
    told::{end_override, set_override},
    *,
};

/// The marks of routes: of these models, or of all.
async fn marks(serving: &Serving, models: &[&str]) -> Vec<Annotation> {
    let target = |model: &&str| Named { target: Some(target::Target::Meter(meter(model))) };
    let request = ListAnnotationsRequest { targets: models.iter().map(target).collect(), ..Default::default() };
    let answer = QuotaServiceClient::new(serving.channel().await).list_annotations(request).await;
    let all = answer.unwrap().into_inner().annotations;
    all.into_iter().filter(|mark| mark.happening() == Happening::Route).collect()
}

fn words(marks: &[Annotation]) -> Vec<&str> {
    marks.iter().map(|mark| mark.text.as_str()).collect()
}

#[tokio::test]
async fn a_chart_marks_where_new_sessions_went_and_why_also_after_a_restart() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let mut serving = Serving::on(crate::serving::config(), store.clone());
    limit(&serving, MODEL, 1);
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    set_override(&serving, OTHER, Action::Pin).await;
    until(&serving, "it is pinned", |routes| routes.chains[0].models[1].percent == 100).await;
    end_override(&serving, OTHER).await;
    set_override(&serving, OTHER, Action::Drain).await;
    until(&serving, "it is drained", |routes| routes.chains[0].models[0].percent == 100).await;
    end_override(&serving, OTHER).await;
    granted(say(&serving, ask(1, "a")).await);
    until(&serving, "it is full", |routes| routes.chains[0].models[1].percent == 100).await;

    let told = marks(&serving, &[]).await;
    let expected = [
        "Chain agents: ElevenLabs Turbo v2.5 is pinned: the voice crackles",
        "Chain agents: ElevenLabs Turbo v2.5 is drained: the voice crackles; new sessions go to Cartesia Sonic 3",
        "Chain agents: Cartesia Sonic 3 is full, new sessions go to ElevenLabs Turbo v2.5",
    ];
    assert_eq!(words(&told), expected);
    assert!(told.iter().all(|mark| crate::serving::is_meter_of(&mark.target, MODEL)), "{told:?}");
    assert!(told.is_sorted_by_key(|mark| mark.start_time.map(|at| (at.seconds, at.nanos))));
    // It concerns the fallback, too, and nobody else.
    let of_other = marks(&serving, &[OTHER]).await;
    assert_eq!(words(&of_other), expected);
    assert!(of_other.iter().all(|mark| crate::serving::is_meter_of(&mark.target, OTHER)), "{of_other:?}");
    assert_eq!(marks(&serving, &["rime/coda"]).await, []);

    serving.stop();
    serving.stopped().await;
    let serving = Serving::on(crate::serving::config(), store.clone());
    assert_eq!(marks(&serving, &[]).await[..3], told);
    let now = serving.service.clock.now();
    let (_, gone) = serving.service.delete_project(&project(), &Actor::service(), now).unwrap();
    tokio::task::spawn_blocking(move || gone.recv_timeout(SOON).unwrap()).await.unwrap();
    assert_eq!(store.documents(Shelf::Turns).unwrap(), []);
}

#[tokio::test]
async fn who_waits_by_chain_waits_for_what_its_route_says_meanwhile() {
    let serving = with_chain(Mode::Enforce, [1, 1]).await;
    for (session, model) in [("a", MODEL), ("b", OTHER)] {
        let by_model = AcquireRequest { chain: String::new(), meters: vec![meter(model)], ..ask(1, session) };
        granted(say(&serving, by_model).await);
    }
    let waits = |session: &'static str| {
        let (client, wait) = (serving.ingest(), Some(prost_types::Duration { seconds: 30, nanos: 0 }));
        async move { client.await.acquire(AcquireRequest { wait, ..ask(2, session) }).await.unwrap().into_inner() }
    };
    // The first model is drained while somebody waits: what is free there is not given.
    let mut first = Box::pin(waits("c"));
    assert!(timeout(Duration::from_millis(300), &mut first).await.is_err());
    set_override(&serving, MODEL, Action::Drain).await;
    until(&serving, "it is drained", |routes| routes.chains[0].models[0].stand() == Stand::Drained).await;
    assert!(timeout(Duration::from_millis(300), &mut first).await.is_err());
    release(&serving, 1, "a", Outcome::Ok).await;
    assert!(timeout(Duration::from_millis(300), &mut first).await.is_err());
    // And is, when that is over.
    end_override(&serving, MODEL).await;
    let answer = timeout(SOON, first).await.expect("a slot is free");
    assert_eq!(granted(answer).meter.unwrap().model, MODEL);
    // A fallback that comes later is taken.
    let mut second = Box::pin(waits("d"));
    assert!(timeout(Duration::from_millis(300), &mut second).await.is_err());
    set_chain(&serving, CHAIN, &[MODEL, OTHER, "rime/coda"]).await;
    let answer = granted(timeout(SOON, second).await.expect("there is room"));
    assert_eq!(answer.meter.unwrap().model, "rime/coda");
}
