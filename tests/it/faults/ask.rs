//! What anyone may ask the service, whole: all pages, all meters and pools.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use highwater::{
    model::{Incarnation, SessionId},
    proto::{
        ClosedCounts, GetDistributionRequest, GetDistributionResponse, GetHistoryRequest, GetStatusRequest,
        GetStatusResponse, History, ListQuotasRequest, ListSessionsRequest, Meter, Quota, Target,
        get_history_request::Column, quota_service_client::QuotaServiceClient, target::Target as Named,
    },
};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::serving::channel;

/// A held slot: whose, and which; each 32 hex digits.
pub type Slot = (String, String);

/// How often to look again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PAGE_SIZE: i32 = 1_000;

pub fn slot(incarnation: Incarnation, session: SessionId) -> Slot {
    let hex = |bytes| format!("{:032x}", u128::from_be_bytes(bytes));
    (hex(incarnation.0), hex(session.0))
}

/// One who asks.
pub struct Ask {
    client: QuotaServiceClient<Channel>,
}

impl Ask {
    /// Connects, as soon as the service takes connections.
    pub async fn at(address: SocketAddr) -> Self {
        Self { client: QuotaServiceClient::new(channel(address).await.unwrap()) }
    }

    pub async fn status(&mut self) -> GetStatusResponse {
        self.client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// All slots that are held, by id.
    pub async fn held(&mut self) -> BTreeSet<Slot> {
        let mut request = ListSessionsRequest { page_size: PAGE_SIZE, ..Default::default() };
        let mut held = BTreeSet::new();
        loop {
            let page = self.client.list_sessions(request.clone()).await.unwrap().into_inner();
            held.extend(page.sessions.into_iter().map(|session| (session.incarnation, session.id)));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return held;
            }
        }
    }

    /// Waits until exactly these slots are held; returns how long that took.
    pub async fn until_held(&mut self, expected: &BTreeSet<Slot>, within: Duration) -> Duration {
        let started = Instant::now();
        loop {
            let held = self.held().await;
            if held == *expected {
                return started.elapsed();
            }
            if started.elapsed() > within {
                let (missing, leaked) = (expected.difference(&held).count(), held.difference(expected).count());
                panic!("after {within:?}, {missing} slots are missing and {leaked} are held that should not be");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the service has learned what its workers hold; returns how long that took.
    pub async fn until_settled(&mut self, within: Duration) -> Duration {
        let started = Instant::now();
        while self.status().await.settling {
            assert!(started.elapsed() < within, "it still settles");
            sleep(LOOK_EVERY).await;
        }
        started.elapsed()
    }

    /// Waits until the second before this one is in the history.
    pub async fn until_durable(&mut self, second: u64, within: Duration) {
        let started = Instant::now();
        let reached = |until: prost_types::Timestamp| until.seconds >= second.cast_signed();
        while !self.status().await.durable_until.is_some_and(reached) {
            assert!(started.elapsed() < within, "second {second} is not durable");
            sleep(LOOK_EVERY).await;
        }
    }

    /// All meters and pools.
    pub async fn quotas(&mut self) -> Vec<Quota> {
        let request = ListQuotasRequest { page_size: PAGE_SIZE, ..Default::default() };
        self.client.list_quotas(request).await.unwrap().into_inner().quotas
    }

    /// Waits until what was opened less what was closed, in any way, is the level of every meter and pool: history is a
    /// second behind, and how a session ended may be told a while after it did.
    pub async fn until_sums_add_up(&mut self, within: Duration) -> Vec<Quota> {
        let started = Instant::now();
        loop {
            let quotas = self.quotas().await;
            let wrong: Vec<_> = quotas.iter().filter(|quota| !adds_up(quota)).collect();
            if wrong.is_empty() && !quotas.is_empty() {
                return quotas;
            }
            let sums = wrong.iter().map(|q| (&q.display_name, q.opened, closed(q), q.level)).collect::<Vec<_>>();
            assert!(started.elapsed() < within, "opened, closed and level do not add up: {sums:?}");
            sleep(LOOK_EVERY).await;
        }
    }

    /// All columns of one target's minutes since a second.
    pub async fn history(&mut self, target: Target, since: u64) -> History {
        let columns = [Column::PeakSecond, Column::Last, Column::Sessions, Column::Covered];
        let request = GetHistoryRequest {
            targets: vec![target],
            start_time: Some(prost_types::Timestamp { seconds: since.cast_signed(), nanos: 0 }),
            columns: columns.map(i32::from).to_vec(),
            ..Default::default()
        };
        self.client.get_history(request).await.unwrap().into_inner().histories.remove(0)
    }

    /// For how long each level was reached.
    pub async fn distribution(&mut self, target: Target, levels: Vec<u32>) -> GetDistributionResponse {
        let request = GetDistributionRequest { target: Some(target), levels, ..Default::default() };
        self.client.get_distribution(request).await.unwrap().into_inner()
    }
}

pub fn target(meter: Meter) -> Target {
    Target { target: Some(Named::Meter(meter)) }
}

/// Sessions that ended, in any way.
pub fn closed(quota: &Quota) -> u64 {
    let ClosedCounts { ok, cancelled, concurrency, rate, credits, unavailable, timeout, auth, other, lost } =
        quota.closed.unwrap_or_default();
    ok + cancelled + concurrency + rate + credits + unavailable + timeout + auth + other + lost
}

/// Whether what was opened less what was closed is held.
pub fn adds_up(quota: &Quota) -> bool {
    quota.opened == closed(quota) + u64::from(quota.level)
}
