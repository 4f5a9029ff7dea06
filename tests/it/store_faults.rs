//! The embedded store when things go wrong: a disk that fails or loses what was not synced, a file that is in use,
//! damaged or too new; and backup, restore and check.
#![allow(clippy::unwrap_used)]

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use highwater::{
    history::pack,
    model::{Hour, KeyId},
    store::{Change, EmbeddedStore, Second, Shelf, Store, StoreError, embedded},
};
use redb::StorageBackend;

use crate::store_contract::{frame, key_hour, keys};

/// A disk in memory that fails when it is told to, and can lose what was not synced.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    bytes: Vec<u8>,
    /// What is there after the power was cut.
    synced: Vec<u8>,
    /// Writes and syncs since the start.
    writes: u64,
    /// The write from which on all fail.
    fails_from: Option<u64>,
}

impl Disk {
    pub fn fail_from(&self, write: Option<u64>) {
        self.0.lock().unwrap().fails_from = write;
    }

    pub fn writes(&self) -> u64 {
        self.0.lock().unwrap().writes
    }

    /// The same disk after the power was cut: a part of what was not synced is there. A page that was written may be
    /// there or not, each page by itself.
    fn after_power_cut(&self, seed: u64) -> Self {
        const PAGE: usize = 4_096;
        let state = self.0.lock().unwrap();
        let mut bytes = state.synced.clone();
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for (at, page) in state.bytes.chunks(PAGE).enumerate() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random & 1 == 1 {
                let end = at * PAGE + page.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[at * PAGE..end].copy_from_slice(page);
            }
        }
        Self(Arc::new(Mutex::new(DiskState { synced: bytes.clone(), bytes, ..DiskState::default() })))
    }

    pub fn open(&self) -> Result<EmbeddedStore, StoreError> {
        let disk = self.clone();
        EmbeddedStore::with_backend("disk", move || disk.clone())
    }
}

impl DiskState {
    fn step(&mut self) -> io::Result<()> {
        self.writes += 1;
        if self.fails_from.is_some_and(|from| self.writes > from) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let from = offset as usize;
        out.copy_from_slice(state.bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.synced = state.bytes.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        let from = offset as usize;
        state.bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// A second in which three frames are written, so that half a second would show.
fn second(n: u64) -> Second {
    Second { frames: (0..3).map(|i| frame(n * 3 + i)).collect(), ..Second::default() }
}

/// How many whole seconds there are; fails when there is half a one, or one is missing before another.
fn whole_seconds(store: &dyn Store) -> u64 {
    let frames = store.frames().unwrap();
    assert!((0..).zip(&frames).all(|(tick, found)| *found == frame(tick)), "{frames:?}");
    assert_eq!(frames.len() % 3, 0, "half a second");
    frames.len() as u64 / 3
}

#[test]
fn a_disk_that_fails_at_any_write_loses_nothing_and_heals() {
    let disk = Disk::default();
    disk.open().unwrap();
    let start = disk.writes();
    for failing in 0..40 {
        let disk = Disk::default();
        let store = disk.open().unwrap();
        disk.fail_from(Some(start + failing));
        let mut committed = 0;
        let error = loop {
            match store.commit(&second(committed)) {
                Ok(()) => committed += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        for _ in 0..3 {
            let error = store.commit(&second(committed)).unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        disk.fail_from(None);
        // Opening again waits a little after it failed; the service tries again each second.
        let healed = (0..100).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            store.commit(&second(committed)).ok()
        });
        assert!(healed.is_some(), "failing at write {failing}, it did not heal");
        assert_eq!(whole_seconds(&store), committed + 1);
        drop(store);
        assert_eq!(whole_seconds(&disk.open().unwrap()), committed + 1);
    }
}

#[test]
fn power_cut_at_any_write_leaves_the_last_second_whole() {
    for cut in 0..80 {
        let disk = Disk::default();
        let store = disk.open().unwrap();
        store.commit(&second(0)).unwrap();
        disk.fail_from(Some(disk.writes() + cut));
        let mut committed = 1;
        while committed < 20 && store.commit(&second(committed)).is_ok() {
            committed += 1;
        }
        // From here on, nothing that the store still does reaches the disk.
        let after = disk.after_power_cut(cut);
        let found = whole_seconds(&after.open().unwrap());
        // What was being committed may be there, as a whole.
        assert!(found == committed || found == committed + 1, "{committed} were committed, {found} are there");
    }
}

#[test]
fn a_store_that_was_not_closed_opens_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = EmbeddedStore::open(&path).unwrap();
    let rows: Vec<_> = (0..3_000).map(|hour| (KeyId(1), Hour(hour), key_hour(hour))).collect();
    store.put_hours(&keys(), &rows).unwrap();
    // The file as a killed service leaves it.
    let killed = directory.path().join("killed.redb");
    fs::copy(&path, &killed).unwrap();
    let store = EmbeddedStore::open(&killed).unwrap();
    assert_eq!(store.hours(KeyId(1), Hour(2_990)..Hour(3_000)).unwrap().len(), 10);
    drop(store);
    // One row is damaged, one that only a look at all pages comes by: opening goes on, so it did not look at all; a check
    // does, and says so.
    fs::copy(&path, &killed).unwrap();
    let mut bytes = fs::read(&killed).unwrap();
    let row = pack(&key_hour(5));
    let places: Vec<_> = (0..bytes.len() - row.len()).filter(|at| bytes[*at..].starts_with(&row)).collect();
    assert!(!places.is_empty(), "the row is in the file as it is packed");
    for at in places {
        bytes[at..at + row.len()].fill(0xa5);
    }
    fs::write(&killed, &bytes).unwrap();
    let store = EmbeddedStore::open(&killed).unwrap();
    assert_eq!(store.hours(KeyId(1), Hour(2_990)..Hour(3_000)).unwrap().len(), 10);
    drop(store);
    fs::write(&killed, &bytes).unwrap();
    assert_ne!(embedded::check(&killed).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_store_in_use_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/deep/store.redb");
    let store = EmbeddedStore::open(&path).unwrap();
    let in_use = format!("store: {}: in use by another highwater", path.display());
    assert_eq!(EmbeddedStore::open(&path).unwrap_err().to_string(), in_use);
    assert_eq!(embedded::check(&path).unwrap_err().to_string(), in_use);
    drop(store);
    EmbeddedStore::open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("new/store.redb"), directory.path().join("copy.redb"));
    EmbeddedStore::open(&path).unwrap().backup(&copy).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&copy)), (0o600, 0o600));
}

#[test]
fn readers_see_what_a_service_commits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    EmbeddedStore::open_read_only(&path).unwrap_err();
    let store = EmbeddedStore::open(&path).unwrap();
    let reader = EmbeddedStore::open_read_only(&path).unwrap();
    for n in 0..3 {
        store.commit(&second(n)).unwrap();
        assert_eq!(whole_seconds(&reader), n + 1);
    }
    let error = reader.commit(&second(3)).unwrap_err();
    assert!(error.to_string().contains("open for reading alone"), "{error}");
}

#[test]
fn a_backup_of_a_running_service_is_whole_and_can_be_restored() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = EmbeddedStore::open(&path("store")).unwrap();
    store.put_hours(&keys(), &[(KeyId(1), Hour(10), key_hour(4))]).unwrap();
    store.set_note("simulation", "yes").unwrap();
    store.commit(&second(0)).unwrap();
    store.backup(&path("inside")).unwrap();
    embedded::backup_file(&path("store"), &path("beside")).unwrap();
    store.commit(&second(1)).unwrap();

    for backup in ["inside", "beside"] {
        let error = store.backup(&path(backup)).unwrap_err();
        assert!(error.to_string().contains("overwrites nothing"), "{error}");
        let report = embedded::check(&path(backup)).unwrap();
        assert_eq!((report.keys, report.frames, report.hours, report.summaries), (4, 3, 1, 1));
        assert_eq!(report.problems, Vec::<String>::new());
        embedded::restore(&path(backup), &path("restored"), backup == "beside", &mut |_| Ok(())).unwrap();
        let restored = EmbeddedStore::open(&path("restored")).unwrap();
        assert_eq!(whole_seconds(&restored), 1);
        assert_eq!(restored.hours(KeyId(1), Hour(0)..Hour(99)).unwrap(), [(Hour(10), key_hour(4))]);
        assert_eq!(restored.note("simulation").unwrap().as_deref(), Some("yes"));
    }
    let refused =
        |replace| embedded::restore(&path("inside"), &path("store"), replace, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(refused(false).contains("there is a store already"), "{}", refused(false));
    assert!(refused(true).contains("in use by another highwater"), "{}", refused(true));
    assert_eq!(whole_seconds(&store), 2);
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn what_is_no_store_or_damaged_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::write(&path, "not a store, and longer than any header of one is to be ".repeat(99)).unwrap();
    let error = EmbeddedStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    assert_ne!(embedded::check(&path).unwrap().problems, Vec::<String>::new());

    fs::remove_file(&path).unwrap();
    let store = EmbeddedStore::open(&path).unwrap();
    let rows: Vec<_> = (0..500).map(|hour| (KeyId(1), Hour(hour), key_hour(hour))).collect();
    store.put_hours(&keys(), &rows).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    assert_eq!(embedded::check(&path).unwrap().problems, Vec::<String>::new());
    // Single pages that the disk lost: a check says so, and none of them makes it panic.
    let mut found = 0;
    for page in 1..whole.len() / 4_096 {
        let mut damaged = whole.clone();
        damaged[page * 4_096 + 16..][..64].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        found += usize::from(embedded::check(&path).map_or(true, |report| !report.problems.is_empty()));
        let restored = directory.path().join("restored");
        if embedded::restore(&path, &restored, true, &mut |_| Ok(())).is_ok() {
            let hours = EmbeddedStore::open(&restored).unwrap().hours(KeyId(1), Hour(0)..Hour(500)).unwrap();
            assert_eq!(hours.len(), 500, "a damaged backup was restored");
        }
    }
    assert!(found > 10, "{found} damages were found");
}

#[test]
fn a_store_of_the_first_format_is_upgraded_and_keeps_what_it_has() {
    let disk = Disk::default();
    disk.open().unwrap().commit(&Second { new_keys: keys(), frames: vec![frame(7)], ..Second::default() }).unwrap();
    let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.delete_table(redb::TableDefinition::<(u8, &str), &[u8]>::new("documents")).unwrap();
    transaction.delete_table(redb::TableDefinition::<u64, &[u8]>::new("audit")).unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = disk.open().unwrap();
    assert_eq!((store.keys().unwrap(), store.frames().unwrap()), (keys(), vec![frame(7)]));
    store.change(&Change { audit: vec![b"first".to_vec()], ..Change::default() }).unwrap();
    assert_eq!((store.documents(Shelf::ApiKeys).unwrap(), store.audit_end().unwrap()), (vec![], 1));
}

#[test]
fn a_newer_format_is_refused() {
    let disk = Disk::default();
    disk.open().unwrap();
    let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = disk.open().unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 9, known: 2 }), "{error:?}");
}
