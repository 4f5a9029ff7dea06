//! A real Prometheus scrapes the real binary by the configuration of the docs, and is asked what it has seen.

use std::{fs, path::Path, time::Duration};

use highwater::{
    alert::{AlertKind, AlertRule, Threshold},
    model::Project,
    proto::{SetLimitRequest, limit_service_client::LimitServiceClient},
};
use tokio::time::{Instant, sleep};

use super::{
    LOOK_EVERY, get,
    tools::{Prometheus, promtool},
};
use crate::{
    faults::{
        ask::{Ask, target},
        process::Process,
    },
    serving::{MODEL, Worker, batch, channel, connect, declare, disconnect, hello, meter, snapshot},
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
/// What the docs scrape: the default address, at the longest interval that misses nothing.
const TARGET: &str = "127.0.0.1:7422";
const INTERVAL: &str = "_interval: 15s";
/// The worker here says nothing for a while, and does not come back after the restart.
const SETTINGS: [&str; 4] = ["--bounds-lease", "120s", "--bounds-learning", "120s"];
/// How often it is scraped here, so that the test is not longer than it must be.
const SCRAPED_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for what takes a scrape or two.
const SEEN_WITHIN: Duration = Duration::from_secs(40);

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(DOCS).join(path)).unwrap()
}

fn deployed(name: &str) -> String {
    fs::read_to_string(Path::new(DEPLOY).join("prometheus").join(name)).unwrap()
}

/// The queries of `docs/metrics.md`: what its tables have in code in their last column.
fn documented_queries() -> Vec<String> {
    let docs = read("metrics.md");
    let rows = docs.lines().filter(|line| line.starts_with("| `highwater_") || line.starts_with("| `process_"));
    rows.map(|row| row.rsplit('|').nth(1).unwrap().trim().trim_matches('`').to_owned()).collect()
}

/// The queries of the dashboard, its variables set to all.
fn dashboard_queries() -> Vec<String> {
    let text = fs::read_to_string(Path::new(DEPLOY).join("grafana/highwater.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let marks = dashboard["annotations"]["list"].as_array().unwrap();
    let queries = targets.chain(marks).map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$project", ".*").replace("$kind", ".*")).collect()
}

impl Prometheus {
    /// Asks its API; `None` while it is not there, or when it has no answer.
    async fn api(&self, path: &str, query: &str) -> Option<serde_json::Value> {
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        let query: String = query.bytes().map(encode).collect();
        let (head, body) = get(self.address, &format!("/api/v1/{path}?query={query}")).await?;
        let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
        let is_well = head.contains(" 200 ") && answer["status"] == "success";
        is_well.then(|| answer["data"].clone())
    }

    /// The values that a query has now.
    async fn values(&self, query: &str) -> Vec<f64> {
        let data = self.api("query", query).await.unwrap_or_default();
        let results = data["result"].as_array().cloned().unwrap_or_default();
        results.iter().map(|result| result["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Waits until a query has these values.
    async fn until(&self, query: &str, is_right: impl Fn(&[f64]) -> bool) -> Vec<f64> {
        let started = Instant::now();
        loop {
            let values = self.values(query).await;
            if is_right(&values) {
                return values;
            }
            assert!(started.elapsed() < SEEN_WITHIN, "{query} is {values:?}");
            sleep(LOOK_EVERY).await;
        }
    }
}

#[test]
fn promtool_takes_the_configuration_and_its_rules() {
    promtool(&["check", "config", &format!("{DEPLOY}/prometheus/prometheus.yml")], "");
    assert!(deployed("prometheus.yml").matches(INTERVAL).count() == 2);
}

#[test]
fn promtool_finds_that_the_rules_to_deploy_alert_as_they_say() {
    promtool(&["test", "rules", &format!("{DEPLOY}/prometheus/highwater.test.yml")], "");
}

/// The rules to deploy have the thresholds, times and severities of those from the start.
#[test]
fn the_rules_to_deploy_mirror_those_of_the_start() {
    let text = deployed("highwater.rules.yml");
    let rules: Vec<&str> = text.split("- alert: ").skip(1).collect();
    let defaults = AlertRule::defaults(&Project::across());
    for rule in &defaults {
        let name: String = rule.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let found = rules.iter().find(|text| text.starts_with(&format!("Highwater{name}\n")));
        let found = found.unwrap_or_else(|| panic!("Highwater{name} is missing"));
        let says = |expected: &str| assert!(found.contains(expected), "{name}: {expected} is not in {found}");
        says(&format!("severity: {}", rule.severity));
        says(&format!("keep_firing_for: {}m", rule.keep_seconds / 60));
        match rule.hold_seconds {
            0 => assert!(!found.contains(" for: "), "{name}: at once"),
            hold if hold % 60 == 0 => says(&format!("\n        for: {}m\n", hold / 60)),
            hold => says(&format!("\n        for: {hold}s\n")),
        }
        if rule.kind.is_of_level() {
            let share = |threshold| match threshold {
                Threshold::Percent(percent) => f64::from(percent) / 100.0,
                Threshold::Slots(_) => panic!("{name}: a rule of the start is a share"),
            };
            let sign = if rule.kind == AlertKind::Over { ">" } else { ">=" };
            says(&format!(":share {sign} {}\n", share(rule.threshold)));
            says(&format!(":share >= {}\n", share(rule.clear)));
        }
    }
}

#[tokio::test]
async fn heavy_prometheus_sees_a_spike_between_two_scrapes() {
    let directory = tempfile::tempdir().unwrap();
    let service = Process::start(&directory.path().join("store.redb"), "127.0.0.1:0", &SETTINGS);
    let config = deployed("prometheus.yml").replace(TARGET, &service.address.to_string());
    let config = config.replace(INTERVAL, &format!("_interval: {}s", SCRAPED_EVERY.as_secs()));
    let prometheus = Prometheus::start(directory.path(), &config, &deployed("highwater.rules.yml"));

    let mut worker = Worker::open_at(service.address).await;
    worker.say(highwater::proto::attach_request::Message::Hello(hello(1, 1))).await;
    worker.say(declare(1, MODEL)).await;
    worker.say(snapshot(&[1])).await;
    for _ in ["welcome", "declared", "acknowledged"] {
        worker.hear().await;
    }
    let labels = format!("{{project=\"default\",kind=\"tts\",model=\"{MODEL}\"}}");
    prometheus.until(&format!("highwater_sessions_active{labels}"), |values| values == [1.0]).await;

    let mut limits = LimitServiceClient::new(channel(service.address).await.unwrap());
    let (slots, set_by) = (Some(100), "test".to_owned());
    let limit = SetLimitRequest { target: Some(target(meter(MODEL))), slots, set_by, ..Default::default() };
    limits.set_limit(limit).await.unwrap();
    // Just after a scrape, the next one is seconds away.
    let scraped = format!("timestamp(highwater_sessions_active{labels})");
    let last = prometheus.values(&scraped).await;
    prometheus.until(&scraped, |values| values != last).await;
    worker.say(batch(1, (2..6).map(connect).collect::<Vec<_>>())).await;
    worker.until_applied(1).await;
    sleep(Duration::from_millis(50)).await;
    worker.say(batch(2, (2..6).map(disconnect).collect::<Vec<_>>())).await;
    worker.until_applied(2).await;

    prometheus.until(&format!("highwater_sessions_peak{labels}"), |values| values == [5.0]).await;
    let pool = "highwater_kind_pool_sessions_peak{project=\"default\",kind=\"tts\"}";
    assert_eq!(prometheus.values(pool).await, [5.0]);
    let seen = prometheus.values(&format!("max_over_time(highwater_sessions_active{labels}[10m])")).await;
    assert_eq!(seen, [1.0], "no scrape saw the spike itself");
    prometheus
        .until(&format!("highwater_sessions_closed_total{{outcome=\"ok\",model=\"{MODEL}\"}}"), |v| v == [4.0])
        .await;
    let mut ask = Ask::at(service.address).await;
    let now = prometheus.values("vector(time())").await[0] as u64;
    let history = ask.history(target(meter(MODEL)), now - 600).await;
    assert_eq!(history.peak.iter().max(), Some(&5), "history has it too");

    // It is gone from the peak when both windows are over, and from the counters never.
    prometheus.until(&format!("highwater_sessions_peak{labels}"), |values| values == [1.0]).await;
    assert_eq!(prometheus.values(&format!("resets(highwater_sessions_opened_total{labels}[10m])")).await, [0.0]);
    assert_eq!(prometheus.values("min_over_time(up{job=\"highwater\"}[10m])").await, [1.0]);
    let queries = documented_queries();
    assert!(queries.len() > 40, "{} queries", queries.len());
    for query in queries {
        assert!(prometheus.api("query", &query).await.is_some(), "Prometheus does not take {query}");
    }
    let queries = dashboard_queries();
    assert!(queries.len() > 20, "{} queries", queries.len());
    for query in queries {
        assert!(prometheus.api("query", &query).await.is_some(), "Prometheus does not take {query}");
        let known = query.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        for name in known.filter(|name| name.starts_with("highwater_") || name.starts_with("process_")) {
            let is_there = read("metrics.md").contains(&format!("| `{name}`"))
                || name.ends_with("_sum")
                || name.ends_with("_count");
            assert!(is_there, "{name} is no metric of ours: {query}");
        }
    }
    let shares = prometheus.values("max(highwater_sessions_peak / highwater_sessions_limit)").await;
    assert_eq!(shares.len(), 1, "a dashboard has something to show");
    let firing = prometheus.values("ALERTS").await;
    assert_eq!(firing, [] as [f64; 0], "nothing is wrong with this service");

    // Killed, and started again where it was: Prometheus goes on by itself, and nothing counts below zero.
    let address = service.address.to_string();
    drop(worker);
    service.kill();
    prometheus.until("up{job=\"highwater\"}", |values| values == [0.0]).await;
    let _again = Process::start(&directory.path().join("store.redb"), &address, &SETTINGS);
    prometheus.until("up{job=\"highwater\"}", |values| values == [1.0]).await;
    prometheus.until("highwater_settling", |values| values == [1.0]).await;
    let level = prometheus.values(&format!("highwater_sessions_active{labels}")).await;
    assert_eq!(level, [] as [f64; 0], "its worker has not come back: no level, rather than none held");
    assert_eq!(prometheus.values(&format!("highwater_sessions_coverage{labels}")).await, [0.5]);
    assert!(prometheus.values("count({__name__=~\"highwater_.+\"} < 0)").await.is_empty());
}
