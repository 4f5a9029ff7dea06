//! What share of the new sessions goes where, in points of 100 that always add up. A share is set by how many sessions of
//! the chain a model can hold, beside how many there are: so that under a steady load it stands still, and no model is
//! sent more than it can hold.

use crate::{model::chain::Thresholds, route::standing::Standing};

/// All points of a split.
pub const ALL: u32 = 100;
/// A target that differs by less is the same: the number of sessions always wavers.
pub const LEAST_CHANGE: u32 = 10;
/// A fallback is filled to so many percent by what is passed on, so that the sessions of a second do not overrun it.
const PASSED_ON_PERCENT: u32 = 95;

/// The sessions of the chain that a fallback may hold because they left early: half of what it can hold, while it is not
/// filled itself. The other half is for those who would be refused without it.
pub fn early_capacity(standing: &Standing, thresholds: Option<Thresholds>) -> u32 {
    let half = if standing.capacity(ALL) == u32::MAX { u32::MAX } else { standing.capacity(ALL) / 2 };
    if standing.is_filled(thresholds.map_or(ALL, |thresholds| thresholds.fill_percent)) {
        half.min(standing.held)
    } else {
        half
    }
}

/// Where sessions are to go while they leave a leader that fills: it keeps what holds it in the middle of its thresholds,
/// the fallbacks after it get the rest as far as they can hold it, and what they can't stays with the leader.
pub fn target(standings: &[Standing], can_lead: &[bool], leader: usize, thresholds: Thresholds) -> Vec<u32> {
    let sessions: u32 = standings.iter().map(|standing| standing.held).fold(0, u32::saturating_add);
    let part = |capacity: u32| points(capacity, sessions);
    let mut target = vec![0; standings.len()];
    let mut rest = ALL - part(standings[leader].capacity(thresholds.middle_percent()));
    for place in leader + 1..standings.len() {
        if can_lead[place] {
            target[place] = part(early_capacity(&standings[place], Some(thresholds))).min(rest);
            rest -= target[place];
        }
    }
    target[leader] = ALL - target.iter().sum::<u32>();
    target
}

/// The points of so many sessions of all; all of them where there are none.
fn points(of: u32, all: u32) -> u32 {
    let points = (u64::from(of) * u64::from(ALL)).checked_div(u64::from(all)).unwrap_or(u64::from(ALL));
    u32::try_from(points).unwrap_or(ALL).min(ALL)
}

/// Moves at most so many points towards a target: the target and the shares add up to [`ALL`] both.
pub fn approach(shares: &mut [u32], target: &[u32], most: u32) {
    let mut left = most;
    for from in 0..shares.len() {
        for to in 0..shares.len() {
            let more = shares[from].saturating_sub(target[from]);
            let less = target[to].saturating_sub(shares[to]);
            let moved = more.min(less).min(left);
            shares[from] -= moved;
            shares[to] += moved;
            left -= moved;
        }
    }
}

/// The shares as they are now: what models without room have is passed on to those that have room, as far as each can hold
/// it, those behind the leader first. Where none has room there is nobody to pass it on to.
pub fn passed_on(shares: &[u32], standings: &[Standing], has_room: &[bool], leader: usize) -> Vec<u32> {
    let places = || (leader..shares.len()).chain(0..leader);
    let Some(first) = places().find(|place| has_room[*place]) else { return shares.to_vec() };
    let sessions: u32 = standings.iter().map(|standing| standing.held).fold(0, u32::saturating_add);
    let mut passed: Vec<_> = shares.iter().zip(has_room).map(|(share, room)| if *room { *share } else { 0 }).collect();
    let mut rest = ALL - passed.iter().sum::<u32>();
    for place in places().filter(|place| has_room[*place]) {
        let most = points(standings[place].capacity(PASSED_ON_PERCENT), sessions);
        let more = most.saturating_sub(passed[place]).min(rest);
        passed[place] += more;
        rest -= more;
    }
    // More than all can hold: to whoever has most room.
    let roomiest = places().filter(|place| has_room[*place]).max_by_key(|place| standings[*place].room());
    passed[roomiest.unwrap_or(first)] += rest;
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::standing::Scope;

    fn model(held: u32, level: u32, limit: u32) -> Standing {
        Standing { model: Scope { level, limit: Some(limit) }, held, ..Standing::default() }
    }

    #[test]
    fn the_leader_keeps_what_holds_it_in_the_middle_and_a_fallback_gets_half_of_its_room() {
        let thresholds = Thresholds::default();
        let split = |standings: &[Standing]| target(standings, &vec![true; standings.len()], 0, thresholds);
        assert_eq!(split(&[model(18, 18, 20), model(2, 2, 20)]), [80, 20], "16 of 20 sessions");
        assert_eq!(split(&[model(18, 18, 20), model(2, 2, 4)]), [90, 10], "half of 4 are 2 of 20 sessions");
        assert_eq!(split(&[model(18, 18, 20), model(2, 2, 4), model(0, 0, 9)]), [80, 10, 10]);
        assert_eq!(split(&[model(18, 18, 20), model(0, 0, 1)]), [100, 0], "a fallback of one is not used early");
        assert_eq!(split(&[model(18, 18, 20), model(2, 18, 20)]), [90, 10], "one that is filled keeps what it has");
        assert_eq!(target(&[model(18, 18, 20), model(2, 2, 20)], &[true, false], 0, thresholds), [100, 0]);
        assert_eq!(split(&[model(0, 0, 0), model(0, 0, 0)]), [100, 0], "without a session there is nothing to split");
    }

    #[test]
    fn shares_are_approached_and_always_add_up() {
        let mut shares = [100, 0, 0];
        approach(&mut shares, &[30, 50, 20], 10);
        assert_eq!(shares, [90, 10, 0]);
        approach(&mut shares, &[30, 50, 20], 50);
        assert_eq!(shares, [40, 50, 10]);
        approach(&mut shares, &[100, 0, 0], 1_000);
        assert_eq!(shares, [100, 0, 0]);
    }

    #[test]
    fn what_has_no_room_is_passed_over_while_another_has() {
        let pass = |standings: &[Standing], shares: &[u32], leader: usize| {
            let room: Vec<_> = standings.iter().map(|standing| standing.room() > 0).collect();
            passed_on(shares, standings, &room, leader)
        };
        let full = model(10, 10, 10);
        assert_eq!(pass(&[full, model(5, 5, 40)], &[70, 30], 0), [0, 100]);
        assert_eq!(
            pass(&[full, model(1, 1, 2), model(0, 0, 30)], &[100, 0, 0], 0),
            [0, 9, 91],
            "1 of 11 fits the second"
        );
        assert_eq!(pass(&[full, full], &[70, 30], 0), [70, 30], "nobody has room");
        assert_eq!(pass(&[model(9, 9, 10), full], &[0, 100], 1), [100, 0]);
    }
}
