//! What the roller finds of one tick, by key. Keys are numbered from 0, so that a table by number does what a map would.

use crate::model::{Entry, KeyId};

/// A table by key, which grows as it is needed.
#[derive(Debug, Default)]
pub(super) struct ByKey<V>(Vec<V>);

/// The entries of one tick.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Place of the key's entry in the list, from 1; 0 for none.
    places: ByKey<u32>,
    list: Vec<Entry>,
    /// They came in another order than that of keys.
    unsorted: bool,
}

/// What is used again: to be given fresh room each second costs more than all else.
#[derive(Debug, Default)]
pub(super) struct Room {
    places: Vec<u32>,
    list: Vec<Entry>,
}

impl<V: Clone + Default> ByKey<V> {
    pub fn with_len(keys: usize) -> Self {
        Self(vec![V::default(); keys])
    }

    pub fn get(&self, key: KeyId) -> Option<&V> {
        self.0.get(key.0 as usize)
    }

    pub fn entry(&mut self, key: KeyId) -> &mut V {
        let at = key.0 as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, V::default());
        }
        &mut self.0[at]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Entries {
    /// For so many keys, in the room that is given.
    pub fn in_room(keys: usize, mut room: Room) -> Self {
        room.places.clear();
        room.places.resize(keys, 0);
        Self { places: ByKey(room.places), list: room.list, unsorted: false }
    }

    pub fn get_mut(&mut self, key: KeyId) -> Option<&mut Entry> {
        let place = *self.places.get(key)? as usize;
        self.list.get_mut(place.checked_sub(1)?)
    }

    /// The entry of a key; of one that has none, at this level with nothing else to tell.
    pub fn entry(&mut self, key: KeyId, level: u32) -> &mut Entry {
        let place = self.places.entry(key);
        if *place == 0 {
            self.unsorted |= self.list.last().is_some_and(|last| last.key > key.0);
            self.list.push(Entry { key: key.0, peak: level, level, ..Entry::default() });
            *place = self.list.len() as u32;
        }
        &mut self.list[*place as usize - 1]
    }

    /// One more than the greatest key that may have an entry.
    pub fn keys(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order of keys; the rest of the room is left in `room`.
    pub fn into_sorted(mut self, room: &mut Room) -> Vec<Entry> {
        let list = if self.unsorted {
            let places = self.places.0.iter().filter_map(|place| (*place as usize).checked_sub(1));
            places.map(|at| std::mem::take(&mut self.list[at])).collect()
        } else {
            self.list
        };
        if self.places.0.capacity() > room.places.capacity() {
            room.places = self.places.0;
        }
        list
    }
}

impl Room {
    /// Takes the entries of a frame that is done with.
    pub fn reuse(&mut self, mut list: Vec<Entry>) {
        if list.capacity() > self.list.capacity() {
            list.clear();
            self.list = list;
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_keys() {
        let mut entries = Entries::default();
        entries.entry(KeyId(9), 4).opened = 1;
        entries.entry(KeyId(2), 5).opened = 2;
        entries.entry(KeyId(9), 7).opened += 2;
        assert!(entries.get_mut(KeyId(3)).is_none() && entries.get_mut(KeyId(99)).is_none());
        let told: Vec<_> = entries
            .into_sorted(&mut Room::default())
            .iter()
            .map(|entry| (entry.key, entry.level, entry.opened))
            .collect();
        assert_eq!(told, [(2, 5, 2), (9, 4, 3)]);
    }
}
