//! A naive ledger of who holds what, which the engine must agree with.

use std::collections::{BTreeMap, BTreeSet};

use highwater::model::Incarnation;

/// The naive ledger: what is held by whom, and every rise and fall of every level with the second it fell in.
#[derive(Default)]
pub struct Ledger {
    pub held: BTreeMap<(Incarnation, u8), usize>,
    /// Ids that ended, or whose end came first: nothing brings them back.
    pub ended: BTreeSet<(Incarnation, u8)>,
    pub overtook: BTreeSet<(Incarnation, u8)>,
    pub deadlines: BTreeMap<Incarnation, u64>,
    pub moves: Vec<(u64, usize, i64)>,
    pub opened: u64,
}

impl Ledger {
    pub fn open(&mut self, tick: u64, who: Incarnation, id: u8, meter: usize) {
        if self.overtook.remove(&(who, id)) {
            self.moves.extend([(tick, meter, 1), (tick, meter, -1)]);
            self.opened += 1;
            self.ended.insert((who, id));
        } else if !self.ended.contains(&(who, id)) && !self.held.contains_key(&(who, id)) {
            self.held.insert((who, id), meter);
            self.moves.push((tick, meter, 1));
            self.opened += 1;
        }
    }

    pub fn close(&mut self, tick: u64, who: Incarnation, id: u8) {
        if let Some(meter) = self.held.remove(&(who, id)) {
            self.moves.push((tick, meter, -1));
            self.ended.insert((who, id));
        } else if !self.ended.contains(&(who, id)) {
            self.overtook.insert((who, id));
        }
    }

    pub fn end_all(&mut self, tick: u64, who: Incarnation) {
        let ids: Vec<_> = self.held.keys().filter(|(held_by, _)| *held_by == who).copied().collect();
        for key in ids {
            let meter = self.held.remove(&key).unwrap();
            self.moves.push((tick, meter, -1));
        }
        self.deadlines.remove(&who);
    }
}
