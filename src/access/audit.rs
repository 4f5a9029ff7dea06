//! The audit log: a row for every decision. Each holds the hash of the one before, so that none can be changed, left out
//! or put in between without the rest telling.

use std::fmt;

use prost::Message;
use sha2::{Digest, Sha256};

use crate::model::Time;

/// Longest text of what was before and after, in bytes; the rest is cut.
const MAX_STATE_BYTES: usize = 2_048;

/// SHA-256 of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

/// Who did what to what. The texts hold no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Id of the key that it was done with; `dev` or `offline` where there was none.
    pub actor: String,
    /// Role of that key; empty where there was none.
    pub role: String,
    /// Where it came from; empty when it was done at the store itself.
    pub address: String,
    /// What was done: `limit.set`, `key.create`.
    pub action: String,
    /// The project that it is about; empty when it is about none.
    pub project: String,
    /// What it was done to: a target, a key's id.
    pub object: String,
    pub before: String,
    pub after: String,
    /// What the client called its request, if it did.
    pub request_id: String,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub seq: u64,
    pub time: Time,
    pub entry: Entry,
    pub previous: Hash,
    pub hash: Hash,
}

#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(uint64, tag = "1")]
    seq: u64,
    /// Microseconds since the Unix epoch.
    #[prost(uint64, tag = "2")]
    time: u64,
    #[prost(string, tag = "3")]
    actor: String,
    #[prost(string, tag = "4")]
    role: String,
    #[prost(string, tag = "5")]
    address: String,
    #[prost(string, tag = "6")]
    action: String,
    #[prost(string, tag = "7")]
    project: String,
    #[prost(string, tag = "8")]
    object: String,
    #[prost(string, tag = "9")]
    before: String,
    #[prost(string, tag = "10")]
    after: String,
    #[prost(string, tag = "11")]
    request_id: String,
    #[prost(bytes = "vec", tag = "12")]
    previous: Vec<u8>,
    /// SHA-256 of the row as it is encoded without this field.
    #[prost(bytes = "vec", tag = "13")]
    hash: Vec<u8>,
}

impl Row {
    fn hash(&self) -> Hash {
        let unhashed = Self { hash: Vec::new(), ..self.clone() };
        Hash(Sha256::digest(unhashed.encode_to_vec()).into())
    }
}

impl AuditRow {
    /// The row that follows one of hash `previous`.
    pub fn after(seq: u64, previous: Hash, time: Time, entry: Entry) -> Self {
        let entry = Entry { before: cut(entry.before), after: cut(entry.after), ..entry };
        let mut row = Self { seq, time, entry, previous, hash: Hash::default() };
        row.hash = row.to_row().hash();
        row
    }

    pub fn encode(&self) -> Vec<u8> {
        Row { hash: self.hash.0.to_vec(), ..self.to_row() }.encode_to_vec()
    }

    fn to_row(&self) -> Row {
        let entry = self.entry.clone();
        Row {
            seq: self.seq,
            time: self.time.0,
            actor: entry.actor,
            role: entry.role,
            address: entry.address,
            action: entry.action,
            project: entry.project,
            object: entry.object,
            before: entry.before,
            after: entry.after,
            request_id: entry.request_id,
            previous: self.previous.0.to_vec(),
            hash: Vec::new(),
        }
    }

    /// `None` when the bytes are no row.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let row = Row::decode(bytes).ok()?;
        Some(Self {
            seq: row.seq,
            time: Time(row.time),
            previous: Hash(row.previous.as_slice().try_into().ok()?),
            hash: Hash(row.hash.as_slice().try_into().ok()?),
            entry: Entry {
                actor: row.actor,
                role: row.role,
                address: row.address,
                action: row.action,
                project: row.project,
                object: row.object,
                before: row.before,
                after: row.after,
                request_id: row.request_id,
            },
        })
    }

    /// Whether the row is as it was written.
    pub fn is_whole(&self) -> bool {
        self.to_row().hash() == self.hash
    }
}

/// Follows the chain through the rows, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    last: Option<(u64, Hash)>,
    pub rows: u64,
}

impl Verifier {
    /// The number and hash of the row that was taken last.
    pub fn head(&self) -> Option<(u64, Hash)> {
        self.last
    }

    /// Takes the next row, stored under `number`.
    ///
    /// # Errors
    /// What is wrong with it. The log is not to be trusted from there on.
    pub fn take(&mut self, number: u64, bytes: &[u8]) -> Result<(), String> {
        let row = AuditRow::decode(bytes).ok_or_else(|| format!("row {number} can't be read"))?;
        if row.seq != number {
            return Err(format!("row {number} was written as row {}", row.seq));
        }
        if !row.is_whole() {
            return Err(format!("row {number} was changed: its hash is not that of what it says"));
        }
        if let Some((last, hash)) = self.last {
            if number != last + 1 {
                return Err(format!("rows are missing between {last} and {number}"));
            }
            if row.previous != hash {
                return Err(format!("row {number} does not follow row {last}: one of them was put there later"));
            }
        } else if number == 0 && row.previous != Hash::default() {
            return Err("row 0 follows another: rows before it were removed".to_owned());
        }
        self.last = Some((number, row.hash));
        self.rows += 1;
        Ok(())
    }

    /// Whether the rows that were taken go on to the end of the log, where row `next` comes: the last row is always kept.
    ///
    /// # Errors
    /// Which rows are missing.
    pub fn end(&self, next: u64) -> Result<(), String> {
        match self.last {
            Some((last, _)) if last + 1 != next => Err(format!("rows are missing between {last} and {next}, the end")),
            None if next > 0 => Err(format!("rows are missing before {next}, the end: there is none")),
            _ => Ok(()),
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_STATE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_STATE_BYTES));
        text.push('…');
    }
    text
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chain(count: u64) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        for seq in 0..count {
            let previous = rows.last().map(|row| row.hash).unwrap_or_default();
            let entry = Entry { actor: "kim".to_owned(), object: format!("key {seq}"), ..Entry::default() };
            rows.push(AuditRow::after(seq, previous, Time::from_secs(seq), entry));
        }
        rows
    }

    fn verify(rows: &[AuditRow]) -> Result<u64, String> {
        let mut verifier = Verifier::default();
        rows.iter().try_for_each(|row| verifier.take(row.seq, &row.encode()))?;
        Ok(verifier.rows)
    }

    #[test]
    fn an_untouched_chain_is_whole_also_without_its_oldest_rows() {
        let rows = chain(5);
        assert_eq!(AuditRow::decode(&rows[3].encode()).unwrap(), rows[3]);
        assert_eq!(verify(&rows), Ok(5));
        assert_eq!(verify(&rows[2..]), Ok(3));
    }

    #[test]
    fn whatever_is_done_to_a_row_is_told() {
        let rows = chain(5);
        let mut changed = rows.clone();
        changed[2].entry.actor = "lee".to_owned();
        assert!(verify(&changed).unwrap_err().contains("row 2 was changed"));
        // Also where its own hash was made anew.
        changed[2] = AuditRow::after(2, rows[1].hash, changed[2].time, changed[2].entry.clone());
        assert!(verify(&changed).unwrap_err().contains("row 3 does not follow row 2"));
        let mut missing = rows.clone();
        missing.remove(2);
        assert!(verify(&missing).unwrap_err().contains("missing between 1 and 3"));
        let moved = AuditRow::after(0, rows[0].hash, Time(0), Entry::default());
        assert!(verify(&[moved]).unwrap_err().contains("removed"));
        let mut verifier = Verifier::default();
        assert!(verifier.take(1, &rows[0].encode()).unwrap_err().contains("written as row 0"));
        assert!(verifier.take(0, b"\xff").unwrap_err().contains("can't be read"));
        assert_eq!(verifier.end(0), Ok(()));
        assert!(verifier.end(7).unwrap_err().contains("there is none"));
        verifier.take(0, &rows[0].encode()).unwrap();
        assert_eq!(verifier.end(1), Ok(()));
        assert!(verifier.end(3).unwrap_err().contains("missing between 0 and 3"));
    }
}
