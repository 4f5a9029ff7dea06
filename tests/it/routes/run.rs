//! Runs a day by its events, with routes or with the first model alone, and holds the promises of each step.
//!
//! With the first model alone, each call asks when it asked with routes, as long as it was only refused: who was failed by a
//! fallback asks again a moment later, and that moment is worth as much with routes as without. Without it, chance alone
//! would decide between the two: a slot that is free again a second later goes to one call or to the next, and one of them
//! lasts longer.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use highwater::{
    model::{Now, Outcome, Time},
    route::{
        Asked, ByHand, ChainRoute, Choice, Condition, Health, Scope, Standing, State, View, Why, choose, decide::Stand,
        health::Ended,
    },
    sim::random::Random,
};

use super::day::Day;

/// What happened on a day.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Of each call: whether it was served to its end.
    pub served: Vec<bool>,
    /// Of each call: when it asked.
    pub asked: Vec<Vec<Time>>,
    /// Grants of each model.
    pub granted: Vec<u32>,
    pub refused: u32,
    /// Changes of the leader and of leaving or returning, and whether each was forced.
    pub switches: Vec<(Time, bool)>,
    /// Times at which the shares changed.
    pub changes: Vec<Time>,
    /// How many grants there were of each reason.
    pub whys: HashMap<&'static str, u32>,
}

impl Told {
    pub fn unmet(&self) -> usize {
        self.served.iter().filter(|served| !**served).count()
    }
}

/// What happens next. Ends go before beginnings; `nth` keeps the order of what happens at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    OthersEnd { place: usize },
    End { session: usize },
    Cut { place: usize },
    OthersBegin { place: usize },
    Asks { call: usize, tried: u8 },
}

/// One session that was granted.
#[derive(Clone, Copy, Debug)]
struct Session {
    call: usize,
    place: usize,
    outcome: Outcome,
    /// Models that failed it before.
    tried: u8,
    began: Time,
    over: bool,
}

pub struct Run<'a> {
    day: &'a Day,
    /// Whether fallbacks are used at all.
    routed: bool,
    by_hand: &'a [ByHand],
    next: BinaryHeap<Reverse<(Time, Next, usize)>>,
    planned: usize,
    held: Vec<u32>,
    others: Vec<u32>,
    sessions: Vec<Session>,
    /// Of each call: how much of it is left.
    left: Vec<Duration>,
    /// Of each call: whether it holds a session, or was failed by the only model that there is.
    busy: Vec<bool>,
    jobs: HashMap<u64, Vec<usize>>,
    health: Vec<Health>,
    state: State,
    route: Option<(Time, ChainRoute)>,
    stood: (usize, bool),
    told: Told,
}

/// The day with routes.
pub fn routed(day: &Day, by_hand: &[ByHand]) -> Told {
    Run::new(day, true, by_hand).all()
}

/// The day with the first model alone, asked when it was asked with routes.
pub fn first_only(day: &Day, routed: &Told) -> Told {
    let mut run = Run::new(day, false, &[]);
    for (call, asked) in routed.asked.iter().enumerate() {
        asked.iter().skip(1).for_each(|at| run.plan(*at, Next::Asks { call, tried: 0 }));
    }
    run.all()
}

impl<'a> Run<'a> {
    fn new(day: &'a Day, routed: bool, by_hand: &'a [ByHand]) -> Self {
        let models = day.providers.len();
        let calls = day.calls.len();
        let (served, asked) = (vec![false; calls], vec![Vec::new(); calls]);
        let told = Told { served, asked, granted: vec![0; models], ..Told::default() };
        let mut run = Self {
            day,
            routed,
            by_hand,
            next: BinaryHeap::new(),
            planned: 0,
            held: vec![0; models],
            others: vec![0; models],
            sessions: Vec::new(),
            left: day.calls.iter().map(|call| call.lasts).collect(),
            busy: vec![false; calls],
            jobs: HashMap::new(),
            health: (0..models as u64).map(Health::new).collect(),
            state: State::new(models),
            route: None,
            stood: (0, false),
            told,
        };
        for (call, asks) in day.calls.iter().enumerate() {
            run.plan(asks.at, Next::Asks { call, tried: 0 });
        }
        for (place, provider) in day.providers.iter().enumerate() {
            for (from, to) in &provider.others {
                run.plan(*from, Next::OthersBegin { place });
                run.plan(*to, Next::OthersEnd { place });
            }
            provider.outages.iter().filter(|outage| outage.cuts).for_each(|at| run.plan(at.from, Next::Cut { place }));
        }
        run
    }

    fn plan(&mut self, at: Time, next: Next) {
        self.next.push(Reverse((at, next, self.planned)));
        self.planned += 1;
    }

    fn all(mut self) -> Told {
        while let Some(Reverse((now, next, _))) = self.next.pop() {
            match next {
                Next::OthersBegin { place } => self.others[place] += 1,
                Next::OthersEnd { place } => self.others[place] -= 1,
                Next::Cut { place } => self.cut(place, now),
                Next::End { session } if self.sessions[session].over => {}
                Next::End { session } => self.end(session, now),
                Next::Asks { call, tried } => self.ask(call, tried, now),
            }
        }
        assert!(self.held.iter().all(|held| *held == 0));
        self.told
    }

    /// Running sessions of a model are cut; each call asks again for what is left of it.
    fn cut(&mut self, place: usize, now: Time) {
        let running = |session: &Session| !session.over && session.place == place;
        let running: Vec<_> = (0..self.sessions.len()).filter(|nth| running(&self.sessions[*nth])).collect();
        for nth in running {
            let Session { call, began, .. } = self.sessions[nth];
            self.left[call] = self.left[call].saturating_sub(now.since(began));
            self.close(nth, Outcome::Unavailable, now);
            self.plan(now, Next::Asks { call, tried: 0 });
        }
    }

    /// A session ends; one that failed goes on along the chain.
    fn end(&mut self, nth: usize, now: Time) {
        let Session { call, place, outcome, tried, .. } = self.sessions[nth];
        self.close(nth, outcome, now);
        match outcome {
            Outcome::Ok => self.told.served[call] = true,
            _ if self.routed => self.plan(now, Next::Asks { call, tried: tried | 1 << place }),
            _ => self.busy[call] = true,
        }
    }

    fn close(&mut self, nth: usize, outcome: Outcome, now: Time) {
        let Session { call, place, .. } = self.sessions[nth];
        let (scope, worker) = (self.standing(place, now).model, self.day.calls[call].worker);
        (self.sessions[nth].over, self.busy[call]) = (true, false);
        self.held[place] -= 1;
        self.health[place].ended(Ended { session: nth as u64, worker, outcome, scope }, now);
    }

    fn standing(&self, place: usize, now: Time) -> Standing {
        let limit = Some(self.day.providers[place].limit);
        let model = Scope { level: self.held[place] + self.others[place], limit };
        let ceiling = self.health[place].ceiling(limit, now);
        Standing { model, ceiling, held: self.held[place], ..Standing::default() }
    }

    fn views(&self, now: Time) -> Vec<View> {
        let view =
            |place: usize| View { standing: self.standing(place, now), condition: self.health[place].condition() };
        (0..self.held.len()).map(view).collect()
    }

    /// The routes of this second.
    fn step(&mut self, now: Time) {
        if self.route.as_ref().is_some_and(|(at, _)| at.tick() == now.tick()) {
            return;
        }
        self.health.iter_mut().for_each(|health| health.step(now));
        let views = self.views(now);
        let route = self.state.step(&self.day.chain, &views, self.by_hand, Now { wall: now, mono: now });
        self.hold_the_route(&route, &views);
        let stands = (self.state.course.leader, self.state.course.away);
        if stands != self.stood {
            let forced = self.state.course.forced;
            self.told.switches.push((now, forced));
            self.stood = stands;
        }
        if self.route.as_ref().is_some_and(|(_, old)| *old != route) {
            self.told.changes.push(now);
        }
        self.route = Some((now, route));
    }

    /// The shares add up, and none is of a model without room, or drained, while another that is neither has room.
    fn hold_the_route(&self, route: &ChainRoute, views: &[View]) {
        let seed = self.day.seed;
        assert_eq!(route.models.iter().map(|model| model.percent).sum::<u32>(), 100, "seed {seed}");
        let drained = |place: &usize| route.models[*place].stand == Stand::Drained;
        let up = |place: &usize| !drained(place) && views[*place].condition == Condition::Up;
        let room = |place: &usize| up(place) && views[*place].standing.proven_room() > 0;
        let places = || 0..views.len();
        if places().any(|place| room(&place)) {
            let wrong = places().filter(|place| !room(place)).find(|place| route.models[*place].percent > 0);
            assert_eq!(wrong, None, "seed {seed}: {route:?} {views:?}");
        }
    }

    fn ask(&mut self, call: usize, tried: u8, now: Time) {
        self.told.asked[call].push(now);
        if self.routed {
            self.ask_along_the_chain(call, tried, now);
        } else if !self.busy[call] && !self.told.served[call] {
            match self.standing(0, now).model.room() {
                0 => self.told.refused += 1,
                _ => self.grant(call, 0, tried, now),
            }
        }
    }

    fn ask_along_the_chain(&mut self, call: usize, tried: u8, now: Time) {
        self.step(now);
        let asks = self.day.calls[call];
        let views = self.views(now);
        let may_probe = |(place, health): (usize, &Health)| u8::from(health.may_probe(asks.worker)) << place;
        let may_probe = self.health.iter().enumerate().map(may_probe).fold(0, |all, bit| all | bit);
        let live = self.jobs.get(&asks.job).into_iter().flatten().rev();
        let stays = live.map(|nth| self.sessions[*nth]).find(|session| !session.over).map(|session| session.place);
        let asked = Asked { job: asks.job, stays, tried, may_probe };
        let route = &self.route.as_ref().expect("it was just made").1;
        match choose(&self.day.chain, route, &views, &asked) {
            Choice::Grant { place, why } => {
                let drained = route.models[place].stand == Stand::Drained;
                assert!(views[place].standing.room() > 0 && !drained, "seed {}: no room", self.day.seed);
                if why == Why::Probe {
                    self.health[place].probe(self.sessions.len() as u64, asks.worker, now);
                }
                *self.told.whys.entry(name(why)).or_default() += 1;
                self.jobs.entry(asks.job).or_default().push(self.sessions.len());
                self.grant(call, place, tried, now);
            }
            Choice::Refused(_) => {
                let open = |place: &usize| tried >> place & 1 == 0 && route.models[*place].stand != Stand::Drained;
                let room = (0..views.len()).filter(open).find(|place| views[*place].standing.room() > 0);
                assert_eq!(room, None, "seed {}: refused beside a free slot", self.day.seed);
                self.told.refused += 1;
            }
        }
    }

    fn grant(&mut self, call: usize, place: usize, tried: u8, now: Time) {
        self.busy[call] = true;
        self.held[place] += 1;
        self.told.granted[place] += 1;
        let fails = self.fails(call, place, now);
        let level = self.held[place] + self.others[place];
        let above = self.day.providers[place].allows.is_some_and(|allows| level > allows);
        let (outcome, ends) = match (fails, above) {
            (Some(after), _) => (Outcome::Timeout, now.after(after)),
            (None, true) => (Outcome::Concurrency, now.after(Duration::from_millis(100))),
            (None, false) => (Outcome::Ok, now.after(self.left[call])),
        };
        self.plan(ends, Next::End { session: self.sessions.len() });
        self.sessions.push(Session { call, place, outcome, tried, began: now, over: false });
    }

    /// How long a session takes to fail; `None` where it does not. What fails once at a time fails again.
    fn fails(&self, call: usize, place: usize, now: Time) -> Option<Duration> {
        let mut luck = Random::of(self.day.seed, 2 + place as u64, call as u64);
        let (percent, after) = (luck.below(100), Duration::from_millis(100 + luck.below(4_900)));
        let fails = |outage: &super::day::Outage| outage.from <= now && now < outage.to && percent < outage.percent;
        let broken = self.day.broken == Some(self.day.calls[call].worker);
        (broken || self.day.providers[place].outages.iter().any(fails)).then_some(after)
    }
}

const fn name(why: Why) -> &'static str {
    match why {
        Why::Leads => "leads",
        Why::Stays => "stays",
        Why::Share => "share",
        Why::Overflow => "overflow",
        Why::Probe => "probe",
        Why::LastResort => "last resort",
    }
}
