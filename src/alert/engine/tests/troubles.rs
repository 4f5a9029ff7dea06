//! What is told of the service, and of the way that sessions go.

use super::*;
use crate::alert::AlertKind;

#[test]
fn troubles_of_the_service_have_their_time() {
    let (mut engine, keys) = (Engine::default(), pools(None));
    let trouble = |there| vec![Subject::Service(AlertKind::StoreDegraded); usize::from(there)];
    let mut told = Vec::new();
    for (tick, repeat, there) in [(0, 28, true), (29, 0, false), (30, 40, true), (71, 400, false)] {
        let decided = engine.take(&Frame { tick, repeat, ..Frame::default() }, &trouble(there), &keys);
        told.extend(decided.notices.iter().map(|notice| (notice.alert.told_at.unwrap().0, notice.notice)));
    }
    assert_eq!(told, [(59, Fired), (370, Resolved)]);
}

#[test]
fn the_way_of_sessions_is_told_of_at_once_and_ends_after_some_calm() {
    let (mut engine, keys) = (Engine::default(), pools(None));
    let ways = [AlertKind::Refused, AlertKind::FallbackInUse, AlertKind::ProviderDown, AlertKind::ProviderDisagrees];
    let troubles = ways.map(|kind| Subject::Way(kind, KEY));
    let mut told = Vec::new();
    for (tick, repeat, there) in [(0, 3, 0), (4, 9, 4), (14, 20, 2), (35, 400, 0), (436, 0, 1)] {
        let decided = engine.take(&Frame { tick, repeat, ..Frame::default() }, &troubles[..there], &keys);
        told.extend(decided.notices.into_iter().map(|n| (n.alert.told_at.unwrap().0, n.notice, n.rule.to_string())));
    }
    let expected = [
        (4, Fired, "refused"),
        (4, Fired, "fallback-in-use"),
        (4, Fired, "provider-down"),
        (4, Fired, "provider-disagrees"),
        // Five minutes after the last second of each.
        (313, Resolved, "provider-down"),
        (313, Resolved, "provider-disagrees"),
        (334, Resolved, "refused"),
        (334, Resolved, "fallback-in-use"),
        (436, Repeated, "refused"),
    ];
    assert_eq!(told, expected.map(|(at, notice, rule)| (at, notice, rule.to_owned())));
    engine.forget(KEY);
    assert_eq!(engine.alerts().count(), 0);
}
