//! The simulated fleet of a demo, as far as its service knows it: what it can be asked to do. A service that is no demo
//! has none, and its doors say so.

pub mod inbox;

use std::sync::OnceLock;

use tokio::sync::{mpsc, oneshot};

use crate::{error::Error, service::simulation::inbox::Inbox};

/// Wishes that wait for the fleet: it takes them many times a second.
const WAITING: usize = 8;

/// What a fleet is asked to do, and where it says what came of it.
#[derive(Debug)]
pub enum Wish {
    /// More calls for a while; answered by what happens, in a sentence.
    BusyHour(oneshot::Sender<String>),
    /// A provider fails for a while; answered by what happens, in a sentence.
    FailProvider(oneshot::Sender<String>),
    /// A worker is to crash; none when there is none.
    KillWorker(oneshot::Sender<Option<Killed>>),
}

/// A worker that crashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    pub worker: String,
    /// What it held.
    pub sessions: usize,
    /// What happens, in a sentence.
    pub sentence: String,
}

/// The fleet of a service, if it is a demo's.
#[derive(Debug, Default)]
pub struct Simulation {
    wishes: OnceLock<mpsc::Sender<Wish>>,
    /// What its mail server took.
    pub inbox: Inbox,
}

impl Simulation {
    /// Takes over a fleet's wishes. There is one driver a service: the first.
    pub fn drive(&self) -> mpsc::Receiver<Wish> {
        let (wishes, driver) = mpsc::channel(WAITING);
        // A second driver hears nothing.
        let _ = self.wishes.set(wishes);
        driver
    }

    /// Makes more calls come.
    ///
    /// # Errors
    /// `Unserved` where there is no fleet, `ShuttingDown` when it is leaving.
    pub async fn busy_hour(&self) -> Result<String, Error> {
        self.ask(Wish::BusyHour).await
    }

    /// Makes a provider fail.
    ///
    /// # Errors
    /// As [`busy_hour`](Self::busy_hour).
    pub async fn fail_provider(&self) -> Result<String, Error> {
        self.ask(Wish::FailProvider).await
    }

    /// Makes a worker crash.
    ///
    /// # Errors
    /// As [`busy_hour`](Self::busy_hour); `OutOfOrder` when no worker is there.
    pub async fn kill_worker(&self) -> Result<Killed, Error> {
        let killed = self.ask(Wish::KillWorker).await?;
        killed.ok_or_else(|| Error::OutOfOrder("no worker holds a session now: wait for a call, and try again".into()))
    }

    /// The mails that went out.
    ///
    /// # Errors
    /// `Unserved` where there is no fleet.
    pub fn inbox(&self) -> Result<&Inbox, Error> {
        self.wishes.get().map(|_| &self.inbox).ok_or(Error::Unserved)
    }

    async fn ask<T>(&self, wish: impl FnOnce(oneshot::Sender<T>) -> Wish) -> Result<T, Error> {
        let wishes = self.wishes.get().ok_or(Error::Unserved)?;
        let (answer, answered) = oneshot::channel();
        wishes.send(wish(answer)).await.map_err(|_| Error::ShuttingDown)?;
        answered.await.map_err(|_| Error::ShuttingDown)
    }
}
