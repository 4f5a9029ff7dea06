//! Which events were taken lately, in words that a store can keep: an event that is sent again after a restart, by LiveKit
//! or by whoever caught it, is known then, too. What is kept are hashes: no name of a project is in them.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use crate::model::{Project, SessionId, Time, session::ID_BYTES};

/// Seconds of one note. It is written again each second in which events came, so it must stay small.
const NOTE_SECONDS: u64 = 20;
/// Notes that are kept in turn: the last three minutes and the running note. An event opens nothing when it is older than 30 s,
/// and the clocks of its sender may be off by a minute either way.
const NOTES: u64 = 10;
/// Events of one note. What comes beyond it is known until the next restart alone.
const MOST_EVENTS: usize = 16_384;

/// What a project's event is known by.
fn name(project: &Project, event: &str) -> SessionId {
    SessionId::of_text(format!("{project}\n{event}").as_bytes())
}

/// The events that were taken lately.
#[derive(Debug, Default)]
pub struct Heard {
    /// Those of before the start.
    before: HashSet<SessionId>,
    running: Mutex<Running>,
}

/// The note that is being written.
#[derive(Debug, Default)]
struct Running {
    /// Which it is: counted from the Unix epoch.
    number: u64,
    events: Vec<SessionId>,
    /// As many of them the store has.
    stored: usize,
}

/// A note that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub name: String,
    pub text: String,
    number: u64,
    events: usize,
}

impl Heard {
    /// The names of all notes there may be.
    pub fn names() -> impl Iterator<Item = String> {
        (0..NOTES).map(note_name)
    }

    /// What was heard of by the notes that were kept. One that can't be read says nothing.
    pub fn of(notes: impl IntoIterator<Item = String>) -> Self {
        let mut heard = Self::default();
        let mut running = Running::default();
        for (number, events) in notes.into_iter().filter_map(|note| read(&note)) {
            heard.before.extend(&events);
            if number >= running.number {
                running = Running { number, stored: events.len(), events };
            }
        }
        heard.running = Mutex::new(running);
        heard
    }

    /// Whether this event was taken before the service started. One without an id never was.
    pub fn had(&self, project: &Project, event: &str) -> bool {
        !event.is_empty() && !self.before.is_empty() && self.before.contains(&name(project, event))
    }

    /// It was taken.
    pub fn put(&self, project: &Project, event: &str, at: Time) {
        if event.is_empty() {
            return;
        }
        let mut running = self.running();
        let number = at.tick().0 / NOTE_SECONDS;
        if number > running.number {
            *running = Running { number, ..Running::default() };
        }
        if running.events.len() < MOST_EVENTS {
            running.events.push(name(project, event));
        }
    }

    /// What a store does not know yet.
    pub fn unkept(&self) -> Option<Note> {
        let running = self.running();
        let events = running.events.len();
        if running.stored == events {
            return None;
        }
        let bytes: Vec<u8> = running.events.iter().flat_map(|event| event.0).collect();
        let text = format!("{} {}", running.number, STANDARD_NO_PAD.encode(bytes));
        Some(Note { name: note_name(running.number), text, number: running.number, events })
    }

    /// A store knows it.
    pub fn kept(&self, note: &Note) {
        let mut running = self.running();
        if running.number == note.number {
            running.stored = note.events;
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_name(number: u64) -> String {
    format!("livekit_heard_{}", number % NOTES)
}

fn read(note: &str) -> Option<(u64, Vec<SessionId>)> {
    let (number, events) = note.split_once(' ')?;
    let events = STANDARD_NO_PAD.decode(events).ok()?;
    let events = events.chunks_exact(ID_BYTES).filter_map(|id| id.try_into().ok().map(SessionId)).collect();
    Some((number.parse().ok()?, events))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn keep(heard: &Heard, notes: &mut BTreeMap<String, String>) {
        if let Some(note) = heard.unkept() {
            notes.insert(note.name.clone(), note.text.clone());
            heard.kept(&note);
        }
        assert_eq!(heard.unkept(), None, "what is kept is not kept again");
    }

    #[test]
    fn what_was_heard_in_the_last_three_minutes_outlasts_restarts() {
        let (ours, other) = (Project::new("ours").unwrap(), Project::new("other").unwrap());
        let mut notes = BTreeMap::new();
        let mut heard = Heard::default();
        for second in 0..1_000 {
            let event = |second: u64| format!("EV_{second}");
            heard.put(&ours, &event(second), Time::from_secs(second));
            heard.put(&ours, "", Time::from_secs(second));
            keep(&heard, &mut notes);
            if second % 7 == 0 {
                heard = Heard::of(notes.values().cloned());
                for back in second.saturating_sub(180)..=second {
                    assert!(heard.had(&ours, &event(back)), "{back} at {second}");
                    assert!(
                        !heard.had(&other, &event(back)),
                        "another project's event of the same id is another event"
                    );
                }
                assert!(!heard.had(&ours, &event(second + 1)) && !heard.had(&ours, ""));
            }
        }
        let mut names: Vec<_> = Heard::names().collect();
        names.sort();
        assert_eq!(notes.into_keys().collect::<Vec<_>>(), names);
    }

    #[test]
    fn a_note_is_bounded_and_what_is_no_note_says_nothing() {
        let project = Project::new("ours").unwrap();
        let heard = Heard::default();
        for nth in 0..=MOST_EVENTS {
            heard.put(&project, &format!("EV_{nth}"), Time(0));
        }
        let note = heard.unkept().unwrap();
        assert!(note.text.len() < MOST_EVENTS * 22 + 10);
        let again = Heard::of([note.text, "x".to_owned(), "7 !".to_owned(), "8 AAAA".to_owned(), String::new()]);
        assert!(again.had(&project, "EV_0") && !again.had(&project, &format!("EV_{MOST_EVENTS}")));
        assert_eq!(again.before.len(), MOST_EVENTS);
    }
}
