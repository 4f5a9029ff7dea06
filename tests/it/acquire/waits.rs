//! Who waits, while limits, calls and the service change.

use std::sync::Arc;

use highwater::store::{EmbeddedStore, Store};
use tokio::task::JoinHandle;

use super::*;
use crate::serving::config;

fn wait(serving: &Serving, worker: u8, session: &'static str, seconds: i64) -> JoinHandle<AcquireResponse> {
    let address = serving.address;
    tokio::spawn(async move {
        let wait = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = AcquireRequest { wait, ..ask(worker, session, &[MODEL]) };
        let channel = crate::serving::channel(address).await.unwrap();
        let answer = highwater::proto::ingest_service_client::IngestServiceClient::new(channel).acquire(request).await;
        answer.unwrap().into_inner()
    })
}

async fn until_waiting(serving: &Serving, count: usize) {
    let all = || serving.service.live.waiting_room().waiting().iter().map(|(_, waiting)| *waiting).sum::<usize>();
    let waited = timeout(SOON, async {
        while all() != count {
            sleep(Duration::from_millis(5)).await
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{} wait", all()));
}

#[tokio::test]
async fn a_limit_that_is_raised_serves_all_who_wait_though_nobody_asks_anew() {
    for (from, to) in [(1_u32, 3_u32), (1, 5), (12, 24)] {
        let serving = enforcing(&[(MODEL, from)]);
        let mut client = serving.ingest().await;
        for nth in 0..from {
            let held = AcquireRequest { session_id: format!("held-{nth}").into(), ..ask(1, "", &[MODEL]) };
            granted(client.acquire(held).await.unwrap().into_inner());
        }
        let waiters: Vec<_> = (0..to - from).map(|nth| wait(&serving, 10 + nth as u8, "waits", 30)).collect();
        until_waiting(&serving, waiters.len()).await;
        let now = serving.service.clock.now();
        serving.service.set_limit(&key(MODEL), to, None, author(), now).unwrap();
        for waiter in waiters {
            granted(timeout(SOON, waiter).await.expect("a slot is free, and it waits").unwrap());
        }
        assert_eq!(serving.level(), to);
    }
}

#[tokio::test]
async fn two_calls_of_one_session_that_wait_are_told_the_same() {
    let serving = enforcing(&[(MODEL, 1)]);
    let mut client = serving.ingest().await;
    granted(client.acquire(ask(1, "a", &[MODEL])).await.unwrap().into_inner());
    let calls = [wait(&serving, 2, "b", 2), wait(&serving, 2, "b", 2)];
    until_waiting(&serving, 2).await;
    client.release(release(1, "a")).await.unwrap();
    let mut again = Vec::new();
    for call in calls {
        again.push(granted(timeout(SOON, call).await.unwrap().unwrap()).again);
    }
    again.sort_unstable();
    assert_eq!((again, serving.level()), (vec![false, true], 1));
}

#[tokio::test]
async fn starts_of_the_last_minute_count_after_a_restart() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let mut serving = Serving::on(config(), store.clone());
    let mut limits = LimitServiceClient::new(serving.channel().await);
    let target = Some(highwater::proto::Target { target: Some(highwater::proto::target::Target::Meter(meter(MODEL))) });
    let three = SetLimitRequest { target, starts_per_minute: Some(3), set_by: "kim".into(), ..Default::default() };
    limits.set_limit(three).await.unwrap();
    enforce(&serving, None, Mode::Enforce);
    let mut client = serving.ingest().await;
    for session in ["a", "b"] {
        granted(client.acquire(ask(1, session, &[MODEL])).await.unwrap().into_inner());
        client.release(release(1, session)).await.unwrap();
    }
    let begun = serving.service.clock.now().wall.tick();
    let durable = timeout(SOON, async {
        while serving.service.live.durable() < Some(begun) {
            sleep(Duration::from_millis(10)).await
        }
    });
    durable.await.expect("a second becomes durable");
    serving.stop();
    serving.stopped().await;
    let serving = Serving::on(config(), store);
    let mut client = serving.ingest().await;
    granted(client.acquire(ask(2, "c", &[MODEL])).await.unwrap().into_inner());
    let fourth = refused(client.acquire(ask(2, "d", &[MODEL])).await.unwrap().into_inner());
    assert_eq!(fourth.refusals[0].cause(), RefusalCause::Starts, "{fourth:?}");
}
