//! The full check: every page of the file and every row in it. Takes as long as reading the store; a command does it,
//! and a restore.

use std::{collections::HashSet, path::Path};

use prost::Message;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::{
    fault::{Fallible, Fault, guarded},
    open, read,
    tables::{self, AUDIT, DOCUMENTS, FRAMES, HOURS, KEYS, LIMITS, SUMMARIES, WORKERS},
};
use crate::{
    access::audit::Verifier,
    history::{unpack, unpack_summary},
    model::{Frame, Project},
    store::{
        CheckReport, Result, StoreError,
        content::{INTERRUPTED, UNFINISHED, UNFINISHED_NOTE},
        rows,
    },
};

/// Most problems that are told in words; a damaged file has no end of them.
const MAX_PROBLEMS: usize = 100;

/// Checks the store in a file that no service has open.
///
/// # Errors
/// `Unavailable` when the file is in use or can't be read, `Format` when a newer version wrote it. What is damaged is
/// not an error but a problem of the report.
pub fn check(path: &Path) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    match guarded(|| check_file(path, &mut report)) {
        Ok(()) => Ok(report),
        Err(Fault { error: StoreError::Damaged(what), .. }) => {
            report.problems.push(what);
            Ok(report)
        }
        Err(fault) => Err(open::named(&path.display().to_string(), fault.error)),
    }
}

fn check_file(path: &Path, report: &mut CheckReport) -> Fallible<()> {
    let mut database = open::open_checked(path)?;
    if !database.check_integrity()? {
        report.problems.push("the file had to be repaired to its last whole state".to_owned());
    }
    let format = tables::format(&database)?.ok_or_else(|| Fault::damaged("there is no format in it"))?;
    tables::check_format(format)?;
    check_rows(&database.begin_read()?, report)
}

/// Whether it is a copy that was interrupted.
pub fn is_unfinished(transaction: &ReadTransaction) -> Fallible<bool> {
    Ok(read::note(transaction, UNFINISHED_NOTE)?.as_deref() == Some(UNFINISHED))
}

fn check_rows(transaction: &ReadTransaction, report: &mut CheckReport) -> Fallible<()> {
    if is_unfinished(transaction)? {
        report.problems.push(INTERRUPTED.to_owned());
    }
    let mut problems = Problems(&mut report.problems);
    let mut keys = HashSet::new();
    for row in transaction.open_table(KEYS)?.iter()? {
        let (id, bytes) = row?;
        keys.insert(id.value());
        problems.note(|| format!("key {}", id.value()), rows::decode_key(bytes.value()));
    }
    report.keys = keys.len() as u64;
    for row in transaction.open_table(FRAMES)?.iter()? {
        let (tick, bytes) = row?;
        report.frames += 1;
        problems.note(|| format!("frame {}", tick.value()), Frame::decode(bytes.value()));
    }
    for row in transaction.open_table(HOURS)?.iter()? {
        let (place, bytes) = row?;
        report.hours += 1;
        problems.row("hour", place.value(), &keys, unpack(bytes.value()));
    }
    for row in transaction.open_table(SUMMARIES)?.iter()? {
        let (place, bytes) = row?;
        report.summaries += 1;
        problems.row("summary", place.value(), &keys, unpack_summary(bytes.value()));
    }
    for row in transaction.open_table(LIMITS)?.iter()? {
        let (place, bytes) = row?;
        report.limits += 1;
        problems.row("limit", place.value(), &keys, rows::decode_limit(bytes.value()));
    }
    for row in transaction.open_table(WORKERS)?.iter()? {
        let place = row?.0;
        let (project, _) = place.value();
        problems.note(|| "a worker".to_owned(), Project::new(project));
    }
    if let Some(documents) = tables::added(transaction, DOCUMENTS)? {
        report.documents = documents.len()?;
    }
    if let Some(audit) = tables::added(transaction, AUDIT)? {
        report.audit = audit.len()?;
        let mut chain = Verifier::default();
        let mut whole = Ok(());
        for row in audit.iter()? {
            let (number, bytes) = row?;
            whole = whole.and_then(|()| chain.take(number.value(), bytes.value()));
        }
        let end = read::audit_end(transaction)?;
        let whole = whole.and_then(|()| chain.end(end));
        problems.note(|| "the audit log".to_owned(), whole);
    }
    Ok(())
}

struct Problems<'a>(&'a mut Vec<String>);

impl Problems<'_> {
    fn note<T, E: std::fmt::Display>(&mut self, what: impl FnOnce() -> String, result: std::result::Result<T, E>) {
        if let Err(error) = result
            && self.0.len() < MAX_PROBLEMS
        {
            self.0.push(format!("{}: {error}", what()));
        }
    }

    fn row<T, E: std::fmt::Display>(
        &mut self,
        kind: &str,
        (key, place): (u32, u32),
        keys: &HashSet<u32>,
        result: std::result::Result<T, E>,
    ) {
        let what = || format!("{kind} {place} of key {key}");
        self.note(what, result);
        self.note(what, if keys.contains(&key) { Ok(()) } else { Err("there is no such key") });
    }
}
