//! The workers of a trace: a client each, with a connection of its own.

use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::task::JoinSet;

use crate::{
    cli::{
        connect::Server,
        error::CliError,
        replay::{
            GOODBYE_TIMEOUT,
            plan::{Plan, Step, Turn},
        },
    },
    client::{ClientError, ClientStatus, MeterHandle, WorkerClient, WorkerConfig},
    model::Outcome,
};

/// What the workers did together.
#[derive(Clone, Copy, Debug, Default)]
pub struct FleetStats {
    pub sessions: u64,
    pub repeated: u64,
    pub events: u64,
    pub batches: u64,
    pub reconnects: u64,
    pub resyncs: u64,
    pub dropped_events: u64,
}

/// The workers.
#[derive(Debug)]
pub struct Fleet {
    clients: Vec<WorkerClient>,
    /// Handles by worker and meter.
    handles: FxHashMap<(usize, usize), MeterHandle>,
    /// Whether a session was begun; one that repeats a live id is not.
    begun: Vec<bool>,
    sessions: u64,
    repeated: u64,
}

impl Fleet {
    /// Attaches every worker, and waits until all are.
    ///
    /// # Errors
    /// When the service refuses one.
    pub async fn attach(server: &Server, project: &str, plan: &Plan) -> Result<Self, CliError> {
        let mut clients = Vec::with_capacity(plan.workers.len());
        for worker in &plan.workers {
            let credential = server.credential.clone();
            let config = WorkerConfig { credential, ..WorkerConfig::new(project, worker) };
            clients.push(WorkerClient::attach(server.another()?, config));
        }
        let begun = vec![false; plan.sessions.len()];
        let fleet = Self { clients, handles: FxHashMap::default(), begun, sessions: 0, repeated: 0 };
        for (client, worker) in fleet.clients.iter().zip(&plan.workers) {
            if let Err(error) = client.attached().await {
                // A worker that was refused takes no other with it: those that are there leave in order.
                let _ = fleet.goodbye(GOODBYE_TIMEOUT).await;
                return Err(refused(worker, &error));
            }
        }
        Ok(fleet)
    }

    /// Begins or ends a session; waits when its worker has too much to tell.
    ///
    /// # Errors
    /// When the service refused the worker.
    pub async fn play(&mut self, plan: &Plan, step: &Step) -> Result<(), CliError> {
        let session = &plan.sessions[step.session];
        let client = &self.clients[session.worker];
        client.ready().await.map_err(|error| refused(&plan.workers[session.worker], &error))?;
        match step.turn {
            Turn::Open => {
                let place = (session.worker, session.meter);
                let handle =
                    self.handles.entry(place).or_insert_with(|| client.meter(plan.meters[session.meter].clone()));
                let begun = client.open(&*session.id, *handle, None);
                self.begun[step.session] = begun;
                self.sessions += u64::from(begun);
                self.repeated += u64::from(!begun);
            }
            Turn::Close | Turn::CloseEmpty if self.begun[step.session] => {
                client.close(&*session.id, Outcome::Ok);
            }
            Turn::Close | Turn::CloseEmpty => {}
        }
        Ok(())
    }

    /// How the workers stand, in a few words.
    pub fn words(&self) -> String {
        let live: usize = self.clients.iter().map(|client| client.stats().live).sum();
        let away = self.clients.iter().filter(|client| client.status() != ClientStatus::Attached).count();
        let away = if away == 0 { String::new() } else { format!(", {away} workers reconnecting") };
        format!("{live} held{away}")
    }

    /// Tells what is still to be told, and ends every worker; sessions that are live are cancelled.
    ///
    /// # Errors
    /// When a worker could not say goodbye in time.
    pub async fn goodbye(self, within: Duration) -> Result<(FleetStats, Vec<String>), CliError> {
        let mut stats = FleetStats { sessions: self.sessions, repeated: self.repeated, ..Default::default() };
        let (mut unknown, mut failed, mut leaving) = (Vec::new(), None, JoinSet::new());
        for client in self.clients {
            leaving.spawn(async move {
                let told = client.flushed_within(within).await;
                let (stats, unknown) = (client.stats(), client.take_unknown_models());
                (told.and(client.goodbye(Outcome::Cancelled, within).await), stats, unknown)
            });
        }
        while let Some(left) = leaving.join_next().await {
            let (said, of_client, models) = left.map_err(|error| CliError::failed(error.to_string()))?;
            failed = failed.or(said.err());
            stats.events += of_client.journal.events;
            stats.batches += of_client.journal.batches;
            stats.dropped_events += of_client.journal.dropped_events;
            stats.reconnects += of_client.reconnects;
            stats.resyncs += of_client.resyncs;
            unknown.extend(models);
        }
        if let Some(error) = failed {
            return Err(CliError::failed(error.to_string()));
        }
        unknown.sort_unstable();
        unknown.dedup();
        Ok((stats, unknown))
    }
}

fn refused(worker: &str, error: &ClientError) -> CliError {
    CliError::failed(format!("worker {worker}: {error}"))
}
