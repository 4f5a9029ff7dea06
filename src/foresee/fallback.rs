//! Whether the fallbacks of a chain could hold its peak when a model fails: "If ElevenLabs fails at this peak, Cartesia
//! needs 31 of 15". A function of what the minutes of the last days held and of the limits.

use std::collections::BTreeMap;

use crate::model::Minute;

/// What one model of a chain held and may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// As people say it.
    pub name: String,
    /// `None` for no limit.
    pub limit: Option<u32>,
    /// The peaks of its covered minutes.
    pub peaks: BTreeMap<Minute, u32>,
}

/// What one fallback would hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Place in the chain.
    pub place: usize,
    /// What it would need, its own sessions included.
    pub slots: u32,
    pub limit: Option<u32>,
}

/// What would be if one model failed at its worst minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Place of the model that fails.
    pub failed: usize,
    /// The minute at which most sessions would be left over, or, where none ever is, that of most sessions to move.
    pub minute: Minute,
    /// Sessions that it held in that minute.
    pub moved: u32,
    /// The fallbacks that take them, in the order of the chain.
    pub needs: Vec<Need>,
    /// Sessions that no fallback has room for.
    pub left_over: u32,
}

/// For each model of a chain, what its failure would come to; none for one that held nothing. The peaks of a minute need
/// not have been at the same second, so that this is at most too careful by that.
pub fn failures(chain: &[Held]) -> Vec<Failure> {
    (0..chain.len()).filter_map(|failed| failure(chain, failed)).collect()
}

fn failure(chain: &[Held], failed: usize) -> Option<Failure> {
    let minutes = chain[failed].peaks.iter().filter(|(_, peak)| **peak > 0);
    let at_each = minutes.map(|(minute, moved)| at(chain, failed, *minute, *moved));
    // Of equal ones the first.
    at_each
        .reduce(|worst, next| if (next.left_over, next.moved) > (worst.left_over, worst.moved) { next } else { worst })
}

/// The failure of a model in one minute: the first fallback takes what it has room for, then the next. What nobody has room
/// for is asked of the last one, so that its need says how much is missing.
fn at(chain: &[Held], failed: usize, minute: Minute, moved: u32) -> Failure {
    let mut rest = moved;
    let mut needs = Vec::new();
    let others: Vec<_> = (0..chain.len()).filter(|place| *place != failed).collect();
    for (nth, place) in others.iter().enumerate() {
        if rest == 0 && nth > 0 {
            break;
        }
        let own = chain[*place].peaks.get(&minute).copied().unwrap_or(0);
        let room = chain[*place].limit.map_or(u32::MAX, |limit| limit.saturating_sub(own));
        let takes = rest.min(room);
        rest -= takes;
        needs.push(Need { place: *place, slots: own.saturating_add(takes), limit: chain[*place].limit });
    }
    if let Some(last) = needs.last_mut() {
        last.slots = last.slots.saturating_add(rest);
    }
    Failure { failed, minute, moved, needs, left_over: rest }
}

/// What is told of a failure: `If ElevenLabs fails at this peak, Cartesia needs 31 of 15.`
pub fn sentence(chain: &[Held], failure: &Failure) -> String {
    let name = |place: usize| chain[place].name.as_str();
    let of =
        |limit: Option<u32>| limit.map_or_else(|| ", which has no limit".to_owned(), |limit| format!(" of {limit}"));
    let need = |need: &Need| format!("{} needs {}{}", name(need.place), need.slots, of(need.limit));
    let needs: Vec<_> = failure.needs.iter().map(need).collect();
    let failed = name(failure.failed);
    match (needs.as_slice(), failure.moved) {
        ([], 1) => format!("If {failed} fails at this peak, 1 session has no fallback."),
        ([], moved) => format!("If {failed} fails at this peak, {moved} sessions have no fallback."),
        (needs, _) => format!("If {failed} fails at this peak, {}.", needs.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(name: &str, limit: Option<u32>, peaks: &[u32]) -> Held {
        let peaks = (0..).map(Minute).zip(peaks.iter().copied()).collect();
        Held { name: name.to_owned(), limit, peaks }
    }

    #[track_caller]
    fn check(chain: &[Held], words: &[&str]) {
        let told: Vec<_> = failures(chain).iter().map(|failure| sentence(chain, failure)).collect();
        assert_eq!(told, words);
    }

    #[test]
    fn what_a_failure_would_need_is_said() {
        let eleven = held("ElevenLabs", Some(30), &[3, 24, 24, 10]);
        let cartesia = held("Cartesia", Some(15), &[12, 5, 7, 2]);
        let rime = held("Rime", Some(10), &[0, 1, 0, 9]);
        check(
            &[eleven.clone(), cartesia.clone()],
            &[
                "If ElevenLabs fails at this peak, Cartesia needs 31 of 15.",
                "If Cartesia fails at this peak, ElevenLabs needs 31 of 30.",
            ],
        );
        check(
            &[eleven.clone(), cartesia, rime],
            &[
                "If ElevenLabs fails at this peak, Cartesia needs 15 of 15 and Rime needs 16 of 10.",
                "If Cartesia fails at this peak, ElevenLabs needs 15 of 30.",
                "If Rime fails at this peak, ElevenLabs needs 19 of 30.",
            ],
        );
        check(
            &[eleven.clone(), held("Cartesia", None, &[])],
            &["If ElevenLabs fails at this peak, Cartesia needs 24, which has no limit."],
        );
        check(&[eleven], &["If ElevenLabs fails at this peak, 24 sessions have no fallback."]);
        check(&[held("ElevenLabs", Some(30), &[0, 0])], &[]);
    }

    proptest! {
        /// Nothing is lost on the way: what moves is what the fallbacks take and what is left over, and none but the last
        /// takes more than it has room for.
        #[test]
        fn what_moves_is_taken_or_left_over(
            chain in prop::collection::vec((prop::option::of(0_u32..20), prop::collection::vec(0_u32..20, 5)), 1..5),
        ) {
            let chain: Vec<_> = chain.iter().map(|(limit, peaks)| held("m", *limit, peaks)).collect();
            for failure in failures(&chain) {
                let own = |need: &Need| chain[need.place].peaks[&failure.minute];
                let taken: u32 = failure.needs.iter().map(|need| need.slots - own(need)).sum();
                prop_assert_eq!(taken + if failure.needs.is_empty() { failure.left_over } else { 0 }, failure.moved);
                prop_assert_eq!(failure.moved, chain[failure.failed].peaks[&failure.minute]);
                let over = |need: &Need| need.limit.map_or(0, |limit| need.slots.saturating_sub(limit.max(own(need))));
                let over: u32 = failure.needs.iter().map(over).sum();
                prop_assert_eq!(over, if failure.needs.is_empty() { 0 } else { failure.left_over });
                let room = |minute: usize| -> u32 {
                    let others = chain.iter().enumerate().filter(|(place, _)| *place != failure.failed);
                    let room = |held: &Held| held.limit.map_or(100, |limit| limit.saturating_sub(held.peaks[&Minute(minute as u32)]));
                    others.map(|(_, held)| room(held)).sum()
                };
                let left = |minute: usize| chain[failure.failed].peaks[&Minute(minute as u32)].saturating_sub(room(minute));
                prop_assert_eq!((0..5).map(left).max(), Some(failure.left_over));
            }
        }
    }
}
