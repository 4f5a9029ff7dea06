//! The real program, killed without a word at any moment between a crossing and what the mail server says of it. Each
//! crossing is of a project of its own, so that none waits for another.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater::proto::{
    ListAlertsRequest, Recipient, ReportRequest, ReportedEvent, SetLimitRequest, SetRecipientRequest, Severity, Target,
    alert_delivery::State, alert_service_client::AlertServiceClient, ingest_service_client::IngestServiceClient,
    limit_service_client::LimitServiceClient, recipient::Address, target::Target as Named,
};
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use super::{LEASE, mail_server::MailServer};
use crate::{
    faults::{self, process::Process},
    redis_server::free_port,
    serving::{MODEL, channel, id, meter},
};

const SLOTS: u32 = 2;
/// Projects that cross their limits at once.
const AT_ONCE: usize = 5;
/// How long it is killed over and over.
const KILLED_FOR: Duration = Duration::from_secs(60);
/// The last of them is told after this time: learning, a lease, and the two longest first pauses.
const TOLD_WITHIN: Duration = Duration::from_secs(100);
/// It is killed at some moment of the time from a crossing to long after its mail.
const LIVES_MILLIS: u64 = 1_800;

struct Killed {
    store: PathBuf,
    settings: Vec<String>,
    listen: String,
}

impl Killed {
    fn start(&self) -> Process {
        let settings: Vec<_> = self.settings.iter().map(String::as_str).collect();
        Process::start(&self.store, &self.listen, &settings)
    }
}

pub fn settings(port: u16) -> Vec<String> {
    let port = port.to_string();
    let settings = [
        ["--smtp-host", "127.0.0.1"],
        ["--smtp-port", &port],
        ["--smtp-security", "none"],
        ["--smtp-from", "highwater@hw.example"],
        ["--smtp-per-minute", "10000"],
        ["--bounds-lease", "1s"],
        ["--bounds-beat", "500ms"],
        ["--bounds-learning", "1s"],
    ];
    settings.as_flattened().iter().map(|&text| text.to_owned()).collect()
}

/// A limit, and somebody who is told.
async fn prepare(channel: &Channel, project: &str) {
    let target = Some(Target { target: Some(Named::Meter(meter(MODEL))) });
    let set_by = "test".to_owned();
    let limit =
        SetLimitRequest { project: project.to_owned(), target, slots: Some(SLOTS), set_by, ..Default::default() };
    LimitServiceClient::new(channel.clone()).set_limit(limit).await.unwrap();
    let recipient = Recipient {
        name: "ops".to_owned(),
        address: Some(Address::Mailbox(format!("{project}@x.example"))),
        enabled: true,
        least_severity: Severity::Info.into(),
        ..Default::default()
    };
    let request = SetRecipientRequest { project: project.to_owned(), recipient: Some(recipient) };
    AlertServiceClient::new(channel.clone()).set_recipient(request).await.unwrap();
}

/// Reports as many sessions as there may be: again, they are the same.
async fn cross(channel: &Channel, project: &str) -> Result<(), tonic::Status> {
    let event = |nth| ReportedEvent { session_id: id(nth), meter: Some(meter(MODEL)), ..Default::default() };
    let report = ReportRequest {
        project: project.to_owned(),
        worker_id: "w".into(),
        incarnation: id(1),
        lease: Some(LEASE),
        events: (1..=SLOTS as u8).map(event).collect(),
    };
    IngestServiceClient::new(channel.clone()).report(report).await.map(|_| ())
}

/// Where each notice of all projects is.
async fn deliveries(channel: &Channel) -> Vec<State> {
    let mut request = ListAlertsRequest { all_projects: true, page_size: 1_000, ..Default::default() };
    let mut states = Vec::new();
    loop {
        let page = AlertServiceClient::new(channel.clone()).list_alerts(request.clone()).await.unwrap().into_inner();
        states.extend(page.alerts.iter().flat_map(|alert| alert.deliveries.iter().map(|row| row.state())));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return states;
        }
    }
}

/// How often each message came, by who was told.
fn arrived(server: &MailServer) -> BTreeMap<String, BTreeMap<String, u32>> {
    let mut arrived: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for mail in server.taken() {
        let name = mail.header("Message-ID").unwrap().to_owned();
        *arrived.entry(mail.to).or_default().entry(name).or_default() += 1;
    }
    arrived
}

async fn reach(address: SocketAddr) -> Channel {
    channel(address).await.unwrap()
}

#[tokio::test]
async fn heavy_a_program_that_is_killed_at_any_moment_tells_of_every_crossing_once() {
    let mut random = faults::dice();
    let server = MailServer::start(&["slow"]);
    let directory = tempfile::tempdir().unwrap();
    let store = Path::new(directory.path()).join("store.redb");
    let killed = Killed { store, settings: settings(server.port), listen: format!("127.0.0.1:{}", free_port()) };
    let mut process = killed.start();
    let began = Instant::now();
    let (mut projects, mut kills) = (Vec::<String>::new(), 0_u32);
    while began.elapsed() < KILLED_FOR {
        let channel = reach(process.address).await;
        let told = arrived(&server);
        // As workers do after a restart: what they hold, they say again.
        let untold = projects.iter().filter(|project| !told.contains_key(&format!("{project}@x.example")));
        for project in untold {
            cross(&channel, project).await.unwrap();
        }
        for nth in 0..AT_ONCE {
            let project = format!("p{kills}-{nth}");
            prepare(&channel, &project).await;
            cross(&channel, &project).await.unwrap();
            projects.push(project);
        }
        sleep(Duration::from_millis(random.random_range(0..LIVES_MILLIS))).await;
        process.kill();
        kills += 1;
        process = killed.start();
    }
    let channel = reach(process.address).await;
    let ended = Instant::now();
    loop {
        let told = arrived(&server);
        let untold: Vec<_> =
            projects.iter().filter(|project| !told.contains_key(&format!("{project}@x.example"))).collect();
        for project in &untold {
            cross(&channel, project).await.unwrap();
        }
        let states = deliveries(&channel).await;
        let is_over = |state: &State| matches!(state, State::Sent | State::Superseded);
        if untold.is_empty() && states.iter().all(is_over) {
            break;
        }
        let waiting: Vec<_> = states.iter().filter(|state| !is_over(state)).collect();
        let (untold_count, count) = (untold.len(), projects.len());
        assert!(ended.elapsed() < TOLD_WITHIN, "{untold_count} of {count} are not told: {untold:?}; {waiting:?}");
        sleep(Duration::from_millis(500)).await;
    }
    let arrived = arrived(&server);
    let mut twice = 0;
    for (to, messages) in &arrived {
        assert_eq!(messages.len(), 1, "{to}: {messages:?}");
        twice += messages.values().filter(|count| **count > 1).count();
    }
    assert_eq!(arrived.len(), projects.len());
    println!("{} crossings, {kills} kills; {twice} mails came twice, under the same name", projects.len());
    assert!(kills >= 5, "{kills} kills");
}
