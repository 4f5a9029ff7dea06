//! All of a list: its pages, or its rooms and who is in each.

use std::{collections::BTreeMap, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    livekit::{
        known::Answer,
        thing::{List, Listed, listed_egress, listed_ingress, listed_participant},
        token::Grants,
        wire::{Egress, Ingress, Page, PageToken, Participants, Room, Rooms},
    },
    livekit_lists::client::{Answered, Client, ListError, Skew},
    model::{Now, Time},
};

/// Rooms that are asked for at once.
const ROOMS_AT_ONCE: usize = 16;
/// For the rooms to be read; those that were not asked by then stay as they are until the next time.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// Pages of a list, so that a server that always has a next one is not asked for ever.
const MOST_PAGES: usize = 1_000;

/// What was read of a list, and why it is not all of it.
#[derive(Debug)]
pub struct Reading {
    pub answers: Vec<Answer>,
    pub missing: Option<ListError>,
}

/// Reads a list; `rooms` are those in which something is known, whether LiveKit lists them or not.
///
/// # Errors
/// When nothing of it can be read.
pub async fn read(
    client: &Client,
    list: List,
    rooms: Vec<Box<str>>,
    now: &(dyn Fn() -> Now + Sync),
) -> Result<Reading, ListError> {
    match list {
        List::Participants => participants(client, rooms, now).await,
        List::Egress => {
            let grants = Grants { room_record: true, ..Grants::default() };
            pages::<Egress>(client, "Egress/ListEgress", grants, listed_egress, now).await
        }
        List::Ingress => {
            let grants = Grants { ingress_admin: true, ..Grants::default() };
            pages::<Ingress>(client, "Ingress/ListIngress", grants, listed_ingress, now).await
        }
    }
}

/// A line with its time by our clock.
fn ours(line: Option<Listed>, clock: Skew) -> Option<Listed> {
    let mut line = line?;
    line.thing.began = line.thing.began.map(|began| clock.ours(began));
    Some(line)
}

async fn pages<T: DeserializeOwned + Default>(
    client: &Client,
    method: &str,
    grants: Grants<'_>,
    line: fn(&T) -> Option<Listed>,
    now: &(dyn Fn() -> Now + Sync),
) -> Result<Reading, ListError> {
    let (asked, mut lines, mut next) = (now().mono, Vec::new(), PageToken::default());
    for _ in 0..MOST_PAGES {
        let mut question = json!({});
        if method.starts_with("Egress") {
            question["active"] = json!(true);
        }
        if !next.token.is_empty() {
            question["page_token"] = json!(next);
        }
        let page: Answered<Page<T>> = match client.ask(method, &question, grants, now).await {
            // It has no such part: there is none.
            Err(error) if error.is_absent() => return Ok(whole(asked, lines)),
            answered => answered?,
        };
        lines.extend(page.answer.items.iter().filter_map(|info| ours(line(info), page.clock)));
        if page.answer.next_page_token.token.is_empty() {
            return Ok(whole(asked, lines));
        }
        next = page.answer.next_page_token;
    }
    // What is not on these pages has not ended for that.
    Err(ListError::Endless)
}

fn whole(asked: Time, lines: Vec<Listed>) -> Reading {
    Reading { answers: vec![Answer { room: None, asked, lines }], missing: None }
}

async fn participants(
    client: &Client,
    known: Vec<Box<str>>,
    now: &(dyn Fn() -> Now + Sync),
) -> Result<Reading, ListError> {
    let grants = Grants { room_list: true, ..Grants::default() };
    let listed: Answered<Rooms> = client.ask("RoomService/ListRooms", &json!({}), grants, now).await?;
    let nameless = |name: Box<str>| (name.to_string(), Room { name: name.into(), ..Room::default() });
    let mut rooms: BTreeMap<String, Room> = known.into_iter().map(nameless).collect();
    rooms.extend(listed.answer.rooms.into_iter().map(|room| (room.name.clone(), room)));
    let (mut reading, mut asking) = (Reading { answers: Vec::new(), missing: None }, JoinSet::new());
    let (mut rooms, until, clock) = (rooms.into_values(), now().mono.after(READ_WITHIN), listed.clock);
    loop {
        // A server that is away or slow is not asked for thousands of rooms one by one.
        let goes_on = now().mono < until && !reading.missing.as_ref().is_some_and(ListError::is_of_all);
        if !goes_on && rooms.len() > 0 {
            reading.missing.get_or_insert(ListError::Slow);
            rooms = BTreeMap::new().into_values();
        }
        while let Some(room) = (asking.len() < ROOMS_AT_ONCE).then(|| rooms.next()).flatten() {
            // Before it is asked: what is said after this moment is newer than the answer.
            let (client, asked, at) = (client.clone(), now().mono, now());
            asking.spawn(async move {
                let answered = one_room(&client, &room, clock, at).await;
                (room, asked, answered)
            });
        }
        match asking.join_next().await {
            None => return Ok(reading),
            Some(Ok((room, asked, Ok(lines)))) => {
                reading.answers.push(Answer { room: Some(room.name.into()), asked, lines });
            }
            Some(Ok((_, _, Err(error)))) => reading.missing = Some(error),
            Some(Err(error)) => reading.missing = Some(ListError::Unreadable(error.to_string())),
        }
    }
}

async fn one_room(client: &Client, room: &Room, clock: Skew, at: Now) -> Result<Vec<Listed>, ListError> {
    let grants = Grants { room_admin: true, room: Some(&room.name), ..Grants::default() };
    let question = json!({"room": room.name});
    let asked: Result<Answered<Participants>, _> =
        client.ask("RoomService/ListParticipants", &question, grants, &|| at).await;
    match asked {
        Ok(Answered { answer, .. }) => {
            let lines = answer.participants.iter().filter_map(|info| ours(listed_participant(info, room), clock));
            Ok(lines.collect())
        }
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
