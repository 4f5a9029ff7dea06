//! The peaks of folded hours, kept decoded: they never change, and every chart reads the same week again.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    model::{Flags, Hour, KeyId, Minute},
    store::{HourPeaks, Result, Store},
};

/// Keys whose peaks are kept: a week of one is about 90 kB.
const MOST_KEYS: usize = 256;
/// Hours of one key that are kept: a week, and one that is running.
const MOST_HOURS: u32 = 8 * 24;

/// Minutes of one key from a first one on, in columns. What nothing is known of is a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minutes {
    start: Minute,
    pub peaks: Vec<u32>,
    /// Bits of [`Flags`].
    pub flags: Vec<u8>,
    /// By how much late events may have raised each peak.
    pub raised: Vec<u32>,
}

/// What was read of folded hours.
#[derive(Debug, Default)]
pub struct FoldedPeaks {
    by_key: Mutex<HashMap<KeyId, Arc<Minutes>>>,
}

impl Minutes {
    /// Gaps in this range.
    pub fn gaps(minutes: &Range<Minute>) -> Self {
        let len = minutes.end.0.saturating_sub(minutes.start.0) as usize;
        Self { start: minutes.start, peaks: vec![0; len], flags: vec![Flags::GAP.0; len], raised: vec![0; len] }
    }

    fn range(&self) -> Range<Minute> {
        self.start..Minute(self.start.0 + self.peaks.len() as u32)
    }

    /// The levels that were surely reached.
    pub fn sure_peaks(&self) -> Vec<u32> {
        self.peaks.iter().zip(&self.raised).map(|(peak, raised)| peak.saturating_sub(*raised)).collect()
    }

    /// Takes over what of an hour lies in the range.
    pub fn put_hour(&mut self, hour: &HourPeaks) {
        let flags = hour.flags.each_ref().map(|flags| flags.0);
        self.put(hour.hour.first_minute(), &hour.peaks, &flags, &hour.raised);
    }

    /// Takes over what of other minutes lies in the range.
    fn put_minutes(&mut self, other: &Self) {
        self.put(other.start, &other.peaks, &other.flags, &other.raised);
    }

    fn put(&mut self, start: Minute, peaks: &[u32], flags: &[u8], raised: &[u32]) {
        let from = start.max(self.start);
        let to = Minute(start.0 + peaks.len() as u32).min(self.range().end);
        if from >= to {
            return;
        }
        let here = (from.0 - self.start.0) as usize..(to.0 - self.start.0) as usize;
        let there = (from.0 - start.0) as usize..(to.0 - start.0) as usize;
        self.peaks[here.clone()].copy_from_slice(&peaks[there.clone()]);
        self.flags[here.clone()].copy_from_slice(&flags[there.clone()]);
        self.raised[here].copy_from_slice(&raised[there]);
    }
}

impl FoldedPeaks {
    /// Puts the hours of a key in a range that is folded into `minutes`. Reads the store for what was not read before.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn put(&self, store: &dyn Store, key: KeyId, hours: Range<Hour>, minutes: &mut Minutes) -> Result<()> {
        if hours.start >= hours.end {
            return Ok(());
        }
        if hours.end.0 - hours.start.0 > MOST_HOURS {
            store.peaks(key, hours)?.iter().for_each(|hour| minutes.put_hour(hour));
            return Ok(());
        }
        let wanted = hours.start.first_minute()..hours.end.first_minute();
        let kept = self.kept(store, key, &wanted)?;
        let of = |minute: Minute| (minute.0 - kept.start.0) as usize;
        let part = of(wanted.start)..of(wanted.end);
        minutes.put(wanted.start, &kept.peaks[part.clone()], &kept.flags[part.clone()], &kept.raised[part]);
        Ok(())
    }

    /// Minutes that hold the wanted ones, which are whole hours.
    fn kept(&self, store: &dyn Store, key: KeyId, wanted: &Range<Minute>) -> Result<Arc<Minutes>> {
        let known = self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let of_known = known.as_ref().map(|known| known.range()).unwrap_or(wanted.start..wanted.start);
        if let Some(known) = &known
            && of_known.start <= wanted.start
            && wanted.end <= of_known.end
        {
            return Ok(known.clone());
        }
        let goes_on = of_known.start <= wanted.start && wanted.start < of_known.end;
        let unread = if goes_on { of_known.end } else { wanted.start };
        let mut minutes = Minutes::gaps(wanted);
        known.filter(|_| goes_on).iter().for_each(|known| minutes.put_minutes(known));
        store.peaks(key, unread.hour()..wanted.end.hour())?.iter().for_each(|hour| minutes.put_hour(hour));
        let kept = Arc::new(minutes);
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= MOST_KEYS && !by_key.contains_key(&key) {
            let any = by_key.keys().next().copied();
            any.and_then(|any| by_key.remove(&any));
        }
        by_key.insert(key, kept.clone());
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Key, KeyHour, Kind, Meter, Point, Project, Target},
        store::EmbeddedStore,
    };

    #[test]
    fn what_is_kept_is_what_the_store_holds() {
        let store = EmbeddedStore::in_memory().unwrap();
        let meter = Meter::new(Kind::Tts, "a/b", "", None).unwrap();
        let key = Key { project: Project::new("p").unwrap(), target: Target::Meter(meter) };
        let rows: Vec<_> = (100_u32..400)
            .filter(|hour| hour % 7 != 0)
            .map(|hour| {
                let mut row = KeyHour::gap();
                row.points[3] = Point { peak: hour, raised: hour % 3, covered: 60, ..Point::default() };
                (KeyId(1), Hour(hour), row)
            })
            .collect();
        store.put_hours(&[(KeyId(1), key)], &rows).unwrap();
        let kept = FoldedPeaks::default();
        for hours in [150..250, 160..255, 170..260, 100..200, 120..130, 130..399, 259..260, 300..300] {
            let hours = Hour(hours.start)..Hour(hours.end);
            // Minutes of the windows that are asked for begin and end within hours.
            let window = Minute(hours.start.first_minute().0 + 17)..Minute(hours.end.first_minute().0 + 9);
            let (mut read, mut expected) = (Minutes::gaps(&window), Minutes::gaps(&window));
            kept.put(&store, KeyId(1), hours.clone(), &mut read).unwrap();
            store.peaks(KeyId(1), hours.clone()).unwrap().iter().for_each(|hour| expected.put_hour(hour));
            assert_eq!(read, expected, "{hours:?}");
        }
    }
}
