//! The sessions of one connection, the same for everyone: each step ends a random one that is live and begins a new one.

use highwater::{
    model::Kind,
    proto::{Meter, MeterDeclaration},
};

/// Meters that sessions are spread over.
pub const METERS: u32 = 100;

/// Id and meter of a session.
#[derive(Clone, Copy)]
pub struct Session {
    pub id: [u8; 16],
    /// 1 to `METERS`.
    pub meter: u32,
}

pub struct Fleet {
    live: Vec<Session>,
    noise: u64,
}

impl Fleet {
    pub fn new(seed: usize) -> Self {
        Self { live: Vec::new(), noise: seed as u64 + 1 }
    }

    /// splitmix64: even, and the same in every run.
    fn random(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.noise ^ (self.noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A session begins.
    pub fn begin(&mut self) -> Session {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random().to_le_bytes());
        id[8..].copy_from_slice(&self.random().to_le_bytes());
        let session = Session { id, meter: (self.random() % u64::from(METERS)) as u32 + 1 };
        self.live.push(session);
        session
    }

    /// One that is live ends, whichever.
    pub fn end(&mut self) -> Session {
        let at = self.random() as usize % self.live.len();
        self.live.swap_remove(at)
    }
}

/// A session a batch begins and one ends, in turn: whether it begins, and which.
pub fn steps(fleet: &mut Fleet, events: usize) -> impl Iterator<Item = (bool, Session)> + '_ {
    (0..events).map(|nth| if nth % 2 == 0 { (false, fleet.end()) } else { (true, fleet.begin()) })
}

/// The meter of this number.
pub fn meter(number: u32) -> Meter {
    let kind = [Kind::Llm, Kind::Stt, Kind::Tts][number as usize % 3] as i32;
    Meter { kind, model: format!("bench/model-{number:03}"), ..Meter::default() }
}

/// All of them, each with its number as its handle.
pub fn declarations() -> Vec<MeterDeclaration> {
    (1..=METERS).map(|handle| MeterDeclaration { handle, meter: Some(meter(handle)) }).collect()
}
