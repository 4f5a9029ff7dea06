//! Backup and restore: a copy is written under another name, made durable, and then renamed, so that a file with the
//! right name is always whole.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, Key, ReadTransaction, TableDefinition, Value};

use super::{
    check,
    fault::{Fallible, Fault},
    open,
    tables::{self, AUDIT, DOCUMENTS, FRAMES, HOURS, KEYS, LIMITS, META, NOTES, SUMMARIES, WORKERS},
};
use crate::store::{EmbeddedStore, Result, Store, StoreError, content::INTERRUPTED};

/// What a copy is called until it is whole.
const UNFINISHED: &str = ".unfinished";
/// Rows that one transaction of a copy takes, which bounds its memory.
const ROWS_AT_ONCE: usize = 50_000;

/// A copy that is being written.
pub struct Copy {
    database: Database,
}

/// Writes into a copy what tells of it.
pub type Tell<'a> = dyn FnMut(&Arc<dyn Store>) -> Result<()> + 'a;

/// Copies the store in a file to a file that is not there yet, also while a service writes it.
///
/// # Errors
/// `Unavailable` when the source can't be read or is a copy that was interrupted, or the target is there or can't be written; `Damaged` when a row can't
/// be read; `Format` when a newer version wrote it.
pub fn backup_file(from: &Path, to: &Path) -> Result<()> {
    let name = from.display().to_string();
    let failed = |fault: Fault| open::named(&name, fault.error);
    let source = open::open_file_read_only(from).map_err(failed)?;
    let transaction = source.begin_read().map_err(failed)?;
    if check::is_unfinished(&transaction).map_err(failed)? {
        return Err(StoreError::Unavailable(format!("{name}: {INTERRUPTED}")));
    }
    copy_to(to, |copy| copy.take(&transaction).map_err(failed))
}

/// Makes a backup the store. The backup is checked before. A store that is there already is kept unless `replace` says
/// otherwise, and is never taken from a service that has it open. `tell` writes into the copy what tells of it, before the
/// copy is the store: there is none that does not tell.
///
/// # Errors
/// `Unavailable` when there is a store that is in use or not to be replaced, or a file can't be read or written;
/// `Damaged` when the backup is not whole; `Format` when a newer version wrote it. What `tell` says.
pub fn restore(from: &Path, to: &Path, replace: bool, tell: &mut Tell<'_>) -> Result<()> {
    let unfinished = unfinished(to);
    let restored = restore_by(from, to, &unfinished, replace, tell);
    if restored.is_err() {
        // A copy that was begun is of no use; that it can't be removed changes nothing.
        let _ = fs::remove_file(&unfinished);
    }
    restored.map_err(|fault| open::named(&to.display().to_string(), fault.error))
}

fn restore_by(from: &Path, to: &Path, unfinished: &Path, replace: bool, tell: &mut Tell<'_>) -> Fallible<()> {
    let existing = to.try_exists()?;
    if existing && !replace {
        return Err(Fault::unavailable("there is a store already"));
    }
    // Held until the rename, so that no service opens the store that is to go.
    let _held = if existing { hold(to)? } else { None };
    open::create(unfinished)?;
    let mut source = fs::File::open(from).map_err(|error| from_error(from, &error))?;
    let mut target = fs::OpenOptions::new().write(true).truncate(true).open(unfinished)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()?;
    drop(target);
    // The copy is checked, not the backup: a check may repair, and a backup stays as it is.
    let report = check(unfinished)?;
    if let Some(problem) = report.problems.first() {
        return Err(Fault::damaged(format!("the backup {} is not whole: {problem}", from.display())));
    }
    let copy: Arc<dyn Store> = Arc::new(EmbeddedStore::open(unfinished)?);
    tell(&copy)?;
    drop(copy);
    rename(unfinished, to)?;
    Ok(())
}

/// Opens the store that is to be replaced, so that nobody else can. One that is damaged can't be opened, nor used.
fn hold(path: &Path) -> Fallible<Option<Database>> {
    match open::open_existing(path) {
        Ok(database) => Ok(Some(database)),
        Err(Fault { error: StoreError::Damaged(_), .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Makes the file `to` by what `work` puts into a copy.
pub fn copy_to(to: &Path, work: impl FnOnce(&Copy) -> Result<()>) -> Result<()> {
    let name = to.display().to_string();
    let named = |fault: Fault| open::named(&name, fault.error);
    let unfinished = unfinished(to);
    let copy = begin(to, &unfinished).map_err(named)?;
    let done = work(&copy).and_then(|()| end(copy, &unfinished, to).map_err(named));
    if done.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    done
}

fn begin(to: &Path, unfinished: &Path) -> Fallible<Copy> {
    if to.try_exists()? {
        return Err(Fault::unavailable("it is there already; a backup overwrites nothing"));
    }
    // What an interrupted backup left.
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    open::create(unfinished)?;
    Ok(Copy { database: open::builder().create(unfinished)? })
}

fn end(copy: Copy, unfinished: &Path, to: &Path) -> Fallible<()> {
    copy.database.close()?;
    Ok(rename(unfinished, to)?)
}

impl Copy {
    /// Copies all tables of a snapshot.
    pub fn take(&self, from: &ReadTransaction) -> Fallible<()> {
        self.table(from, NOTES)?;
        self.table(from, KEYS)?;
        self.table(from, FRAMES)?;
        self.table(from, HOURS)?;
        self.table(from, SUMMARIES)?;
        self.table(from, LIMITS)?;
        self.table(from, WORKERS)?;
        self.table(from, DOCUMENTS)?;
        self.table(from, AUDIT)?;
        // The format comes last: without it, a copy is not taken for a store.
        self.table(from, META)
    }

    fn table<K: Key, V: Value>(&self, from: &ReadTransaction, table: TableDefinition<'static, K, V>) -> Fallible<()> {
        // A copy of a store of an older format is upgraded when it is opened, as that store would be.
        let Some(source) = tables::added(from, table)? else { return Ok(()) };
        let mut rows = redb::ReadableTable::iter(&source)?;
        let mut more = true;
        while more {
            tables::write(&self.database, |transaction| {
                let mut target = transaction.open_table(table)?;
                for _ in 0..ROWS_AT_ONCE {
                    let Some(row) = rows.next() else {
                        more = false;
                        break;
                    };
                    let (key, value) = row?;
                    target.insert(key.value(), value.value())?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    open::sync_directory(open::parent(to))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(UNFINISHED);
    name.into()
}

fn from_error(path: &Path, error: &io::Error) -> Fault {
    Fault::unavailable(format!("{}: {error}", path.display()))
}
