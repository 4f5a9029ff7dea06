//! Shares the slots of a pool among its models, by what the minutes of the last days needed.
//!
//! When the sum of the peaks fits, every model keeps its peak, and what is left over is shared in proportion to the peaks,
//! since who had the highest peak may well have a higher one.
//!
//! When it does not fit, as few *slot-minutes* as possible are missing: the sum over all minutes of how far a peak would
//! have been above the share. One slot more spares a model one of them in each minute that is above its share; that is
//! fewer the more slots it has. So the sum is convex in each share and a sum of functions of one share each, and to give
//! slot after slot to whoever has most minutes above its share (the greedy way) is optimal: no later slot can be worth more
//! than one that was passed over. Counting minutes above, however far, would not be: a model that is at 30 all day gains
//! nothing from its first 29 slots, so that it would be left with none to spare another a minute.
//!
//! The greedy way is not walked slot by slot: all slots that are worth more than some number of minutes are given at once,
//! and what remains lies among those that are worth just as much.

use crate::model::text::number;

/// What the minutes of one model needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Levels above 0 that were peaks of minutes, ascending, with the minutes whose peak was at or above them.
    levels: Vec<(u32, u32)>,
}

/// How slots are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Of each model, in the order of the needs; together they are all slots, unless there is no model.
    pub slots: Vec<u32>,
    /// What was done, in a sentence.
    pub sentence: String,
}

impl Need {
    /// Of the peaks of covered minutes, in any order.
    pub fn of(peaks: impl IntoIterator<Item = u32>) -> Self {
        let mut peaks: Vec<_> = peaks.into_iter().filter(|peak| *peak > 0).collect();
        peaks.sort_unstable();
        let mut levels: Vec<(u32, u32)> = Vec::new();
        for (below, peak) in (0_u32..).zip(&peaks) {
            if levels.last().is_none_or(|(level, _)| level < peak) {
                levels.push((*peak, peaks.len() as u32 - below));
            }
        }
        Self { levels }
    }

    pub fn peak(&self) -> u32 {
        self.levels.last().map_or(0, |(level, _)| *level)
    }

    /// Minutes whose peak would have been above so many slots.
    pub fn minutes_above(&self, slots: u32) -> u32 {
        let above = self.levels.partition_point(|(level, _)| *level <= slots);
        self.levels.get(above).map_or(0, |(_, minutes)| *minutes)
    }

    /// The fewest slots with at most so many minutes above them: the slots that are worth more minutes each.
    fn slots_worth_more(&self, minutes: u32) -> u32 {
        let more = self.levels.partition_point(|(_, at_or_above)| *at_or_above > minutes);
        more.checked_sub(1).map_or(0, |last| self.levels[last].0)
    }

    fn minutes(&self) -> u32 {
        self.levels.first().map_or(0, |(_, minutes)| *minutes)
    }
}

/// Shares all slots. Every model gets one at the least where there are as many. The same needs give the same shares.
pub fn assign(needs: &[Need], slots: u32) -> Assignment {
    let sum: u64 = needs.iter().map(|need| u64::from(need.peak())).sum();
    let short = sum.saturating_sub(slots.into());
    let shares = match short {
        0 => keep_peaks(needs, slots - u32::try_from(sum).unwrap_or(slots)),
        _ => miss_least(needs, slots),
    };
    let sentence = match (needs.len(), sum, short) {
        (0, ..) => "There is no model to share slots among.".to_owned(),
        (_, 0, _) => "Nothing was held in the last seven days: every model gets about as much.".to_owned(),
        (models, _, 0) => match u64::from(slots) - sum {
            0 => "Every model keeps its peak; nothing is left over.".to_owned(),
            1 => "Every model keeps its peak; 1 slot is left over.".to_owned(),
            rest if models == 1 => {
                format!("The model keeps its peak and gets the {} slots that are left over.", number(rest))
            }
            rest => format!("Every model keeps its peak; {} slots are left over, shared by peak.", number(rest)),
        },
        (models, ..) => {
            let above: u64 = needs.iter().zip(&shares).map(|(need, share)| u64::from(need.minutes_above(*share))).sum();
            let minutes = if above == 1 { "minute" } else { "minutes" };
            let none =
                if models > slots as usize { "; there are fewer slots than models, and some get none" } else { "" };
            format!(
                "The peaks add up to {}, {} more than there are: shared so that as little as possible would have \
                 been above, {} {minutes} of all models{none}.",
                number(sum),
                number(short),
                number(above),
            )
        }
    };
    Assignment { slots: shares, sentence }
}

/// Every model keeps its peak, one without any gets one, and the rest is shared in proportion to the peaks.
fn keep_peaks(needs: &[Need], mut rest: u32) -> Vec<u32> {
    let mut shares: Vec<_> = needs.iter().map(Need::peak).collect();
    for share in shares.iter_mut().filter(|share| **share == 0) {
        *share = rest.min(1);
        rest -= *share;
    }
    let peaks: Vec<_> = needs.iter().map(|need| u64::from(need.peak())).collect();
    let none = peaks.iter().all(|peak| *peak == 0);
    let weights = if none { vec![1; needs.len()] } else { peaks };
    shares.iter_mut().zip(in_proportion(rest, &weights)).for_each(|(share, more)| *share += more);
    shares
}

/// As few slot-minutes as possible are missing.
fn miss_least(needs: &[Need], slots: u32) -> Vec<u32> {
    let least = u32::from(needs.len() <= slots as usize);
    let share = |need: &Need, worth: u32| need.slots_worth_more(worth).max(least);
    let sum = |worth: u32| needs.iter().map(|need| u64::from(share(need, worth))).sum::<u64>();
    // Slots that are worth more minutes than this are given; found by halving, since the sum falls as it grows.
    let (mut too_few, mut enough) = (0, needs.iter().map(Need::minutes).max().unwrap_or(0));
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if sum(middle) <= slots.into() { enough = middle } else { too_few = middle }
    }
    let mut shares: Vec<_> = needs.iter().map(|need| share(need, enough)).collect();
    // The next ones are worth just as much wherever they go: each model gets its part of them.
    let next = needs.iter().zip(&shares).map(|(need, given)| u64::from(share(need, enough - 1) - given));
    let next: Vec<_> = next.collect();
    let rest = u64::from(slots) - shares.iter().map(|share| u64::from(*share)).sum::<u64>();
    let rest = u32::try_from(rest).unwrap_or(0);
    shares.iter_mut().zip(in_proportion(rest, &next)).for_each(|(share, more)| *share += more);
    shares
}

/// Shares a number in proportion to weights, by the largest remainder, of equal ones the first: the sum is exact, and no
/// share is above its weight where the number is not above their sum.
fn in_proportion(number: u32, weights: &[u64]) -> Vec<u32> {
    let sum: u64 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let part = |weight: &u64| (u64::from(number) * weight / sum, u64::from(number) * weight % sum);
    let mut shares: Vec<_> = weights.iter().map(|weight| part(weight).0).collect();
    let mut by_remainder: Vec<_> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|nth| std::cmp::Reverse(part(&weights[*nth]).1));
    let rest = u64::from(number) - shares.iter().sum::<u64>();
    by_remainder.into_iter().take(usize::try_from(rest).unwrap_or(0)).for_each(|nth| shares[nth] += 1);
    shares.into_iter().map(|share| u32::try_from(share).unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slot-minutes above a share, by the definition.
    fn missing(peaks: &[u32], share: u32) -> u32 {
        peaks.iter().map(|peak| peak.saturating_sub(share)).sum()
    }

    /// The fewest that can be missing, by trying all ways to share.
    fn fewest(models: &[Vec<u32>], slots: u32, least: u32) -> u32 {
        match models {
            [] => 0,
            [last] => missing(last, slots),
            [first, rest @ ..] => {
                let most = slots - least * rest.len() as u32;
                (least..=most)
                    .map(|share| missing(first, share) + fewest(rest, slots - share, least))
                    .min()
                    .unwrap_or(0)
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn no_other_way_to_share_misses_less(
            models in prop::collection::vec(prop::collection::vec(0_u32..9, 0..12), 1..5), slots in 0_u32..24,
        ) {
            let needs: Vec<_> = models.iter().map(|peaks| Need::of(peaks.iter().copied())).collect();
            let Assignment { slots: shares, .. } = assign(&needs, slots);
            prop_assert_eq!(shares.iter().sum::<u32>(), slots);
            prop_assert_eq!(&assign(&needs, slots).slots, &shares);
            let peaks: u32 = needs.iter().map(Need::peak).sum();
            let least = u32::from(models.len() <= slots as usize && peaks > slots);
            prop_assert!(shares.iter().all(|share| *share >= least), "{:?}", shares);
            let missed: u32 = models.iter().zip(&shares).map(|(peaks, share)| missing(peaks, *share)).sum();
            prop_assert_eq!(missed, fewest(&models, slots, least));
            for ((need, peaks), share) in needs.iter().zip(&models).zip(&shares) {
                let above = peaks.iter().filter(|peak| *peak > share).count();
                prop_assert_eq!(need.minutes_above(*share) as usize, above);
                prop_assert!(peaks.iter().sum::<u32>() == 0 || *share >= need.peak() || slots < self::sum(&needs));
            }
        }
    }

    fn sum(needs: &[Need]) -> u32 {
        needs.iter().map(Need::peak).sum()
    }

    #[track_caller]
    fn check(models: &[&[u32]], slots: u32, shares: &[u32], sentence: &str) {
        let needs: Vec<_> = models.iter().map(|peaks| Need::of(peaks.iter().copied())).collect();
        assert_eq!(assign(&needs, slots), Assignment { slots: shares.to_vec(), sentence: sentence.to_owned() });
    }

    #[test]
    fn what_is_done_is_said() {
        check(&[], 5, &[], "There is no model to share slots among.");
        check(&[&[6], &[3]], 9, &[6, 3], "Every model keeps its peak; nothing is left over.");
        check(&[&[6], &[3]], 10, &[7, 3], "Every model keeps its peak; 1 slot is left over.");
        check(&[&[6], &[3]], 15, &[10, 5], "Every model keeps its peak; 6 slots are left over, shared by peak.");
        check(&[&[6], &[], &[3]], 10, &[6, 1, 3], "Every model keeps its peak; 1 slot is left over.");
        check(&[&[6]], 10, &[10], "The model keeps its peak and gets the 4 slots that are left over.");
        check(&[&[], &[]], 5, &[3, 2], "Nothing was held in the last seven days: every model gets about as much.");
        // All day at 4 counts for more than once at 9.
        let words = "The peaks add up to 13, 6 more than there are: shared so that as little as possible would have been \
                     above, 1 minute of all models.";
        check(&[&[4, 4, 4, 4], &[9]], 7, &[4, 3], words);
        let words = "The peaks add up to 6, 5 more than there are: shared so that as little as possible would have been \
                     above, 4 minutes of all models; there are fewer slots than models, and some get none.";
        check(&[&[2], &[2, 2, 1], &[2]], 1, &[0, 1, 0], words);
    }

    /// A limit of millions takes no longer than one of ten.
    #[test]
    fn many_slots_are_shared_at_once() {
        let day = |peak: u32| Need::of((0..10_080).map(|minute| peak - minute % 1_000));
        let needs: Vec<_> = (1..=100).map(|nth| day(nth * 100_000)).collect();
        let shares = assign(&needs, 16_777_215).slots;
        assert_eq!(shares.iter().map(|share| u64::from(*share)).sum::<u64>(), 16_777_215);
    }
}
