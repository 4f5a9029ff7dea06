//! The demo: ready soon, marked as a simulation, moving, and without a seam between its history and its live workers.

use std::{
    net::SocketAddr,
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use highwater::{
    demo::{Demo, DemoError, Options, PROJECT, StageError},
    http,
    proto::{GetStatusRequest, ListQuotasRequest, Quota, quota_service_client::QuotaServiceClient},
    store::EmbeddedStore,
};
use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::serving::SOON;

/// A build that is not optimized takes ten times as long for each hour: six instead of 168.
const HISTORY: Duration = Duration::from_secs(6 * 3_600);
/// A demo is over in this time.
const STOP: Duration = Duration::from_secs(5);

/// A zone in which it is two o'clock in the afternoon, when most calls come.
fn afternoon() -> TimeZone {
    let hour = Timestamp::now().to_zoned(TimeZone::UTC).hour();
    TimeZone::fixed(Offset::from_hours(14 - hour).unwrap())
}

fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), zone: afternoon(), seconds: HISTORY.as_secs() }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), DemoError>>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let demo = Demo::prepare(&options(dir)).unwrap();
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            demo.run(listener, async {
                let _ = stopped.await;
            })
        });
        Self { address, stop, thread }
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    async fn stop(self) {
        let asked = Instant::now();
        self.stop.send(()).unwrap();
        tokio::task::spawn_blocking(|| self.thread.join().unwrap().unwrap()).await.unwrap();
        assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    }
}

async fn quotas(channel: &Channel) -> Vec<Quota> {
    let request = ListQuotasRequest { project: PROJECT.to_owned(), ..Default::default() };
    QuotaServiceClient::new(channel.clone()).list_quotas(request).await.unwrap().into_inner().quotas
}

#[tokio::test]
async fn a_demo_is_ready_soon_and_moves_without_a_seam() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let running = Running::start(dir.path());
    let channel = running.channel().await;
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.into_inner().status, 1);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let status = QuotaServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.simulation);
    let first = quotas(&channel).await;
    assert!(first.len() > 15, "{}", first.len());
    let moved = timeout(SOON, async {
        while quotas(&channel).await.iter().map(|quota| quota.level).eq(first.iter().map(|quota| quota.level)) {
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(moved.await.is_ok(), "no level moved");
    running.stop().await;
}

#[test]
fn a_store_that_is_not_a_simulations_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    drop(EmbeddedStore::open(&path).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    let refused = Demo::prepare(&options(dir.path())).unwrap_err();
    assert!(matches!(refused, DemoError::Stage(StageError::NotOurs(_))), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len());
}
