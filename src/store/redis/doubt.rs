//! Decisions whose answer was lost: Redis may have them, and what the writer remembers has not. Before anyone sees what is
//! there or writes more, the doubt ends: no late step is taken any more, and what is there is remembered. One that Redis
//! loses before that was seen by nobody, and whoever decided was told of an error: it is as if it had never been.

use std::sync::{MutexGuard, atomic::Ordering};

use super::{RedisStore, writer::Writer};
use crate::store::{Result, StoreError};

/// How a store stands.
pub struct Stand {
    /// The last step that it has, see [`Writer::reached`].
    pub reached: Option<u64>,
    /// Writing it again was cut off.
    pub unfinished: bool,
    audit_end: u64,
}

impl RedisStore {
    /// The writer, of a store that is whole, as it remembers it.
    pub(super) fn settled(&self) -> Result<MutexGuard<'_, Writer>> {
        let mut writer = self.writer()?;
        if writer.restoring {
            return Err(self.lost("what it lost is not all there again"));
        }
        if self.in_doubt.load(Ordering::Acquire) {
            self.settle(&mut writer)?;
        }
        Ok(writer)
    }

    /// Reads what decisions made, without a doubt and of the store as it was left: a Redis that lost some of it, or has not
    /// all of it again, has not decided otherwise.
    pub(super) fn as_left<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.writer.is_none() {
            return read();
        }
        // Held meanwhile, so that nothing is lost and written again between the read and the look.
        let writer = self.settled()?;
        let read = read()?;
        self.is_whole(&writer)?;
        Ok(read)
    }

    /// Where the log of decisions ends, likewise. It is asked each second: one command.
    pub(super) fn audit_end_as_left(&self) -> Result<u64> {
        if self.writer.is_none() {
            return self.read_audit_end();
        }
        let writer = self.settled()?;
        self.is_whole(&writer)
    }

    /// Takes a step that is in doubt until it is known whether it was taken.
    pub(super) fn decided<T>(
        &self,
        writer: &mut Writer,
        take: impl FnOnce(&mut Writer) -> Result<T>,
        remember: impl FnOnce(&mut Writer),
    ) -> Result<T> {
        self.in_doubt.store(true, Ordering::Release);
        let taken = take(writer);
        if taken.is_ok() {
            remember(writer);
        }
        if !matches!(taken, Err(StoreError::Unavailable(_))) {
            self.in_doubt.store(false, Ordering::Release);
        }
        taken
    }

    /// A step that is still on its way has an older fence when it arrives, and changes nothing.
    fn settle(&self, writer: &mut Writer) -> Result<()> {
        self.is_whole(writer)?;
        writer.renew(&self.link, &self.names)?;
        let read = self.read_mirror()?;
        // Nothing of it was read after a loss.
        self.is_whole(writer)?;
        writer.mirror.take_read(read);
        self.unlearn(|_| true);
        self.in_doubt.store(false, Ordering::Release);
        tracing::warn!(store = self.link.name(), "the answer to a decision was lost: what is stored holds");
        Ok(())
    }

    /// Whether the store has all that the writer wrote; where its log of decisions ends.
    fn is_whole(&self, writer: &Writer) -> Result<u64> {
        match self.stands(writer)? {
            Stand { reached: Some(reached), unfinished: false, audit_end } if writer.has_all(reached) => Ok(audit_end),
            _ => Err(self.lost("it went back, or was emptied")),
        }
    }

    /// How the store stands.
    pub(super) fn stands(&self, writer: &Writer) -> Result<Stand> {
        let mut ask = redis::cmd("HMGET");
        let fields = ["id", "fence", "step", "restoring", "holder", "audit_end"];
        let meta: Vec<Option<Vec<u8>>> = self.link.ask(ask.arg(self.names.meta()).arg(&fields))?;
        let unfinished = writer.restoring || meta.get(3).is_some_and(Option::is_some);
        let audit_end = meta.get(5).cloned().flatten().and_then(|end| String::from_utf8(end).ok()?.parse().ok());
        Ok(Stand { reached: writer.reached(&self.link, &meta)?, unfinished, audit_end: audit_end.unwrap_or_default() })
    }

    fn lost(&self, how: &str) -> StoreError {
        StoreError::Lost(format!("{}: {how}", self.link.name()))
    }
}
