//! The peaks of folded hours, kept decoded: they never change, and every chart reads the same week again.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    model::{Hour, KeyId},
    store::{HourPeaks, Result, Store},
};

/// Keys whose peaks are kept: a week of one is about 50 kB.
const MOST_KEYS: usize = 256;
/// Hours of one key that are kept: a week, and one that is running.
const MOST_HOURS: u32 = 8 * 24;

/// Hours of one key, all that there are in the range.
#[derive(Clone, Debug, Default)]
struct Kept {
    hours: Range<u32>,
    rows: Vec<HourPeaks>,
}

/// What was read of folded hours.
#[derive(Debug, Default)]
pub struct FoldedPeaks {
    by_key: Mutex<HashMap<KeyId, Arc<Kept>>>,
}

impl FoldedPeaks {
    /// Gives `each` the hours of a key in a range that is folded, by hour. Reads the store for what was not read before.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn each(
        &self,
        store: &dyn Store,
        key: KeyId,
        hours: Range<Hour>,
        each: &mut dyn FnMut(&HourPeaks),
    ) -> Result<()> {
        if hours.start >= hours.end {
            return Ok(());
        }
        if hours.end.0 - hours.start.0 > MOST_HOURS {
            store.peaks(key, hours)?.iter().for_each(each);
            return Ok(());
        }
        let kept = self.kept(store, key, &hours)?;
        kept.rows.iter().filter(|row| hours.contains(&row.hour)).for_each(each);
        Ok(())
    }

    fn kept(&self, store: &dyn Store, key: KeyId, hours: &Range<Hour>) -> Result<Arc<Kept>> {
        let known = self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default();
        if known.hours.start <= hours.start.0 && hours.end.0 <= known.hours.end {
            return Ok(known);
        }
        let goes_on = known.hours.start <= hours.start.0 && hours.start.0 < known.hours.end;
        let kept = Arc::new(if goes_on {
            let mut rows: Vec<_> = known.rows.iter().filter(|row| row.hour >= hours.start).cloned().collect();
            rows.extend(store.peaks(key, Hour(known.hours.end)..hours.end)?);
            Kept { hours: hours.start.0..hours.end.0, rows }
        } else {
            Kept { hours: hours.start.0..hours.end.0, rows: store.peaks(key, hours.clone())? }
        });
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
                row.points[3] = Point { peak: hour, covered: 60, ..Point::default() };
                (KeyId(1), Hour(hour), row)
            })
            .collect();
        store.put_hours(&[(KeyId(1), key)], &rows).unwrap();
        let kept = FoldedPeaks::default();
        for hours in [150..250, 160..255, 170..260, 100..200, 120..130, 130..399, 259..260, 300..300] {
            let hours = Hour(hours.start)..Hour(hours.end);
            let mut read = Vec::new();
            kept.each(&store, KeyId(1), hours.clone(), &mut |row| read.push(row.clone())).unwrap();
            assert_eq!(read, store.peaks(KeyId(1), hours.clone()).unwrap(), "{hours:?}");
        }
    }
}
