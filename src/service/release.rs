//! Slots that somebody frees by hand: told to the audit log before it is done.

use crate::{
    access::audit::Entry,
    error::Error,
    live::Released,
    model::{Incarnation, Now, Project, SessionId},
    service::{Actor, Service},
    store::Change,
};

impl Service {
    /// Ends a session, or says that its worker is to be asked.
    ///
    /// # Errors
    /// `Store` when what was done would not be in the audit log: it is not done then.
    pub fn release_session(
        &self,
        (project, incarnation, id): (&Project, Incarnation, SessionId),
        named: &str,
        reason: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<Released, Error> {
        let entry = Entry {
            after: format!("incarnation={incarnation} reason={reason:?}"),
            ..actor.entry("session.release", project.as_str(), named)
        };
        self.write(Change::default(), &[entry], now.wall)?;
        Ok(self.live.release(project, incarnation, id, now))
    }
}
