//! What helps to plan, over gRPC: the hours of the week, a proposal for a pool, and providers across projects.

use std::time::Duration;

use highwater::{
    model::{Key, Kind, Meter as Name, Now, Project, Target as ModelTarget},
    proto::{
        Bound, GetHeatMapRequest, ListProviderPoolsRequest, Meter, Pool, ProposeAssignmentRequest, ReportRequest,
        ReportedEvent, Risk, SetLimitRequest, Target, Week, admin_service_client::AdminServiceClient,
        forecast_service_client::ForecastServiceClient, ingest_service_client::IngestServiceClient,
        limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient, target::Target as Named,
    },
    service::{Actor, Author},
};
use tokio::time::{sleep, timeout};
use tonic::{Code, transport::Channel};

use crate::serving::{MODEL, SOON, Serving, id, meter, wrong};

const TTS: i32 = 3;
const OTHER: &str = "elevenlabs/eleven_turbo_v2_5";

fn of_meter(model: &str) -> Option<Target> {
    Some(Target { target: Some(Named::Meter(meter(model))) })
}

fn of_pool(model: &str) -> Option<Target> {
    let pool = Pool { kind: TTS, model: model.to_owned(), ..Pool::default() };
    Some(Target { target: Some(Named::Pool(pool)) })
}

/// A worker of a project holds so many sessions of these models.
async fn hold(channel: &Channel, project: &str, nth: u8, held: &[(&str, u8)]) {
    let sessions = held.iter().flat_map(|(model, count)| (0..*count).map(|_| *model)).zip(nth * 20..);
    let events = sessions.map(|(model, session)| ReportedEvent {
        session_id: id(session),
        meter: Some(Meter { unit: 0, ..meter(model) }),
        ..ReportedEvent::default()
    });
    let report = ReportRequest {
        project: project.to_owned(),
        worker_id: "w".to_owned(),
        incarnation: id(nth),
        lease: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
        events: events.collect(),
    };
    IngestServiceClient::new(channel.clone()).report(report).await.unwrap();
}

async fn set_limit(channel: &Channel, project: &str, target: Option<Target>, slots: u32) {
    let (project, slots, set_by) = (project.to_owned(), Some(slots), "kim".to_owned());
    let request = SetLimitRequest { project, target, slots, set_by, ..SetLimitRequest::default() };
    LimitServiceClient::new(channel.clone()).set_limit(request).await.unwrap();
}

/// Sets the limit of the model as it was an hour ago: a minute is held against the limit that it began under.
fn limit_of_before(serving: &Serving, slots: u32) {
    let target = ModelTarget::Meter(Name::new(Kind::Tts, MODEL, "", None).unwrap());
    let key = Key { project: Project::new("default").unwrap(), target };
    let author = Author { set_by: "kim".to_owned(), reason: String::new(), actor: Actor::offline() };
    let now = serving.service.clock.now();
    let before = Now { wall: now.wall.before(Duration::from_secs(3_600)), ..now };
    serving.service.set_limit(&key, slots, None, author, before).unwrap();
}

/// Waits until what is live is in the minutes.
async fn rolled(serving: &Serving) {
    let from = serving.service.live.tick(serving.service.clock.now());
    let is_rolled = || serving.service.rollup().next_tick().is_some_and(|next| next > from);
    timeout(SOON, async {
        while !is_rolled() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("each second is rolled");
}

#[tokio::test]
async fn the_hours_of_the_week_are_those_of_the_time_zone() {
    let serving = Serving::start();
    let channel = serving.channel().await;
    hold(&channel, "default", 1, &[(MODEL, 3)]).await;
    limit_of_before(&serving, 3);
    rolled(&serving).await;
    let mut client = QuotaServiceClient::new(channel);
    let request = GetHeatMapRequest { target: of_meter(MODEL), ..GetHeatMapRequest::default() };
    let map = client.get_heat_map(request.clone()).await.unwrap().into_inner();
    let hot = |cells: &[highwater::proto::HeatCell]| {
        let hot = cells.iter().enumerate().filter(|(_, cell)| cell.minutes_covered > 0);
        hot.map(|(nth, cell)| (nth, cell.peak, cell.permille_of_limit)).collect::<Vec<_>>()
    };
    assert_eq!((map.cells.len(), map.week()), (168, Week::OneOff));
    assert!(map.sentence.starts_with("At or above 90 % of its limit"), "{}", map.sentence);
    let in_utc = hot(&map.cells);
    assert!((1..=2).contains(&in_utc.len()) && in_utc.iter().all(|cell| (cell.1, cell.2) == (3, 1_000)), "{in_utc:?}");
    // Tokyo is nine hours ahead, all year.
    let tokyo = GetHeatMapRequest { time_zone: "Asia/Tokyo".to_owned(), ..request.clone() };
    let in_tokyo = hot(&client.get_heat_map(tokyo).await.unwrap().into_inner().cells);
    assert!(in_utc.iter().all(|(nth, ..)| in_tokyo.iter().any(|(there, ..)| *there == (nth + 9) % 168)));

    let zone = GetHeatMapRequest { time_zone: "Mars/Olympus".to_owned(), ..request.clone() };
    wrong(client.get_heat_map(zone).await, "time_zone", "");
    let end = prost_types::Timestamp { seconds: 1_773_154_800, nanos: 0 };
    let start = prost_types::Timestamp { seconds: end.seconds - 28 * 86_400 - 60, nanos: 0 };
    let long = GetHeatMapRequest { start_time: Some(start), end_time: Some(end), ..request.clone() };
    wrong(client.get_heat_map(long).await, "start_time", "");
    wrong(client.get_heat_map(GetHeatMapRequest { target: None, ..request }).await, "target", "");
    let unseen = GetHeatMapRequest { target: of_meter("a/b"), ..GetHeatMapRequest::default() };
    assert_eq!(client.get_heat_map(unseen).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_pool_is_shared_among_its_models() {
    let serving = Serving::start();
    let channel = serving.channel().await;
    hold(&channel, "default", 1, &[(MODEL, 6), (OTHER, 3)]).await;
    set_limit(&channel, "default", of_meter(OTHER), 5).await;
    rolled(&serving).await;
    let mut client = ForecastServiceClient::new(channel.clone());
    let request = ProposeAssignmentRequest { kind: TTS, ..ProposeAssignmentRequest::default() };
    let proposed = client.propose_assignment(request.clone()).await.unwrap().into_inner();
    assert_eq!((proposed.slots, proposed.pool_limit_plus_one, proposed.assigned, proposed.sum_of_peaks), (9, 0, 5, 9));
    assert_eq!(proposed.pool_peak.map(|peak| peak.level), Some(9));

    set_limit(&channel, "default", of_pool(""), 15).await;
    let proposed = client.propose_assignment(request.clone()).await.unwrap().into_inner();
    let shares = |shares: &[highwater::proto::Share]| {
        let of =
            |share: &highwater::proto::Share| (share.display_name.clone(), share.limit_plus_one, share.proposed_slots);
        shares.iter().map(of).collect::<Vec<_>>()
    };
    let expected = [("Cartesia Sonic 3".to_owned(), 0, 10), ("ElevenLabs Turbo v2.5".to_owned(), 6, 5)];
    assert_eq!(shares(&proposed.shares), expected);
    assert_eq!((proposed.slots, proposed.pool_limit_plus_one), (15, 16));
    assert_eq!(proposed.sentence, "Every model keeps its peak; 6 slots are left over, shared by peak.");
    assert_eq!(proposed.shares.iter().map(|share| share.minutes_above_proposed).sum::<u32>(), 0);

    let short = client.propose_assignment(ProposeAssignmentRequest { slots: 7, ..request.clone() }).await;
    let short = short.unwrap().into_inner();
    assert_eq!(short.shares.iter().map(|share| share.proposed_slots).sum::<u32>(), 7);
    assert!(short.sentence.starts_with("The peaks add up to 9, 2 more than there are:"), "{}", short.sentence);
    assert!(short.shares.iter().any(|share| share.minutes_above_proposed > 0));

    let many = ProposeAssignmentRequest { slots: 1 << 24, ..request.clone() };
    wrong(client.propose_assignment(many).await, "slots", "");
    wrong(client.propose_assignment(ProposeAssignmentRequest { kind: 0, ..request.clone() }).await, "kind", "");
    let account = ProposeAssignmentRequest { account: "No Such".to_owned(), ..request.clone() };
    wrong(client.propose_assignment(account).await, "account", "");
    let unseen = client.propose_assignment(ProposeAssignmentRequest { kind: 1, ..request }).await;
    assert_eq!(unseen.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn providers_are_listed_with_what_was_promised() {
    let serving = Serving::start();
    let channel = serving.channel().await;
    hold(&channel, "one", 1, &[(MODEL, 4), (OTHER, 1)]).await;
    hold(&channel, "two", 2, &[(MODEL, 2)]).await;
    set_limit(&channel, "one", of_meter(MODEL), 5).await;
    set_limit(&channel, "two", of_meter(MODEL), 3).await;
    // Promised, and not used yet; a limit on the pool of a kind promises no model.
    set_limit(&channel, "three", of_meter("acme/new"), 7).await;
    set_limit(&channel, "one", of_pool(""), 50).await;
    set_limit(&channel, "-", of_pool(MODEL), 6).await;
    rolled(&serving).await;
    let mut client = AdminServiceClient::new(channel);
    let (mut pools, mut request) = (Vec::new(), ListProviderPoolsRequest { page_size: 2, ..Default::default() });
    loop {
        let page = client.list_provider_pools(request.clone()).await.unwrap().into_inner();
        assert!((1..=2).contains(&page.pools.len()));
        pools.extend(page.pools);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let listed: Vec<_> = pools
        .iter()
        .map(|pool| {
            (&*pool.display_name, pool.level, pool.contract_plus_one, pool.promised, pool.projects, pool.risk())
        })
        .collect();
    let expected = [
        ("acme/new", 0, 0, 7, 1, Risk::Unspecified),
        ("Cartesia Sonic 3", 6, 7, 8, 2, Risk::AtLimit),
        ("ElevenLabs Turbo v2.5", 1, 0, 0, 1, Risk::Unspecified),
    ];
    assert_eq!(listed, expected);
    assert_eq!(pools[1].peak.as_ref().map(|peak| peak.level), Some(6));
    assert_ne!(pools[1].peak_bound(), Bound::Unspecified);
    assert!(pools[0].peak.is_none());
    let Some(Target { target: Some(Named::Pool(pool)) }) = &pools[1].target else { panic!("it is a pool") };
    assert_eq!((pool.kind, &*pool.model), (TTS, MODEL));
}
