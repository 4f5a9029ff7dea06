//! LiveKit's events lost, sent twice, late and in any order, readings of its lists in between, some failing: after all that
//! one reading makes the levels those that are true. The core alone, under a clock of its own; each schedule has a seed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    env,
    time::Duration,
};

use highwater::{
    live::Live,
    livekit::{
        counts::Counts,
        desk::{Desk, DeskSettings},
        known::Answer,
        thing::{List, Listed, listed_egress, listed_ingress, listed_participant},
        wire::{Egress, Ingress, Participant, Room, WebhookEvent},
    },
    model::{Bounds, Coverage, Key, Kind, Meter, Now, Project, Target, Time},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

const SCHEDULES: u64 = 10_000;
const START_MS: u64 = 1_800_000_000_000;
const LEASE: Duration = Duration::from_secs(90);
const KINDS: [&str; 7] = ["STANDARD", "STANDARD", "SIP", "AGENT", "CONNECTOR", "INGRESS", "EGRESS"];

/// What is really there: each thing as LiveKit would list it, with its list and room.
#[derive(Default)]
pub struct Truth {
    pub rooms: BTreeMap<String, String>,
    pub participants: BTreeMap<String, (String, Value)>,
    pub egress: BTreeMap<String, Value>,
    pub ingress: BTreeMap<String, Value>,
    made: u64,
}

impl Truth {
    fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{}", self.made)
    }

    fn room(&self, name: &str) -> Value {
        json!({"sid": self.rooms.get(name), "name": name})
    }

    /// Something happens, at this time; returns the event of it.
    pub fn happen(&mut self, dice: &mut StdRng, at_ms: u64) -> Vec<Value> {
        let mut events = match dice.random_range(0..10) {
            0..4 => self.join(dice, at_ms),
            4..7 => {
                let Some(sid) = pick(dice, self.participants.keys()) else { return Vec::new() };
                vec![self.leave(&sid, "participant_left")]
            }
            7 if dice.random_bool(0.3) => self.end_room(dice),
            8 => self.egress(dice, at_ms),
            _ => self.ingress(dice, at_ms),
        };
        for event in &mut events {
            self.made += 1;
            event["id"] = json!(format!("EV_{}", self.made));
            event["createdAt"] = json!((at_ms / 1_000).to_string());
        }
        events
    }

    fn join(&mut self, dice: &mut StdRng, at_ms: u64) -> Vec<Value> {
        let name = format!("call-{}", dice.random_range(0..4));
        if !self.rooms.contains_key(&name) {
            let sid = self.id("RM");
            self.rooms.insert(name.clone(), sid);
        }
        let sid = self.id("PA");
        let kind = KINDS[dice.random_range(0..KINDS.len())];
        let info = json!({"sid": sid, "identity": sid, "kind": kind, "state": "ACTIVE",
            "joinedAt": (at_ms / 1_000).to_string(), "joinedAtMs": at_ms.to_string()});
        self.participants.insert(sid, (name.clone(), info.clone()));
        vec![json!({"event": "participant_joined", "room": self.room(&name), "participant": info})]
    }

    fn leave(&mut self, sid: &str, event: &str) -> Value {
        let (name, info) = self.participants.remove(sid).unwrap();
        json!({"event": event, "room": self.room(&name), "participant": info})
    }

    fn end_room(&mut self, dice: &mut StdRng) -> Vec<Value> {
        let Some(name) = pick(dice, self.rooms.keys()) else { return Vec::new() };
        let members: Vec<_> =
            self.participants.iter().filter(|(_, (room, _))| *room == name).map(|(sid, _)| sid.clone()).collect();
        let mut events: Vec<_> = members.iter().map(|sid| self.leave(sid, "participant_left")).collect();
        events.push(json!({"event": "room_finished", "room": self.room(&name)}));
        self.rooms.remove(&name);
        events
    }

    fn egress(&mut self, dice: &mut StdRng, at_ms: u64) -> Vec<Value> {
        match pick(dice, self.egress.keys()).filter(|_| dice.random_bool(0.6)) {
            None => {
                let id = self.id("EG");
                let info = json!({"egressId": id, "roomName": "call-0", "status": "EGRESS_STARTING",
                    "startedAt": (at_ms * 1_000_000).to_string()});
                self.egress.insert(id, info.clone());
                vec![json!({"event": "egress_started", "egressInfo": info})]
            }
            Some(id) if dice.random_bool(0.4) => {
                let info = self.egress.get_mut(&id).unwrap();
                info["status"] = json!("EGRESS_ACTIVE");
                vec![json!({"event": "egress_updated", "egressInfo": info.clone()})]
            }
            Some(id) => {
                let mut info = self.egress.remove(&id).unwrap();
                info["status"] = json!("EGRESS_COMPLETE");
                vec![json!({"event": "egress_ended", "egressInfo": info})]
            }
        }
    }

    fn ingress(&mut self, dice: &mut StdRng, at_ms: u64) -> Vec<Value> {
        // An ingress may run again, under its id.
        let id = format!("IN_{}", dice.random_range(0..3));
        match self.ingress.remove(&id) {
            None => {
                // No two runs begin in the same nanosecond.
                self.made += 1;
                let started = at_ms * 1_000_000 + self.made;
                let mut state = json!({"status": "ENDPOINT_PUBLISHING", "startedAt": started.to_string()});
                if id != "IN_0" {
                    state["resourceId"] = json!(self.id("RS"));
                }
                let info = json!({"ingressId": id, "roomName": "call-1", "state": state});
                self.ingress.insert(id, info.clone());
                vec![json!({"event": "ingress_started", "ingressInfo": info})]
            }
            Some(mut info) => {
                info["state"]["status"] = json!("ENDPOINT_INACTIVE");
                vec![json!({"event": "ingress_ended", "ingressInfo": info})]
            }
        }
    }

    /// How many of a kind are there.
    pub fn count(&self, kind: Kind) -> u32 {
        let of = |wanted: &[&str]| {
            let kinds = self.participants.values().filter_map(|(_, info)| info["kind"].as_str());
            kinds.filter(|kind| wanted.contains(kind)).count() as u32
        };
        match kind {
            Kind::Participant => of(&["STANDARD", "CONNECTOR"]),
            Kind::Sip => of(&["SIP"]),
            Kind::Agent => of(&["AGENT"]),
            Kind::Egress => self.egress.len() as u32,
            Kind::Ingress => self.ingress.len() as u32,
            _ => 0,
        }
    }
}

fn pick<'k>(dice: &mut StdRng, mut keys: impl ExactSizeIterator<Item = &'k String>) -> Option<String> {
    let count = keys.len();
    (count > 0).then(|| dice.random_range(0..count)).and_then(|nth| keys.nth(nth).cloned())
}

enum Step {
    Deliver(Box<WebhookEvent>, u64),
    /// A list was asked for then, and this was the answer.
    Answer(List, Vec<Answer>, bool),
    Fails(List),
}

struct World {
    live: Live,
    desk: Desk,
    counts: Counts,
    project: Project,
    truth: Truth,
    at_ms: u64,
    /// How far LiveKit's clock is from ours.
    skew_ms: i64,
    steps: BinaryHeap<Reverse<(u64, u64)>>,
    by_number: BTreeMap<u64, Step>,
}

fn now(at_ms: u64) -> Now {
    Now { wall: Time::from_millis(START_MS + at_ms), mono: Time::from_millis(at_ms) }
}

impl World {
    fn new(skew_ms: i64) -> Self {
        let (live, project) = (Live::new(Bounds::default(), now(0).wall.tick()), Project::new("demo").unwrap());
        let desk = Desk::new(&project, DeskSettings { lease: Some(LEASE), expire_after: Duration::from_secs(3_600) });
        let (counts, truth) = (Counts::default(), Truth::default());
        let (steps, by_number) = (BinaryHeap::new(), BTreeMap::new());
        Self { live, desk, counts, project, truth, at_ms: 0, skew_ms, steps, by_number }
    }

    fn at(&mut self, at_ms: u64, step: Step) {
        let number = self.by_number.last_key_value().map_or(0, |(number, _)| number + 1);
        self.steps.push(Reverse((at_ms, number)));
        self.by_number.insert(number, step);
    }

    fn livekit_ms(&self) -> u64 {
        (START_MS + self.at_ms).checked_add_signed(self.skew_ms).unwrap()
    }

    fn happen(&mut self, dice: &mut StdRng) {
        let at_ms = self.livekit_ms();
        for event in self.truth.happen(dice, at_ms) {
            let event: WebhookEvent = serde_json::from_value(event).unwrap();
            let copies = match dice.random_range(0..20) {
                0..5 => 0,
                5..8 => 2,
                8 => 3,
                _ => 1,
            };
            for _ in 0..copies {
                // Some queue at LiveKit's for long, which its token shows; some on the way, which nothing shows.
                let queued = if dice.random_bool(0.1) { dice.random_range(0..60_000) } else { 0 };
                let late = if dice.random_bool(0.3) { dice.random_range(0..20_000) } else { dice.random_range(0..200) };
                let made = (at_ms + queued) / 1_000;
                self.at(self.at_ms + queued + late, Step::Deliver(Box::new(event.clone()), made));
            }
        }
    }

    /// Asks for all lists: what they say is as of some time after they were asked for, and comes later still.
    fn ask(&mut self, dice: &mut StdRng) {
        let rooms = self.desk.rooms();
        for list in List::ALL {
            let late = dice.random_range(0..3_000);
            if dice.random_bool(0.15) {
                self.at(self.at_ms + late, Step::Fails(list));
                continue;
            }
            let (answers, is_whole) = self.answers(list, &rooms, self.at_ms, dice.random_bool(0.1).then_some(dice));
            self.at(self.at_ms + late, Step::Answer(list, answers, is_whole));
        }
    }

    /// What the lists say now; without some rooms, if dice are given.
    fn answers(&self, list: List, rooms: &[Box<str>], asked: u64, dice: Option<&mut StdRng>) -> (Vec<Answer>, bool) {
        let ours = |line: Option<Listed>| {
            let mut line = line?;
            line.thing.began =
                line.thing.began.map(|began| Time(began.0.checked_add_signed(-self.skew_ms * 1_000).unwrap()));
            Some(line)
        };
        let asked = Time::from_millis(asked);
        let all = |lines: Vec<Listed>| (vec![Answer { room: None, asked, lines }], true);
        fn read<T: serde::de::DeserializeOwned>(info: &Value) -> T {
            serde_json::from_value(info.clone()).unwrap()
        }
        match list {
            List::Egress => {
                all(self.truth.egress.values().filter_map(|info| ours(listed_egress(&read::<Egress>(info)))).collect())
            }
            List::Ingress => {
                all(self.truth.ingress.values().filter_map(|i| ours(listed_ingress(&read::<Ingress>(i)))).collect())
            }
            List::Participants => {
                let mut names: Vec<&str> = self.truth.rooms.keys().map(String::as_str).collect();
                names.extend(rooms.iter().map(|room| &**room));
                names.sort_unstable();
                names.dedup();
                let before = names.len();
                if let Some(dice) = dice {
                    names.retain(|_| dice.random_bool(0.5));
                }
                let answer = |name: &&str| {
                    let room: Room = read(&self.truth.room(name));
                    let here = self.truth.participants.values().filter(|(of, _)| of == name);
                    let lines =
                        here.filter_map(|(_, info)| ours(listed_participant(&read::<Participant>(info), &room)));
                    Answer { room: Some((*name).into()), asked, lines: lines.collect() }
                };
                (names.iter().map(answer).collect(), names.len() == before)
            }
        }
    }

    /// Does what is due up to this time.
    fn run_to(&mut self, until_ms: u64) {
        while let Some(Reverse((at_ms, number))) = self.steps.peek().copied().filter(|step| step.0.0 <= until_ms) {
            self.steps.pop();
            self.at_ms = at_ms.max(self.at_ms);
            let (step, now) = (self.by_number.remove(&number).unwrap(), now(self.at_ms));
            self.live.expire(now);
            match step {
                Step::Deliver(event, made) => {
                    self.desk.event(&self.live, &event, Some(made), now, &self.counts).unwrap();
                }
                Step::Answer(list, answers, is_whole) => {
                    self.desk.listed(&self.live, list, &answers, is_whole, now, &self.counts).unwrap();
                }
                Step::Fails(list) => self.desk.unread(&self.live, list),
            }
            self.desk.tick(&self.live, now, &self.counts).unwrap();
        }
        self.at_ms = until_ms.max(self.at_ms);
        self.live.expire(now(self.at_ms));
    }

    fn level(&self, kind: Kind) -> (u32, i64, Coverage) {
        let target = Target::Meter(Meter::new(kind, "", "", None).unwrap());
        let meter = self.live.registry.find_meter(&Key { project: self.project.clone(), target }).unwrap();
        (meter.tally.word.level(), meter.totals().open(), meter.coverage())
    }
}

fn run(seed: u64) {
    let dice = &mut StdRng::seed_from_u64(seed);
    let mut world = World::new(dice.random_range(-20_000..20_000));
    for _ in 0..dice.random_range(10..50) {
        match dice.random_range(0..12) {
            0 => world.ask(dice),
            // Nothing is heard for longer than the lease.
            1 if dice.random_bool(0.1) => world.run_to(world.at_ms + 100_000),
            _ => world.happen(dice),
        }
        world.run_to(world.at_ms + dice.random_range(0..2_000));
    }
    // Whatever is still on its way arrives; then the lists are read, once.
    world.run_to(world.at_ms + 90_000);
    let rooms = world.desk.rooms();
    for list in List::ALL {
        let (answers, is_whole) = world.answers(list, &rooms, world.at_ms, None);
        let done = world.desk.listed(&world.live, list, &answers, is_whole, now(world.at_ms + 10), &world.counts);
        done.unwrap();
    }
    // What a reading found gone is waited for by its book for a while, and then lost.
    world.live.expire(now(world.at_ms + 15_000));
    for kind in [Kind::Agent, Kind::Participant, Kind::Sip, Kind::Ingress, Kind::Egress] {
        let there = world.truth.count(kind);
        let expect = (there, i64::from(there), Coverage::Full);
        assert_eq!(world.level(kind), expect, "HIGHWATER_LIVEKIT_SEED={seed}: {kind}; {:?}", world.counts.read());
    }
    assert_eq!(world.live.audit(), [], "HIGHWATER_LIVEKIT_SEED={seed}");
}

#[test]
fn heavy_ten_thousand_schedules_end_at_the_true_counts_after_one_reading() {
    if let Ok(seed) = env::var("HIGHWATER_LIVEKIT_SEED") {
        return run(seed.parse().unwrap());
    }
    let first: u64 = rand::random_range(0..1 << 40);
    println!("seeds {first} to {}", first + SCHEDULES - 1);
    (first..first + SCHEDULES).for_each(run);
}
