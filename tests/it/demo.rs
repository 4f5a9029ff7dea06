//! The demo: ready soon, marked as a simulation, moving, and without a seam between its history and its live workers.

#![expect(clippy::disallowed_methods, reason = "the demo joins the real present")]

use std::{
    net::SocketAddr,
    path::Path,
    sync::LazyLock,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use highwater::{
    demo::{Demo, DemoError, ON_CALL, Options, PROJECT, StageError},
    http,
    proto::{
        FailProviderRequest, GetHistoryRequest, GetMailRequest, GetRoutesRequest, GetStatusRequest, History,
        KillWorkerRequest, Kind, ListChainsRequest, ListMailsRequest, ListQuotasRequest, ListSessionsRequest, Pool,
        Quota, Session, Stand, StartBusyHourRequest, Target, Week, chain_service_client::ChainServiceClient,
        demo_service_client::DemoServiceClient, get_history_request::Column, quota_service_client::QuotaServiceClient,
        route_service_client::RouteServiceClient, target,
    },
    service::start::SIMULATION_NOTE,
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

use crate::{doors, serving::SOON};

/// What most of these tests need: a build that is not optimized takes many times as long for each hour as one that is.
const HISTORY: Duration = Duration::from_secs(2 * 3_600);
/// What `make run` shows.
const SEVEN_DAYS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A demo is over in this time.
const STOP: Duration = Duration::from_secs(5);

/// A zone in which it is two o'clock in the afternoon, when most calls come.
static AFTERNOON: LazyLock<TimeZone> = LazyLock::new(|| {
    let hour = Timestamp::now().to_zoned(TimeZone::UTC).hour();
    TimeZone::fixed(Offset::from_hours(14 - hour).unwrap())
});

fn options(dir: &Path) -> Options {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Options { dir: dir.to_owned(), zone: AFTERNOON.clone(), seconds: HISTORY.as_secs(), address }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), DemoError>>,
}

impl Running {
    fn start(options: &Options) -> Self {
        let listener = http::bind(options.address).unwrap();
        let address = listener.local_addr().unwrap();
        let demo = Demo::prepare(&Options { address, ..options.clone() }).unwrap();
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

/// The half hour up to now of all agent sessions.
async fn last_minutes(channel: &Channel) -> History {
    if Timestamp::now().as_second() % 60 < 2 {
        // Nothing is known of a minute that has just begun.
        sleep(Duration::from_secs(2)).await;
    }
    let now = Timestamp::now().as_second() / 60 * 60 + 60;
    let target = Target { target: Some(target::Target::Pool(Pool { kind: Kind::Agent.into(), ..Default::default() })) };
    let request = GetHistoryRequest {
        project: PROJECT.to_owned(),
        targets: vec![target],
        start_time: Some(prost_types::Timestamp { seconds: now - 30 * 60, nanos: 0 }),
        end_time: Some(prost_types::Timestamp { seconds: now, nanos: 0 }),
        step: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        columns: vec![Column::Sessions.into()],
    };
    QuotaServiceClient::new(channel.clone()).get_history(request).await.unwrap().into_inner().histories.remove(0)
}

#[tokio::test]
async fn a_demo_is_ready_soon_and_moves_without_a_seam() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let running = Running::start(&options(dir.path()));
    let channel = running.channel().await;
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.into_inner().status, 1);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let status = QuotaServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.simulation);
    let first = quotas(&channel).await;
    assert!(first.len() > 15, "{}", first.len());
    // A call begins or ends every other second.
    let moved = timeout(3 * SOON, async {
        while quotas(&channel).await.iter().map(|quota| quota.level).eq(first.iter().map(|quota| quota.level)) {
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(moved.await.is_ok(), "no level moved");
    let request = ListChainsRequest { project: PROJECT.to_owned(), ..Default::default() };
    let chains = ChainServiceClient::new(channel.clone()).list_chains(request).await.unwrap().into_inner().chains;
    assert_eq!(chains.iter().map(|chain| &*chain.name).collect::<Vec<_>>(), ["reasoning", "transcription", "voice"]);
    assert!(chains.iter().all(|chain| !chain.failures.is_empty()), "each has held something: {chains:?}");
    let minutes = last_minutes(&channel).await;
    assert!(minutes.flags.iter().all(|flags| flags & 1 == 0), "a gap: {minutes:?}");
    assert_eq!((minutes.lost.iter().sum::<u32>(), minutes.peak.len()), (0, 30), "{minutes:?}");
    assert!(minutes.peak.is_sorted_by(|before, after| 3 * after > *before), "a dip: {minutes:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_busy_hour_brings_models_to_their_limits_and_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&options(dir.path()));
    let channel = running.channel().await;
    let beyond = async || {
        let quotas = quotas(&channel).await;
        quotas.iter().filter(|quota| quota.limit.as_ref().is_some_and(|limit| quota.level > limit.slots)).count()
    };
    assert_eq!(beyond().await, 0);
    let mut demo = DemoServiceClient::new(channel.clone());
    let said = demo.start_busy_hour(StartBusyHourRequest {}).await.unwrap().into_inner().sentence;
    assert!(said.contains("calls more") && said.contains("10 minutes"), "{said}");
    let began = Instant::now();
    while beyond().await == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no model is beyond its limit");
        sleep(Duration::from_millis(200)).await;
    }
    running.stop().await;
}

/// Sessions of agents that were lost.
async fn lost(channel: &Channel) -> u64 {
    quotas(channel).await.iter().filter_map(|quota| quota.closed.as_ref()).map(|closed| closed.lost).sum()
}

async fn sessions_of(channel: &Channel, worker: &str) -> Vec<Session> {
    let request = ListSessionsRequest {
        project: PROJECT.to_owned(),
        worker_id: worker.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    QuotaServiceClient::new(channel.clone()).list_sessions(request).await.unwrap().into_inner().sessions
}

#[tokio::test]
async fn a_worker_that_is_killed_is_silent_and_then_lost() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&options(dir.path()));
    let channel = running.channel().await;
    let before = {
        // Workers of the history attach again in the first moments.
        let mut status = QuotaServiceClient::new(channel.clone());
        let settled = async {
            while status.get_status(GetStatusRequest {}).await.unwrap().into_inner().settling {
                sleep(Duration::from_millis(100)).await
            }
        };
        timeout(2 * SOON, settled).await.unwrap();
        lost(&channel).await
    };
    let killed = DemoServiceClient::new(channel.clone()).kill_worker(KillWorkerRequest {}).await.unwrap().into_inner();
    assert!(killed.sessions > 0 && killed.worker_id.starts_with("voice-agent-"), "{killed:?}");
    assert!(
        killed.sentence.starts_with(&format!("{} crashed with {}", killed.worker_id, killed.sessions)),
        "{killed:?}"
    );
    let silent = timeout(SOON, async {
        // Calls that the worker takes after it was started again are heard.
        while sessions_of(&channel, &killed.worker_id).await.iter().filter(|session| session.silent).count()
            < killed.sessions as usize
        {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(silent.await.is_ok(), "{killed:?}");
    let gone = timeout(2 * SOON, async {
        while sessions_of(&channel, &killed.worker_id).await.iter().any(|session| session.silent) {
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(gone.await.is_ok(), "the lease ends");
    assert!(lost(&channel).await >= before + u64::from(killed.sessions), "{killed:?}");
    running.stop().await;
}

/// Shares and stands of the models of a chain.
async fn route(channel: &Channel, chain: &str) -> Vec<(u32, Stand)> {
    let request = GetRoutesRequest { project: PROJECT.to_owned() };
    let routes = RouteServiceClient::new(channel.clone()).get_routes(request).await.unwrap().into_inner().routes;
    let chains = routes.unwrap_or_default().chains;
    let found = chains.into_iter().find(|route| route.chain == chain).map(|route| route.models).unwrap_or_default();
    found.iter().map(|model| (model.percent, model.stand())).collect()
}

#[tokio::test]
async fn a_provider_that_fails_is_down_and_sessions_go_to_the_fallback() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&options(dir.path()));
    let channel = running.channel().await;
    let mut demo = DemoServiceClient::new(channel.clone());
    let said = demo.fail_provider(FailProviderRequest {}).await.unwrap().into_inner().sentence;
    assert!(said.starts_with("ElevenLabs fails for 90 seconds"), "{said}");
    let reaches = async |what: &str, within: Duration, is: fn(&[(u32, Stand)]) -> bool| {
        let began = Instant::now();
        loop {
            let route = route(&channel, "voice").await;
            if is(&route) {
                return;
            }
            assert!(began.elapsed() < within, "{what}: {route:?}");
            sleep(Duration::from_millis(200)).await;
        }
    };
    reaches("it is not down", 2 * SOON, |route| matches!(route, [(0, Stand::Down), (100, _)])).await;
    // Its agent would like another voice.
    let is_diverted = |session: &Session| {
        let (meter, labels) = (session.meter.clone().unwrap_or_default(), session.labels.clone().unwrap_or_default());
        meter.model == "cartesia/sonic-3" && labels.room.starts_with("support")
    };
    let diverted = timeout(2 * SOON, async {
        while !sessions_of(&channel, "").await.iter().any(is_diverted) {
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(diverted.await.is_ok(), "nobody was given the fallback");
    running.stop().await;
}

#[tokio::test]
async fn a_service_that_is_no_demo_has_no_demo_service() {
    let serving = crate::serving::Serving::start();
    let mut demo = DemoServiceClient::new(serving.channel().await);
    let refused = demo.start_busy_hour(StartBusyHourRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    assert_eq!(demo.kill_worker(KillWorkerRequest {}).await.unwrap_err().code(), tonic::Code::Unimplemented);
    assert_eq!(demo.fail_provider(FailProviderRequest {}).await.unwrap_err().code(), tonic::Code::Unimplemented);
    assert_eq!(demo.list_mails(ListMailsRequest {}).await.unwrap_err().code(), tonic::Code::Unimplemented);
    assert_eq!(demo.get_mail(GetMailRequest { mail_id: 1 }).await.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn a_busy_hour_is_told_by_mail_whose_link_opens_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(&options(dir.path()));
    let channel = running.channel().await;
    let mut demo = DemoServiceClient::new(channel.clone());
    demo.start_busy_hour(StartBusyHourRequest {}).await.unwrap();
    let began = Instant::now();
    let mail = loop {
        let mails = demo.list_mails(ListMailsRequest {}).await.unwrap().into_inner().mails;
        // The first one is of a limit that is reached, or passed, or of a fallback that is in use before that: nearing a limit
        // takes two minutes. What follows it is folded.
        let is_of_level =
            |subject: &str| subject.contains(" %)") || subject.ends_with("new sessions go to the fallback");
        if let Some(mail) = mails.into_iter().find(|mail| is_of_level(&mail.subject)) {
            break mail;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no mail");
        sleep(Duration::from_millis(200)).await;
    };
    assert!(mail.subject.starts_with("[demo] ") && mail.to == [ON_CALL], "{mail:?}");
    let told = demo.get_mail(GetMailRequest { mail_id: mail.id }).await.unwrap().into_inner();
    assert!(told.text.contains("Simulated") && told.html.contains("Simulated"), "{}", told.text);
    assert!(told.html.contains("src=\"data:image/png;base64,"), "the picture is in it");
    let link = told.text.lines().find_map(|line| line.strip_prefix("Open the page")).unwrap().trim();
    let page = format!("http://{}/p/{PROJECT}/quotas?select=", running.address);
    let selected = link.strip_prefix(&page).unwrap_or_else(|| panic!("{link}"));
    assert!(told.html.contains(&format!("href=\"{link}\"")), "{link}");
    let spelled = |quota: &Quota| match quota.target.as_ref().unwrap().target.as_ref().unwrap() {
        target::Target::Meter(meter) => format!("{}/{}", meter.kind().as_str_name(), meter.model),
        target::Target::Pool(pool) => format!("pool:{}", pool.kind().as_str_name()),
    };
    let rows: Vec<_> = quotas(&channel).await.iter().map(spelled).collect();
    let found = rows.iter().any(|row| row.to_lowercase().replace("kind_", "") == selected);
    assert!(found, "{selected} is none of {rows:?}");
    assert_eq!(demo.get_mail(GetMailRequest { mail_id: 999 }).await.unwrap_err().code(), tonic::Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn heavy_the_demo_of_seven_days_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let running = Running::start(&Options { seconds: SEVEN_DAYS.as_secs(), ..options(dir.path()) });
    let channel = running.channel().await;
    let rows = quotas(&channel).await;
    println!("seven days were made and served after {:.1} s (goal: 10 s)", began.elapsed().as_secs_f64());
    assert!(rows.len() > 15, "{}", rows.len());
    // The whole week is there, and a model came near its limit in it every afternoon.
    let week_minutes = u32::try_from(SEVEN_DAYS.as_secs() / 60).unwrap();
    assert!(rows.iter().any(|row| row.minutes_covered + 10 >= week_minutes), "{rows:?}");
    assert!(rows.iter().any(|row| row.week() == Week::Repeating && row.minutes_near_limit > 0), "{rows:?}");
    let ready = doors::page(running.address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    running.stop().await;
}

#[tokio::test]
async fn a_fresh_history_is_taken_up_and_another_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let seen = |demo: &Demo| demo.service().store.note("seen").unwrap();
    let first = Demo::prepare(&options(dir.path())).unwrap();
    first.service().store.set_note("seen", "yes").unwrap();
    drop(first);
    let again = Demo::prepare(&options(dir.path())).unwrap();
    assert_eq!(seen(&again).as_deref(), Some("yes"));
    again.service().store.set_note(SIMULATION_NOTE, "unfinished").unwrap();
    drop(again);
    let anew = Demo::prepare(&options(dir.path())).unwrap();
    assert_eq!(seen(&anew), None);
    drop(anew);
    let other = Options { seconds: 3_600, ..options(dir.path()) };
    assert!(Demo::prepare(&other).unwrap().service().store.note(SIMULATION_NOTE).unwrap().unwrap().ends_with("3600 s"));
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
