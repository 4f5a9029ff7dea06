//! What webhooks are sent: the facts as JSON, a message for Slack, or alerts for Alertmanager.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

use crate::{
    alert::{AlertKind, Facts, HolderOf, Mail, NoticeKind, Severity, Trend, WebhookForm, mail::words},
    model::{Target, Time},
};

/// A time as RFC 3339 tells it.
fn time(at: Time) -> String {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_string()
}

/// The body in a form.
pub fn body(form: WebhookForm, facts: &Facts, mail: &Mail) -> String {
    match form {
        WebhookForm::Standard => standard(facts),
        WebhookForm::Slack => slack(facts, mail),
        WebhookForm::Alertmanager => alertmanager(facts, mail),
    }
    .to_string()
}

fn link(facts: &Facts, path: &str) -> Option<String> {
    facts.link_base.as_ref().map(|base| format!("{base}{path}"))
}

/// The facts, as Standard Webhooks shapes them.
fn standard(facts: &Facts) -> Value {
    let target = facts.target.as_ref().map(|target| {
        json!({
            "kind": target.kind().as_str(),
            "model": target.model(),
            "account": &**target.account(),
            "pool": target.is_pool(),
        })
    });
    let holder = |holder: &crate::alert::Holder| {
        let of = match holder.of {
            HolderOf::Worker => "worker",
            HolderOf::Room => "room",
        };
        json!({"of": of, "name": holder.name, "slots": holder.slots})
    };
    let folded = |folded: &crate::alert::Folded| {
        json!({
            "notice": folded.notice.as_str(),
            "alert": folded.kind.as_str(),
            "severity": folded.severity.as_str(),
            "name": folded.name,
            "level": folded.level,
            "limit": folded.limit,
            "at": time(folded.at),
            "now": folded.now.map(|now| json!({"level": now.level, "limit": now.limit})),
            "link": link(facts, &folded.row_link),
            "episode": folded.root,
        })
    };
    let trend = match facts.trend {
        Trend::Rising => "rising",
        Trend::Steady => "steady",
        Trend::Falling => "falling",
    };
    json!({
        "type": format!("alert.{}", facts.notice),
        "timestamp": time(facts.at),
        "data": {
            "alert": facts.kind.as_str(),
            "severity": facts.severity.as_str(),
            "project": facts.project.as_str(),
            "target": target,
            "name": facts.name,
            "detail": facts.detail,
            "level": facts.level,
            "level_known": facts.level_known,
            "limit": facts.limit,
            "decided": facts.then.map(|then| json!({"level": then.level, "limit": then.limit, "at": time(then.at)})),
            "peak": facts.peak,
            "stage_percent": facts.stage_percent,
            "trend": trend,
            "since": time(facts.since),
            "resolved": facts.resolved.map(time),
            "week": facts.week.map(crate::history::Week::as_str),
            "week_in_words": facts.week_in_words,
            "seconds_to_limit": facts.time_to_limit.map(|left| left.as_secs()),
            "turned_away": facts.turned_away,
            "holders": facts.holders.iter().map(holder).collect::<Vec<_>>(),
            "wanted_slots": facts.wanted_slots,
            "also": facts.also.iter().map(folded).collect::<Vec<_>>(),
            "held_back": facts.held_back,
            "link": link(facts, &facts.row_link),
            "episode": facts.thread.root,
            "simulated": facts.simulated,
        }
    })
}

/// A message of Slack's: its three signs are escaped, so that no name is a link or calls anybody.
fn slack(facts: &Facts, mail: &Mail) -> Value {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = format!("*{}*\n{}", escape(&mail.subject).replace('*', "\u{2217}"), escape(mail.text.trim_end()));
    if let Some(link) = link(facts, &facts.row_link) {
        text.push_str(&format!("\n<{link}|Open the page>"));
    }
    json!({"text": text})
}

/// How long Alertmanager takes an alert to fire that it hears no more of. Without it that would be five minutes, and an alert
/// is told once: its end is told, too, and ends it earlier.
const FIRES_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A test ends by itself.
const TEST_FIRES_FOR: Duration = Duration::from_secs(60);

/// One alert of Alertmanager's.
struct Told<'f> {
    notice: NoticeKind,
    kind: AlertKind,
    severity: Severity,
    target: Option<&'f Target>,
    since: Time,
    resolved: Option<Time>,
    at: Time,
    summary: String,
    description: &'f str,
    link: Option<String>,
}

/// Alerts of Alertmanager's, what was folded into the message included.
fn alertmanager(facts: &Facts, mail: &Mail) -> Value {
    let first = Told {
        notice: facts.notice,
        kind: facts.kind,
        severity: facts.severity,
        target: facts.target.as_ref(),
        since: facts.since,
        resolved: facts.resolved,
        at: facts.at,
        summary: mail.subject.clone(),
        description: &mail.text,
        link: link(facts, &facts.row_link),
    };
    let also = facts.also.iter().map(|folded| Told {
        notice: folded.notice,
        kind: folded.kind,
        severity: folded.severity,
        target: folded.target.as_ref(),
        since: folded.since,
        resolved: folded.resolved,
        at: folded.at,
        summary: format!("[{}] {} {}", facts.project, folded.name, words::folded(folded)),
        description: "",
        link: link(facts, &folded.row_link),
    });
    // Routes are by severity, and an alert gets worse and better: each message ends it where it is not any more.
    let severities = |told: &Told<'_>| -> Vec<Value> {
        let others = Severity::ALL.iter().filter(|of| **of != told.severity && told.notice != NoticeKind::Test);
        std::iter::once(&told.severity).chain(others).map(|severity| alert(facts, told, *severity)).collect()
    };
    std::iter::once(first).chain(also).flat_map(|told| severities(&told)).collect()
}

/// But for the severity its labels are the same for the whole episode, so that it ends what it began.
fn alert(facts: &Facts, told: &Told<'_>, severity: Severity) -> Value {
    let mut labels = serde_json::Map::new();
    let mut label = |name: &str, value: &str| {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.into());
        }
    };
    let is_test = told.notice == NoticeKind::Test;
    let (name, of) = match told.kind {
        _ if is_test => ("HighwaterTest", ""),
        kind if kind.is_of_level() => ("HighwaterLevel", ""),
        kind => ("HighwaterAlert", kind.as_str()),
    };
    label("alertname", name);
    label("alert", of);
    label("severity", severity.as_str());
    label("project", facts.project.as_str());
    if let Some(target) = told.target {
        label("kind", target.kind().as_str());
        label("model", target.model());
        label("account", target.account());
    }
    let over = matches!(told.notice, NoticeKind::Resolved | NoticeKind::FiredAndResolved);
    let ends = match over || severity != told.severity {
        true => told.resolved.unwrap_or(told.at),
        false => told.at.after(if is_test { TEST_FIRES_FOR } else { FIRES_FOR }),
    };
    let mut alert = json!({
        "labels": labels,
        "annotations": {"summary": told.summary, "description": told.description},
        "startsAt": time(told.since),
        "endsAt": time(ends),
    });
    if let Some(link) = &told.link {
        alert["generatorURL"] = link.as_str().into();
    }
    alert
}

/// The signature of Standard Webhooks, version 1.
pub fn signature(secret: &[u8], id: &str, seconds: u64, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        alert::{facts::tests::facts, render},
        model::{Kind, Meter},
    };

    fn json(form: WebhookForm, facts: &Facts) -> Value {
        serde_json::from_str(&body(form, facts, &render(facts))).unwrap()
    }

    fn of_level() -> Facts {
        let mut facts = facts(AlertKind::AtLimit);
        facts.target = Some(Target::Meter(Meter::new(Kind::Tts, "a/b", "", None).unwrap()));
        (facts.level, facts.limit, facts.link_base) = (20, Some(20), Some("https://hw.example".to_owned()));
        facts
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the specification's libraries.
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_facts_are_told() {
        let told = json(WebhookForm::Standard, &of_level());
        assert_eq!(told["type"], "alert.fired");
        assert_eq!((&told["data"]["level"], &told["data"]["limit"]), (&json!(20), &json!(20)));
        assert_eq!(told["data"]["target"]["model"], "a/b");
        assert_eq!(told["timestamp"], "2023-11-14T22:15:20Z");
    }

    #[test]
    fn no_name_is_a_link_in_slack() {
        let mut facts = of_level();
        facts.name = "<!channel> & <https://evil|x>".to_owned();
        let text = json(WebhookForm::Slack, &facts)["text"].as_str().unwrap().to_owned();
        assert!(text.contains("&lt;!channel&gt; &amp;") && !text.contains("<!") && !text.contains("<https://evil"));
    }

    #[test]
    fn alertmanager_is_told_the_end_of_what_began() {
        let mut facts = of_level();
        let fired = json(WebhookForm::Alertmanager, &facts);
        facts.kind = AlertKind::Over;
        (facts.notice, facts.resolved) = (NoticeKind::Resolved, Some(Time::from_secs(1_700_000_300)));
        let resolved = json(WebhookForm::Alertmanager, &facts);
        assert_eq!(fired[0]["labels"], resolved[0]["labels"]);
        assert_eq!(fired[0]["startsAt"], resolved[0]["startsAt"]);
        assert_eq!(fired[0]["endsAt"], "2023-11-21T22:15:20Z", "it fires until its end is told");
        assert_eq!(resolved[0]["endsAt"], "2023-11-14T22:18:20Z");
    }

    #[test]
    fn alertmanager_is_told_each_alert_of_a_message_as_one_of_its_own() {
        let mut facts = of_level();
        let model = |name| Target::Meter(Meter::new(Kind::Stt, name, "", None).unwrap());
        let folded = |name, notice, resolved| crate::alert::Folded {
            notice,
            kind: AlertKind::AtLimit,
            severity: Severity::Critical,
            name: "Nova".to_owned(),
            target: Some(model(name)),
            level: 4,
            limit: Some(4),
            since: Time::from_secs(1_700_000_010),
            resolved,
            at: Time::from_secs(1_700_000_020),
            now: None,
            root: format!("{name}@hw.example"),
            row_link: "/p/demo/quotas?select=stt/c/d".to_owned(),
        };
        let end = Some(Time::from_secs(1_700_000_300));
        facts.also = vec![folded("c/d", NoticeKind::Fired, None), folded("e/f", NoticeKind::Resolved, end)];
        let told = json(WebhookForm::Alertmanager, &facts);
        let mut models: Vec<_> =
            told.as_array().unwrap().iter().map(|alert| alert["labels"]["model"].clone()).collect();
        models.dedup();
        assert_eq!(models, ["a/b", "c/d", "e/f"]);
        assert_eq!(told[3]["annotations"]["summary"], "[demo] Nova at 4 of 4");
        assert_eq!(told[3]["startsAt"], "2023-11-14T22:13:30Z");
        assert_eq!(told[6]["endsAt"], "2023-11-14T22:18:20Z", "the end of one that was folded in ends it");
    }

    #[test]
    fn alertmanager_routes_by_severity_and_what_got_worse_fires_once() {
        let mut facts = of_level();
        facts.severity = Severity::Critical;
        let told = json(WebhookForm::Alertmanager, &facts);
        let of = |severity: &str| -> Vec<_> {
            let alerts = told.as_array().unwrap().iter();
            alerts.filter(|told| told["labels"]["severity"] == severity).map(|told| told["endsAt"].clone()).collect()
        };
        assert_eq!(of("critical"), ["2023-11-21T22:15:20Z"]);
        assert_eq!(of("warning"), ["2023-11-14T22:15:20Z"], "that it was told before ends");
    }

    #[test]
    fn a_test_of_an_alertmanager_is_an_alert_of_its_own_for_a_minute() {
        let mut facts = facts(AlertKind::StoreDegraded);
        facts.notice = NoticeKind::Test;
        let told = json(WebhookForm::Alertmanager, &facts);
        assert_eq!(told.as_array().unwrap().len(), 1);
        assert_eq!(told[0]["labels"]["alertname"], "HighwaterTest");
        assert_eq!((&told[0]["labels"]["alert"], &told[0]["labels"]["severity"]), (&Value::Null, &json!("warning")));
        assert_eq!(told[0]["endsAt"], "2023-11-14T22:16:20Z");
    }
}
