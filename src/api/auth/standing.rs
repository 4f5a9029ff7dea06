//! What a stream was let in by, for as long as it is open: it ends when its credential does.

use std::{future::pending, pin::Pin};

use tokio::time::{Sleep, sleep};

use crate::{
    access::Pass,
    api::auth::Caller,
    error::Error,
    service::{
        Clock, Service,
        access::{Changes, failures::said},
    },
};

/// Longest sleep until a credential ends: the wall clock may be set meanwhile.
const LONGEST_SLEEP: std::time::Duration = std::time::Duration::from_secs(5);

/// What one stream was let in by.
#[derive(Debug)]
pub struct Standing {
    pass: Option<Pass>,
    changes: Changes,
    /// When to look again, where the credential has an end.
    look_again: Option<Pin<Box<Sleep>>>,
}

impl Standing {
    pub fn new(service: &Service, caller: &Caller) -> Self {
        let mut standing = Self { pass: None, changes: service.access.changes(), look_again: None };
        standing.renew(caller.pass().cloned());
        standing
    }

    /// Goes on with another credential.
    pub fn renew(&mut self, pass: Option<Pass>) {
        self.pass = pass;
        self.sleep();
    }

    /// Until when it is good as things stand.
    pub fn until(&self) -> Option<crate::model::Time> {
        self.pass.as_ref().and_then(Pass::until)
    }

    fn sleep(&mut self) {
        let wait = self.until().map(|until| until.since(Clock::wall()).min(LONGEST_SLEEP));
        self.look_again = wait.map(|wait| Box::pin(sleep(wait)));
    }

    /// Waits until the credential is good no more; says why. May be dropped and called again.
    pub async fn lost(&mut self) -> Error {
        let Some(pass) = self.pass.clone() else { return pending().await };
        loop {
            if let Err(refused) = pass.check(Clock::wall()) {
                return said(&refused);
            }
            match &mut self.look_again {
                None => self.changes.next().await,
                Some(look_again) => tokio::select! {
                    () = look_again => {}
                    () = self.changes.next() => {}
                },
            }
            self.sleep();
        }
    }
}
