//! LiveKit's webhooks: whatever the bytes, a token that was not signed is refused; events, one a line, leave levels that
//! are those of the records, and one reading of empty lists ends all that is known.

#![no_main]

use std::time::Duration;

use highwater::{
    access::Secret,
    live::Live,
    livekit::{
        counts::Counts,
        desk::{Desk, DeskSettings},
        known::Answer,
        thing::List,
        token::{Secrets, verify},
        wire::WebhookEvent,
    },
    model::{Bounds, Now, Project, Time},
};
use libfuzzer_sys::fuzz_target;

const START: u64 = 1_800_000_000;

#[derive(Debug)]
struct Known;

impl Secrets for Known {
    fn secret(&self, _: &str) -> Option<(Project, Secret<Vec<u8>>)> {
        Some((Project::new("demo").ok()?, "nobody who writes these bytes knows it".into()))
    }
}

fuzz_target!(|data: &[u8]| {
    let at = |second: u64| Now { wall: Time::from_secs(START + second), mono: Time::from_secs(second) };
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verify(text, &Known, at(0).wall).is_err());
    }
    let (live, project) = (Live::new(Bounds::default(), at(0).wall.tick()), Project::new("demo").expect("a name"));
    let (settings, counts) =
        (DeskSettings { lease: None, expire_after: Duration::from_secs(3_600) }, Counts::default());
    let mut desk = Desk::new(&project, settings);
    let mut second = 0;
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<WebhookEvent>(line) else { continue };
        second += 1;
        desk.event(&live, &event, (second % 3 > 0).then_some(START), at(second), &counts).expect("no bound is reached");
        desk.tick(&live, at(second), &counts).expect("no bound is reached");
    }
    assert_eq!(live.audit(), []);
    second += 40;
    for list in List::ALL {
        let empty = [Answer { room: None, asked: at(second).mono, lines: Vec::new() }];
        desk.listed(&live, list, &empty, true, at(second), &counts).expect("no bound is reached");
    }
    assert!(live.all_books().iter().all(|book| book.lock().expect("nothing panicked").live_count() == 0));
});
