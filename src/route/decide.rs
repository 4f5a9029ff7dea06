//! The route of a chain: a function of the chain, of how full its models are and how their providers do, of what is said by
//! hand, of where it stood, and of `now`.

use std::time::Duration;

use crate::{
    model::{Chain, Now, Time},
    route::{
        breaker::Condition,
        by_hand::{Action, ByHand},
        course::{Course, Seen, Switch},
        split::{self, ALL},
        standing::Standing,
    },
};

/// Points that a share moves by at once.
const STEP: u32 = 10;
/// Between two steps away from the leader.
const LEAVING: Duration = Duration::from_secs(1);
/// Between two steps back to it: all of it takes a minute.
const RETURNING: Duration = Duration::from_secs(6);

/// What is seen of one model of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub standing: Standing,
    pub condition: Condition,
}

/// Where a chain stands; its models are those of the chain it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub course: Course,
    /// Where the shares go to.
    target: Vec<u32>,
    shares: Vec<u32>,
    /// When a share last moved.
    moved: Time,
}

/// Why a model has the share that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It takes what it is given.
    Open,
    /// It fills: new sessions leave it by a growing share.
    Filling,
    /// It has no room.
    Full,
    /// Its provider is down.
    Down,
    /// Its provider was down, and a few sessions try it.
    Probing,
    Drained,
    Pinned,
}

/// The share of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRoute {
    /// Of the new sessions, in percent; those of a chain add up to 100.
    pub percent: u32,
    pub stand: Stand,
    pub condition: Condition,
    /// The learned ceiling.
    pub ceiling: Option<u32>,
}

/// The route of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRoute {
    /// Place of the model that leads.
    pub leader: usize,
    /// In the order of the chain's models.
    pub models: Vec<ModelRoute>,
}

impl State {
    /// All sessions use the primary.
    pub fn new(models: usize) -> Self {
        let shares: Vec<_> = (0..models).map(|place| if place == 0 { ALL } else { 0 }).collect();
        Self { course: Course::default(), target: shares.clone(), shares, moved: Time(0) }
    }

    /// Decides at `now`; the views are in the order of the chain's models.
    pub fn step(&mut self, chain: &Chain, views: &[View], by_hand: &[ByHand], now: Now) -> ChainRoute {
        let said = |action: Action| {
            let in_force = by_hand.iter().filter(move |said| said.action == action && said.is_in_force(now.wall));
            in_force.filter(|said| said.chain == chain.name).map(|said| &said.model)
        };
        let drained: Vec<_> = chain.models.iter().map(|model| said(Action::Drain).any(|said| said == model)).collect();
        let can_lead = can_lead(views, &drained);
        let first = can_lead.iter().position(|can| *can).unwrap_or(0);
        let pinned = said(Action::Pin).find_map(|said| chain.models.iter().position(|model| model == said));
        let standings: Vec<_> = views.iter().map(|view| view.standing).collect();
        let leader = &standings[self.course.leader];
        let sessions = standings.iter().map(|standing| standing.held).fold(0, u32::saturating_add);
        let seen = Seen {
            first,
            leads: can_lead[self.course.leader],
            pinned: pinned.filter(|place| can_lead[*place]),
            filled: chain.thresholds.is_some_and(|at| leader.is_filled(at.fill_percent)),
            fits: chain.thresholds.is_none_or(|at| sessions <= leader.capacity(at.return_percent)),
        };
        let switch = self.course.step(&seen, chain.dwell, now.mono);
        self.aim(chain, &standings, &can_lead);
        self.move_shares(switch, &can_lead, chain.dwell, now.mono);

        let has_room: Vec<_> =
            (0..views.len()).map(|place| can_lead[place] && standings[place].proven_room() > 0).collect();
        let percents = split::passed_on(&self.shares, &standings, &has_room, self.course.leader);
        let stand = |place: usize| match views[place].condition {
            _ if drained[place] => Stand::Drained,
            Condition::Down => Stand::Down,
            Condition::Probing => Stand::Probing,
            Condition::Up if standings[place].proven_room() == 0 => Stand::Full,
            Condition::Up if pinned == Some(place) => Stand::Pinned,
            Condition::Up if self.course.away && self.course.leader == place => Stand::Filling,
            Condition::Up => Stand::Open,
        };
        let of = |(place, percent): (usize, u32)| {
            let View { standing, condition } = views[place];
            ModelRoute { percent, stand: stand(place), condition, ceiling: standing.ceiling }
        };
        let models = (0..).zip(percents).map(of).collect();
        ChainRoute { leader: self.course.leader, models }
    }

    /// Sets the target anew where it differs enough from the old one, or where that names who can't lead.
    fn aim(&mut self, chain: &Chain, standings: &[Standing], can_lead: &[bool]) {
        let leader = self.course.leader;
        let target = match chain.thresholds.filter(|_| self.course.away) {
            Some(thresholds) => split::target(standings, can_lead, leader, thresholds),
            None => (0..standings.len()).map(|place| if place == leader { ALL } else { 0 }).collect(),
        };
        let differs = target.iter().zip(&self.target).any(|(new, old)| new.abs_diff(*old) >= split::LEAST_CHANGE);
        let stale = self.target.iter().zip(can_lead).any(|(points, can)| *points > 0 && !can);
        if differs || stale || !self.course.away {
            self.target = target;
        }
    }

    /// Moves the shares towards the target: at once away from who can't lead, else step by step.
    fn move_shares(&mut self, switch: Option<Switch>, can_lead: &[bool], dwell: Duration, now: Time) {
        if switch == Some(Switch::Forced) {
            self.shares.clone_from(&self.target);
        }
        let stranded: u32 = self.shares.iter().zip(can_lead).filter(|(_, can)| !**can).map(|(share, _)| share).sum();
        if stranded > 0 {
            let mut target = self.target.clone();
            // Only what is stranded moves at once: what others have beyond their target stays for now.
            for (place, can) in can_lead.iter().enumerate() {
                target[place] = if *can { target[place].max(self.shares[place]) } else { 0 };
            }
            split::approach(&mut self.shares, &target, stranded);
        }
        let leader = self.course.leader;
        let returns = self.target[leader] > self.shares[leader];
        let pace = if returns { RETURNING } else { LEAVING };
        let stays = returns && self.course.away && self.course.stays(dwell, now);
        if self.shares == self.target || switch.is_some() || stays {
            self.moved = now;
            return;
        }
        let steps = now.since(self.moved).as_secs() / pace.as_secs();
        let points = u32::try_from(steps).unwrap_or(ALL).saturating_mul(STEP).min(ALL);
        if points > 0 {
            split::approach(&mut self.shares, &self.target, points);
            self.moved = now;
        }
    }
}

/// Which models can lead: neither drained nor down. Where all that are not drained are down, health says nothing; where
/// all are drained, nobody leads but the order of the chain.
fn can_lead(views: &[View], drained: &[bool]) -> Vec<bool> {
    let up: Vec<_> =
        views.iter().zip(drained).map(|(view, drained)| !drained && view.condition == Condition::Up).collect();
    match (up.contains(&true), drained.contains(&false)) {
        (true, _) => up,
        (false, true) => drained.iter().map(|drained| !drained).collect(),
        (false, false) => vec![true; views.len()],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{
            Catalogue, Kind, Project,
            chain::{Draft, DraftModel},
        },
        route::standing::Scope,
    };

    fn chain() -> Chain {
        let models = ["a/one", "a/two", "a/three"].map(|model| DraftModel { model, ..DraftModel::default() });
        let draft = Draft { name: "agents", models: &models, ..Draft::default() };
        Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &Catalogue::default()).unwrap()
    }

    fn view(level: u32, limit: u32) -> View {
        let model = Scope { level, limit: Some(limit) };
        View { standing: Standing { model, held: level, ..Standing::default() }, condition: Condition::Up }
    }

    fn down(view: View) -> View {
        View { condition: Condition::Down, ..view }
    }

    fn now(second: u64) -> Now {
        Now { wall: Time::from_secs(second), mono: Time::from_secs(second) }
    }

    fn percents(route: &ChainRoute) -> Vec<u32> {
        route.models.iter().map(|model| model.percent).collect()
    }

    /// The shares at each second from the first on, as they change.
    fn shares(
        state: &mut State,
        views: &[View],
        by_hand: &[ByHand],
        seconds: std::ops::Range<u64>,
    ) -> Vec<(u64, Vec<u32>)> {
        let mut told: Vec<(u64, Vec<u32>)> = Vec::new();
        for second in seconds {
            let percents = percents(&state.step(&chain(), views, by_hand, now(second)));
            if told.last().is_none_or(|(_, last)| *last != percents) {
                told.push((second, percents));
            }
        }
        told
    }

    #[test]
    fn sessions_leave_by_a_growing_share_and_return_in_stages() {
        let mut state = State::new(3);
        let told = shares(&mut state, &[view(19, 20), view(10, 40), view(0, 40)], &[], 0..60);
        // 16 of 29 sessions are what holds the primary at 80 %.
        let expected = [(0, 100), (3, 90), (4, 80), (5, 70), (6, 60), (7, 55)];
        assert_eq!(told, expected.map(|(at, first)| (at, vec![first, 100 - first, 0])));
        let told = shares(&mut state, &[view(3, 20), view(4, 40), view(0, 40)], &[], 60..200);
        let expected = [(60, 55), (65, 65), (71, 75), (77, 85), (83, 95), (89, 100)];
        assert_eq!(told.iter().map(|(at, shares)| (*at, shares[0])).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_primary_without_room_hands_over_at_once() {
        let mut state = State::new(3);
        let route = state.step(&chain(), &[view(20, 20), view(0, 40), view(0, 40)], &[], now(0));
        assert_eq!((percents(&route), route.models[0].stand), (vec![0, 100, 0], Stand::Full));
        let route = state.step(&chain(), &[view(20, 20), view(40, 40), view(0, 40)], &[], now(1));
        assert_eq!(percents(&route), [0, 0, 100]);
        let route = state.step(&chain(), &[view(20, 20), view(40, 40), view(40, 40)], &[], now(1));
        assert_eq!(percents(&route), [100, 0, 0], "nobody has room");
    }

    #[test]
    fn a_provider_that_is_down_is_left_at_once_and_comes_back_in_stages() {
        let mut state = State::new(3);
        let up = [view(2, 20), view(2, 20), view(0, 20)];
        shares(&mut state, &up, &[], 0..10);
        let told = shares(&mut state, &[down(up[0]), up[1], up[2]], &[], 10..12);
        assert_eq!(told, [(10, vec![0, 100, 0])]);
        let told = shares(&mut state, &up, &[], 12..200);
        assert_eq!(told[..3], [(12, vec![0, 100, 0]), (46, vec![10, 90, 0]), (52, vec![20, 80, 0])]);
        assert_eq!(told.last(), Some(&(100, vec![100, 0, 0])));
        let route = state.step(&chain(), &up.map(down), &[], now(200));
        assert_eq!(percents(&route), [100, 0, 0], "where all are down, health says nothing");
    }

    #[test]
    fn pins_and_drains_hold_until_they_end() {
        let said = |action: Action, place: usize| ByHand {
            chain: "agents".into(),
            model: chain().models[place].clone(),
            action,
            reason: "the voice crackles".to_owned(),
            set_by: "kim".to_owned(),
            start: Time::from_secs(10),
            end: Time::from_secs(20),
        };
        let up = [view(2, 20), view(2, 20), view(0, 20)];
        let told = shares(&mut State::new(3), &up, &[said(Action::Drain, 0)], 0..200);
        assert_eq!(told[..2], [(0, vec![100, 0, 0]), (10, vec![0, 100, 0])]);
        assert_eq!(told.last(), Some(&(100, vec![100, 0, 0])));
        let told = shares(&mut State::new(3), &up, &[said(Action::Pin, 2)], 0..20);
        assert_eq!(told, [(0, vec![100, 0, 0]), (10, vec![0, 0, 100])]);
        let full = [up[0], up[1], view(20, 20)];
        let told = shares(&mut State::new(3), &full, &[said(Action::Pin, 2)], 10..11);
        assert_eq!(told, [(10, vec![95, 5, 0])].map(|_| (10, told[0].1.clone())), "a pin needs room");
        assert_eq!(told[0].1[2], 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Whatever comes: the shares add up, none is of a model that can't take a session while another can, and a chain
        /// stays for its dwell time unless its leader is down.
        #[test]
        fn routes_are_calm_and_right(
            seen in prop::collection::vec((0_u64..40, prop::collection::vec((0_u32..21, 0_u32..6), 3)), 1..200),
        ) {
            let (chain, mut state, mut second) = (chain(), State::new(3), 0);
            let mut switched: Option<u64> = None;
            for (after, levels) in seen {
                second += after;
                let of = |(level, fate): &(u32, u32)| {
                    let condition = [Condition::Down, Condition::Probing].get(*fate as usize).copied().unwrap_or_default();
                    View { condition, ..view(*level, 20) }
                };
                let views: Vec<_> = levels.iter().map(of).collect();
                let before = (state.course.leader, state.course.away);
                let route = state.step(&chain, &views, &[], now(second));
                let shares = percents(&route);
                prop_assert_eq!(shares.iter().sum::<u32>(), 100);
                let can = |place: usize| views[place].condition == Condition::Up && views[place].standing.room() > 0;
                if (0..3).any(can) {
                    prop_assert!((0..3).all(|place| can(place) || shares[place] == 0), "{:?} {:?}", shares, views);
                }
                let after = (state.course.leader, state.course.away);
                if before != after {
                    let forced = views[before.0].condition != Condition::Up;
                    prop_assert!(forced || switched.is_none_or(|at| second - at >= 30), "{} {:?}", second, after);
                    switched = Some(second);
                }
            }
        }
    }
}
