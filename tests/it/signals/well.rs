//! How providers do and which way sessions go, as queries, alerts, metrics and the command line tell it.

use std::process::{Command, Output};

use highwater::proto::{
    Alert, AlertKind, ListAlertsRequest, ListQuotasRequest, Quota, alert_service_client::AlertServiceClient,
    quota_service_client::QuotaServiceClient,
};
use serde_json::Value;

use super::*;
use crate::faults::process::PROGRAM;

async fn firing(serving: &Serving, kind: AlertKind) -> Alert {
    let mut client = AlertServiceClient::new(serving.channel().await);
    let found = timeout(SOON, async {
        loop {
            let request = ListAlertsRequest { firing: true, ..Default::default() };
            let alerts = client.list_alerts(request).await.unwrap().into_inner().alerts;
            if let Some(alert) = alerts.into_iter().find(|alert| alert.kind() == kind) {
                return alert;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{kind:?} does not fire"))
}

async fn quota(serving: &Serving) -> Quota {
    let mut client = QuotaServiceClient::new(serving.channel().await);
    let quotas = client.list_quotas(ListQuotasRequest::default()).await.unwrap().into_inner().quotas;
    quotas.into_iter().find(|quota| crate::serving::is_meter_of(&quota.target, MODEL)).unwrap()
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_by_queries_metrics_and_an_alert_with_the_fallback_in_use() {
    let serving = with_chain(Mode::Enforce, [20, 1]).await;
    assert_eq!(quota(&serving).await.condition(), Condition::Up);
    for worker in 1..=5 {
        granted(say(&serving, ask(worker, "a")).await);
        release(&serving, worker, "a", Outcome::Unavailable).await;
    }
    let down = firing(&serving, AlertKind::ProviderDown).await;
    assert!(crate::serving::is_meter_of(&down.target, MODEL), "{down:?}");
    assert!(down.name.starts_with("provider-down-") && down.project == "default", "{down:?}");
    let fallback = firing(&serving, AlertKind::FallbackInUse).await;
    assert!(crate::serving::is_meter_of(&fallback.target, MODEL));
    assert_eq!(quota(&serving).await.condition(), Condition::Down);
    let labels = format!("{{project=\"default\",kind=\"tts\",model=\"{MODEL}\"}}");
    let page = crate::doors::page(serving.address, "/metrics").await;
    assert!(page.contains(&format!("highwater_provider_up{labels} 0\n")), "{page}");

    // It is down, and the fallback is full: who fails there too is turned away.
    granted(say(&serving, ask(1, "b")).await);
    let failed = AcquireRequest { failed: vec![meter(MODEL)], ..ask(2, "c") };
    refused(say(&serving, failed).await);
    let turned_away = firing(&serving, AlertKind::Refused).await;
    assert!(crate::serving::is_meter_of(&turned_away.target, MODEL));
}

#[tokio::test]
async fn a_learned_ceiling_is_told_with_what_it_was_learned_from() {
    let serving = with_chain(Mode::Observe, [20, 20]).await;
    for nth in 0..10 {
        granted(say(&serving, ask(1, &format!("s{nth}"))).await);
    }
    release(&serving, 1, "s9", Outcome::Concurrency).await;
    let disagrees = firing(&serving, AlertKind::ProviderDisagrees).await;
    assert!(crate::serving::is_meter_of(&disagrees.target, MODEL));
    let quota = quota(&serving).await;
    assert_eq!((quota.learned_ceiling, quota.condition()), (Some(9), Condition::Up));
    assert_eq!(quota.learned_from, "learned: the provider refused at 10, of a limit of 20");
    let page = crate::doors::page(serving.address, "/metrics").await;
    let labels = format!("{{project=\"default\",kind=\"tts\",model=\"{MODEL}\"}}");
    assert!(page.contains(&format!("highwater_sessions_learned_ceiling{labels} 9\n")), "{page}");
}

fn run(serving: &Serving, arguments: &[&str]) -> Output {
    let server = format!("http://{}", serving.address);
    Command::new(PROGRAM).args(arguments).args(["--server", &server]).env_remove("HIGHWATER_KEY").output().unwrap()
}

fn told(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_line_shows_routes_and_asks_by_chain() {
    let serving = Serving::start();
    let none = told(run(&serving, &["routes"]));
    assert_eq!(none, "default has no chains, and so no routes.\n");
    limit(&serving, MODEL, 0);
    let enforcement = Some(Enforcement { mode: Mode::Enforce, kept_percent: 0 });
    let now = serving.service.clock.now();
    serving.service.choose_enforcement(&(project(), None), enforcement, author(), now).unwrap();
    set_chain(&serving, CHAIN, &[MODEL, OTHER]).await;
    let routes = told(run(&serving, &["routes"]));
    assert!(routes.starts_with("Routes of default, version "), "{routes}");
    let line = |model: &str| {
        routes.lines().find(|line| line.contains(model)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(MODEL), format!("agents {MODEL} 0 % 0 full up"));
    assert_eq!(line(OTHER), format!("{OTHER} 100 % 0 open up"));
    let json: Value = serde_json::from_str(&told(run(&serving, &["routes", "--json"]))).unwrap();
    assert_eq!((&json["chains"][0]["leader"], &json["chains"][0]["models"][1]["percent"]), (&0.into(), &100.into()));
    let granted = told(run(&serving, &["acquire", "--chain", CHAIN]));
    let expected = format!("granted: tts {OTHER} (those before it have no room)\n");
    assert!(granted.starts_with(&expected), "{granted}");
    assert!(granted.contains(&format!("not tts {MODEL}: model limit: 0 of 0 held")), "{granted}");
    let unknown = run(&serving, &["acquire", "--chain", "voices"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        unknown.status.code() == Some(4) && said.contains("there is no chain voices; the project has agents"),
        "{said}"
    );
    assert_eq!(run(&serving, &["acquire", "--chain", CHAIN, "--kind", "tts"]).status.code(), Some(2));
    assert_eq!(run(&serving, &["acquire"]).status.code(), Some(2));
}
