//! Decisions whose answer was lost: Redis may have them, and what the writer remembers has not. Before anyone sees what is
//! there or writes more, the doubt ends: no late step is taken any more, and what is there is remembered. One that Redis
//! loses before that was seen by nobody, and whoever decided was told of an error: it is as if it had never been.

use std::sync::{MutexGuard, atomic::Ordering};

use super::{RedisStore, writer::Writer};
use crate::store::{Result, StoreError};

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

    /// Ends a doubt before something is read that a decision may have changed.
    pub(super) fn without_doubt(&self) -> Result<()> {
        if self.in_doubt.load(Ordering::Acquire) {
            drop(self.settled()?);
        }
        Ok(())
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
        let if_whole = |writer: &Writer| match self.stands(writer)? {
            (Some(reached), false) if writer.has_all(reached) => Ok(()),
            _ => Err(self.lost("it went back, or was emptied")),
        };
        if_whole(writer)?;
        writer.renew(&self.link, &self.names)?;
        let read = self.read_mirror()?;
        // Nothing of it was read after a loss.
        if_whole(writer)?;
        writer.mirror.take_read(read);
        self.unlearn(|_| true);
        self.in_doubt.store(false, Ordering::Release);
        tracing::warn!(store = self.link.name(), "the answer to a decision was lost: what is stored holds");
        Ok(())
    }

    /// The last step that the store has, see [`Writer::reached`], and whether writing it again was cut off.
    pub(super) fn stands(&self, writer: &Writer) -> Result<(Option<u64>, bool)> {
        let mut ask = redis::cmd("HMGET");
        let fields = ["id", "fence", "step", "restoring", "holder"];
        let meta: Vec<Option<Vec<u8>>> = self.link.ask(ask.arg(self.names.meta()).arg(&fields))?;
        let unfinished = writer.restoring || meta.get(3).is_some_and(Option::is_some);
        Ok((writer.reached(&self.link, &meta)?, unfinished))
    }

    fn lost(&self, how: &str) -> StoreError {
        StoreError::Lost(format!("{}: {how}", self.link.name()))
    }
}
