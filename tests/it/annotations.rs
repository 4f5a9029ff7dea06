//! What a chart marks.

use std::sync::Arc;

use highwater::{
    model::Frame,
    proto::{
        Annotation, CreateIncreaseRequestRequest, DecideIncreaseRequestRequest, ListAnnotationsRequest,
        SetLimitRequest, Target, annotation::Happening, limit_service_client::LimitServiceClient,
        quota_service_client::QuotaServiceClient, request_service_client::RequestServiceClient,
        target::Target as Named,
    },
    service::Clock,
    store::{EmbeddedStore, Second, Store},
};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

use crate::serving::{MODEL, SOON, Serving, config, meter};

/// Seconds for which the service was away.
const AWAY: u64 = 100;

fn of(model: &str) -> Option<Target> {
    Some(Target { target: Some(Named::Meter(meter(model))) })
}

async fn marks(client: &mut QuotaServiceClient<Channel>, request: ListAnnotationsRequest) -> Vec<Annotation> {
    client.list_annotations(request).await.unwrap().into_inner().annotations
}

#[tokio::test]
async fn limits_requests_and_outages_are_marked() {
    let store = EmbeddedStore::in_memory().unwrap();
    let last = Clock::wall().tick().0 - AWAY;
    store.commit(&Second { frames: vec![Frame { tick: last, ..Frame::default() }], ..Second::default() }).unwrap();
    let serving = Serving::on(config(), Arc::new(store));
    let channel = serving.channel().await;
    let mut limits = LimitServiceClient::new(channel.clone());
    for (slots, reason) in [(20, ""), (26, "launch")] {
        let (slots, set_by, reason) = (Some(slots), "ada".to_owned(), reason.to_owned());
        let request = SetLimitRequest { target: of(MODEL), slots, set_by, reason, ..Default::default() };
        limits.set_limit(request).await.unwrap();
    }
    let mut requests = RequestServiceClient::new(channel.clone());
    let (target, reason) = (of("nobody/knows-this"), "a trial".to_owned());
    let request = CreateIncreaseRequestRequest { target, wanted_slots: 5, reason, ..Default::default() };
    let id = requests.create_increase_request(request).await.unwrap().into_inner().request.unwrap().id;
    let word = "not now".to_owned();
    requests.decide_increase_request(DecideIncreaseRequestRequest { id, word, ..Default::default() }).await.unwrap();

    let mut client = QuotaServiceClient::new(channel);
    let all = marks(&mut client, ListAnnotationsRequest::default()).await;
    let told: Vec<_> = all.iter().map(|mark| (mark.happening(), &*mark.text)).collect();
    assert_eq!(told[0].0, Happening::Outage);
    assert_eq!(
        told[1..],
        [
            (Happening::Limit, "Limit none → 20 by ada"),
            (Happening::Limit, "Limit 20 → 26 by ada: launch"),
            (Happening::Request, "5 asked for by dev: a trial"),
            (Happening::Request, "Request for 5 declined by dev: not now"),
        ]
    );
    let (outage, start) = (&all[0], i64::try_from(last).unwrap() + 1);
    let end = outage.end_time.unwrap().seconds;
    assert_eq!((outage.start_time.unwrap().seconds, &outage.target), (start, &None));
    assert!(end >= start + AWAY as i64 - 1 && end < start + AWAY as i64 + 30, "{outage:?}");
    assert!(all[1].end_time.is_none() && all[1].target.is_some());

    let targets = vec![of("nobody/knows-this").unwrap()];
    let one = marks(&mut client, ListAnnotationsRequest { targets: targets.clone(), ..Default::default() }).await;
    let happened: Vec<_> = one.iter().map(Annotation::happening).collect();
    assert_eq!(happened, [Happening::Outage, Happening::Request, Happening::Request], "and what concerns all");
    let before = Some(prost_types::Timestamp { seconds: start, nanos: 0 });
    assert_eq!(marks(&mut client, ListAnnotationsRequest { end_time: before, ..Default::default() }).await, []);
    let wrong = ListAnnotationsRequest { start_time: before, end_time: before, ..Default::default() };
    assert_eq!(client.list_annotations(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    let foreign = ListAnnotationsRequest { project: "nobody".into(), ..Default::default() };
    assert_eq!(client.list_annotations(foreign).await.unwrap_err().code(), Code::NotFound);

    // The store knows it when the second is over.
    let kept = timeout(SOON, async {
        while serving.service.store.note("outages").unwrap().is_none_or(|note| note.ends_with('-')) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    kept.await.unwrap();
    let note = serving.service.store.note("outages").unwrap().unwrap();
    assert!(note.starts_with(&format!("{}-", last + 1)), "{note}");
}
