//! What is written comes back, and what is no row is none.

use super::*;
use crate::{
    alert::{
        Acknowledgement, Address, Alert, AlertKind, AlertRule, Delivery, Event, NoticeKind, Phase, QuietHours,
        Recipient, Row, Severity, Snooze, Stage, Subject, Threshold, WebhookForm, state::What,
    },
    config::time_zone,
    model::{Key, KeyId, Kind, Project, Target, Tick, Time},
};

fn key() -> Key {
    let target = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
    Key { project: Project::new("demo").unwrap(), target }
}

fn alert(subject: Subject) -> Alert {
    let what = [
        What::Fired { rule: "near".into(), level: 9, limit: Some(10) },
        What::Eased { rule: "near".into(), level: 1 },
        What::Resolved { level: 0 },
        What::Told { notice: NoticeKind::Repeated },
        What::Acknowledged { by: "kim".into() },
        What::Snoozed { by: "kim".into(), until: Time(7) },
        What::TakenBack { by: "kim".into() },
    ];
    Alert {
        phase: Phase::Resolved,
        stages: vec![Stage { rule: "near".into(), above_seconds: 3, below_seconds: 4, fires: true }],
        fired: Some(Tick(5)),
        resolved: Some(Tick(6)),
        peak: 11,
        level: 9,
        known: true,
        limit: Some(10),
        came_back: true,
        told: Some("near".into()),
        told_at: Some(Tick(8)),
        notices: 3,
        snooze: Some(Snooze { by: "kim".into(), until: Time(9) }),
        acknowledged: Some(Acknowledgement { by: "lee".into(), at: Time(10) }),
        events: what.into_iter().map(|what| Event { at: Tick(7), what }).collect(),
        ..Alert::new(subject, Tick(4))
    }
}

#[test]
fn alerts_and_rows_come_back() {
    let service = Subject::Service(AlertKind::AuditDrift);
    for (subject, key) in [
        (Subject::Level(KeyId(3)), Some(key())),
        (Subject::Silence(KeyId(0)), Some(key())),
        (Subject::Way(AlertKind::ProviderDown, KeyId(5)), Some(key())),
        (service, None),
    ] {
        let alert = alert(subject);
        assert_eq!(decode_alert(&encode_alert(&alert, key.as_ref())), Some((alert.clone(), key.clone())));
        let lead = || "ab".into();
        for delivery in [
            Delivery::Queued,
            Delivery::Sending { lead: lead(), until: Time(1) },
            Delivery::Retry { lead: lead(), at: Time(2), reason: "451".into() },
            Delivery::Sent { lead: lead(), at: Time(3), answer: "250".into() },
            Delivery::Undeliverable { at: Time(4), reason: "550".into() },
            Delivery::Superseded { at: Time(5) },
        ] {
            let row = Row {
                id: "ab".into(),
                project: Project::new("demo").unwrap(),
                recipient: "ops".into(),
                subject,
                key: key.clone(),
                notice: NoticeKind::Fired,
                kind: AlertKind::Over,
                severity: Severity::Critical,
                stage_percent: 100,
                detail: "x".into(),
                alert: alert.clone(),
                created: Time(11),
                due: Time(12),
                held: true,
                attempts: 2,
                delivery,
                gone: vec![9, 8],
            };
            assert_eq!(decode_row(&encode_row(&row)), Some(row));
        }
    }
    assert_eq!((decode_alert(b"\xff"), decode_row(b"\xff")), (None, None));
}

#[test]
fn rules_and_recipients_come_back_and_secrets_are_sealed() {
    for rule in AlertRule::defaults(&Project::across()) {
        assert_eq!(decode_rule(&encode_rule(&rule)), Some(rule.clone()));
        let slots = AlertRule { threshold: Threshold::Slots(3), clear: Threshold::Slots(2), ..rule };
        assert_eq!(decode_rule(&encode_rule(&slots)), Some(slots));
    }
    let webhook =
        |secret: &[u8]| Address::Webhook { url: "https://x".into(), form: WebhookForm::Slack, secret: secret.to_vec() };
    for address in [Address::Mailbox("a@b".into()), webhook(b""), webhook(b"hush")] {
        let zone = time_zone("Europe/Berlin").unwrap();
        let recipient = Recipient {
            name: "ops".into(),
            project: Project::new("demo").unwrap(),
            address,
            enabled: true,
            least: Severity::Warning,
            quiet: Some(QuietHours { from: 1_320, to: 420, zone, critical_too: true }),
            unsubscribed: Some(Time(3)),
            trouble: "550".into(),
        };
        let xor = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>();
        let bytes = encode_recipient(&recipient, xor);
        assert!(!bytes.windows(4).any(|four| four == b"hush"));
        assert_eq!(decode_recipient(&bytes, |bytes| Some(xor(bytes))), Some(recipient));
    }
}
