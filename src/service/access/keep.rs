//! What is done for credentials beside the calls: decisions of other processes, refusals, uses and old audit rows.

use std::time::Duration;

use crate::{
    access::AuditRow,
    model::Now,
    service::{
        Service,
        access::{AUDIT_DAYS, random},
        health::ACCESS,
        promised::Promised,
    },
    store::{Change, StoreError},
};

/// How often refusals are told to the audit log.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);
/// How often it is written when credentials were used.
const USES_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often old audit rows are dropped, and the head of the log is told.
const AUDIT_EVERY: Duration = Duration::from_secs(3_600);
/// Audit rows that are looked at for their age at once.
const ROWS_A_READ: usize = 500;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Does it, in turn. There is one a service.
#[derive(Debug)]
pub struct Keeper {
    refusals: Now,
    uses: Now,
    audit: Option<Now>,
    promised: Promised,
}

impl Keeper {
    pub fn new(now: Now) -> Self {
        // Not all replicas at once.
        let [jitter] = random::<1>();
        let uses = Now { mono: now.mono.before(Duration::from_secs(u64::from(jitter))), ..now };
        Self { refusals: now, uses, audit: None, promised: Promised::default() }
    }

    /// Does what is due.
    pub fn step(&mut self, service: &Service, now: Now) {
        match self.try_step(service, now) {
            Ok(()) => {
                service.health.well(ACCESS);
            }
            Err(error) => {
                tracing::warn!(%error, "decisions on credentials can't be read or written");
                service.health.trouble(ACCESS, error.to_string());
            }
        }
    }

    /// Writes what would be lost with the process.
    pub fn last_step(&mut self, service: &Service, now: Now) {
        if let Err(error) = told(service, now)
            .and_then(|()| service.access.write_revoked(now.wall))
            .and_then(|()| service.access.keep_uses())
        {
            tracing::warn!(%error, "the last uses of credentials could not be written");
        }
    }

    fn try_step(&mut self, service: &Service, now: Now) -> Result<(), StoreError> {
        let is_due = |last: &mut Now, every| {
            let due = now.mono.since(last.mono) >= every;
            if due {
                *last = now;
            }
            due
        };
        service.access.refresh()?;
        service.access.write_revoked(now.wall)?;
        service.refresh_decisions()?;
        self.promised.tell(service, now.wall)?;
        if is_due(&mut self.refusals, REFUSALS_EVERY) {
            told(service, now)?;
        }
        if is_due(&mut self.uses, USES_EVERY) {
            service.access.keep_uses()?;
        }
        if self.audit.is_none_or(|last| now.mono.since(last.mono) >= AUDIT_EVERY) {
            drop_old_rows(service, now)?;
            let (rows, hash) = service.ledger.head();
            tracing::info!(rows, %hash, "the head of the audit log");
            self.audit = Some(now);
        }
        Ok(())
    }
}

/// Tells the audit log of refusals.
fn told(service: &Service, now: Now) -> Result<(), StoreError> {
    let entries = service.access.failures.take();
    if !entries.is_empty() {
        service.ledger.write(Change::default(), &entries, now.wall)?;
    }
    Ok(())
}

/// Drops rows that are older than they are kept; never the last one, which the next holds the hash of.
fn drop_old_rows(service: &Service, now: Now) -> Result<(), StoreError> {
    let oldest = now.wall.before(DAY * u32::try_from(AUDIT_DAYS).unwrap_or(u32::MAX));
    let last = service.store.audit_end()?.saturating_sub(1);
    loop {
        let rows = service.store.audit(0..last, ROWS_A_READ)?;
        let is_old = |(_, bytes): &&(u64, Vec<u8>)| AuditRow::decode(bytes).is_some_and(|row| row.time < oldest);
        let old = rows.iter().take_while(is_old).count();
        let Some((newest_old, _)) = old.checked_sub(1).and_then(|nth| rows.get(nth)) else { return Ok(()) };
        service.store.drop_audit(newest_old + 1)?;
        if old < ROWS_A_READ {
            return Ok(());
        }
    }
}
