//! The tables of the embedded store, and how its transactions are made.
//!
//! The hours of one key lie beside each other, so that a chart reads few pages.

use redb::{
    Database, Durability, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value,
    WriteTransaction,
};

use super::fault::{Fallible, Fault};
use crate::model::session::ID_BYTES;

/// The format that is written. A store of an older one is upgraded when it is opened; a newer one is refused.
pub const FORMAT: u64 = 2;

/// Where a row of hours, summaries or limits is: by the key's number, and the hour or the order.
pub type Place = (u32, u32);

/// Numbers by name: [`FORMAT_ROW`], [`FOLDED_UNTIL_ROW`], [`AUDIT_END_ROW`] and [`KEYS_END_ROW`].
pub const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub const FORMAT_ROW: &str = "format";
pub const FOLDED_UNTIL_ROW: &str = "folded_until";
/// Number of the audit row that comes next, also when the rows before it were dropped.
pub const AUDIT_END_ROW: &str = "audit_end";

/// A number above those of keys that were removed; it is not there while none was.
pub const KEYS_END_ROW: &str = "keys_end";

/// Words by name.
pub const NOTES: TableDefinition<'_, &str, &str> = TableDefinition::new("notes");
/// Keys by number.
pub const KEYS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("keys");
/// Frames by second.
pub const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// Packed hours by key and hour.
pub const HOURS: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("hours");
/// Packed summaries by key and hour.
pub const SUMMARIES: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("summaries");
/// Decisions on limits by key and order.
pub const LIMITS: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("limits");
/// Attached workers: project and incarnation.
pub const WORKERS: TableDefinition<'_, (&str, &[u8; ID_BYTES]), ()> = TableDefinition::new("workers");
/// Documents by shelf and name.
pub const DOCUMENTS: TableDefinition<'_, (u8, &str), &[u8]> = TableDefinition::new("documents");
/// Rows of the audit log by number.
pub const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");

/// One way to upgrade a format, by the format that it upgrades: the first is from 1 to 2.
type Upgrade = fn(&WriteTransaction) -> Fallible<()>;
const UPGRADES: [Upgrade; FORMAT as usize - 1] = [add_documents];

/// From 1 to 2: documents and the audit log.
fn add_documents(transaction: &WriteTransaction) -> Fallible<()> {
    transaction.open_table(DOCUMENTS)?;
    transaction.open_table(AUDIT)?;
    Ok(())
}

/// Makes the tables of a new store, upgrades those of an older one, and refuses those of a newer one.
pub fn prepare(database: &Database) -> Fallible<()> {
    let Some(found) = format(database)? else {
        return write(database, |transaction| {
            transaction.open_table(NOTES)?;
            transaction.open_table(KEYS)?;
            transaction.open_table(FRAMES)?;
            transaction.open_table(HOURS)?;
            transaction.open_table(SUMMARIES)?;
            transaction.open_table(LIMITS)?;
            transaction.open_table(WORKERS)?;
            add_documents(transaction)?;
            transaction.open_table(META)?.insert(FORMAT_ROW, FORMAT)?;
            Ok(())
        });
    };
    check_format(found)?;
    for (from, upgrade) in (1..).zip(UPGRADES).skip_while(|(from, _)| *from < found) {
        write(database, |transaction| {
            upgrade(transaction)?;
            transaction.open_table(META)?.insert(FORMAT_ROW, from + 1)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// A table that stores of older formats do not have: those that are only read are not upgraded.
pub fn added<K: Key, V: Value>(
    transaction: &ReadTransaction,
    table: TableDefinition<'static, K, V>,
) -> Fallible<Option<ReadOnlyTable<K, V>>> {
    match transaction.open_table(table) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

/// The format of a store; `None` when it is new.
pub fn format(database: &impl ReadableDatabase) -> Fallible<Option<u64>> {
    match database.begin_read()?.open_table(META) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(table?.get(FORMAT_ROW)?.map(|row| row.value())),
    }
}

pub fn check_format(found: u64) -> Fallible<()> {
    if (1..=FORMAT).contains(&found) { Ok(()) } else { Err(Fault::format(found)) }
}

/// One durable step: all of `work`, or nothing. Committed in two phases, since users choose stored bytes, and with the
/// state that lets a store that was not closed open at once.
pub fn write<T>(database: &Database, work: impl FnOnce(&WriteTransaction) -> Fallible<T>) -> Fallible<T> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// The first rows of a range of keys and hours, as their keys.
pub fn first_rows(
    table: &impl ReadableTable<Place, &'static [u8]>,
    range: std::ops::Range<Place>,
    most: usize,
) -> Fallible<Vec<Place>> {
    table.range(range)?.take(most).map(|row| Ok(row?.0.value())).collect()
}
