//! Projects that somebody makes, and those that somebody deletes. Most are only reported for, and need not be made.

use std::sync::{
    Mutex, PoisonError,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::{
    access::{ProjectRecord, audit::Entry},
    error::Error,
    model::{Now, Project},
    service::{Actor, Service},
    store::{Change, Document, Forgotten, Shelf, StoreError},
};

/// Projects that are being deleted, each with who waits for it.
#[derive(Debug, Default)]
pub struct Leaving(Mutex<Vec<(Project, Option<SyncSender<Forgotten>>)>>);

impl Leaving {
    pub fn add(&self, project: Project, waits: Option<SyncSender<Forgotten>>) {
        self.locked().push((project, waits));
    }

    fn projects(&self) -> Vec<Project> {
        self.locked().iter().map(|(project, _)| project.clone()).collect()
    }

    /// Tells those who wait for it that a project is gone.
    fn gone(&self, project: &Project, forgotten: Forgotten) {
        self.locked().retain(|(leaving, waits)| {
            let is_gone = leaving == project;
            if let Some(waits) = waits.as_ref().filter(|_| is_gone) {
                // Who waited too long has gone.
                let _ = waits.try_send(forgotten);
            }
            !is_gone
        });
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<(Project, Option<SyncSender<Forgotten>>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// The projects that somebody made.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn project_records(&self) -> Result<Vec<ProjectRecord>, Error> {
        let documents = self.store.documents(Shelf::Projects)?;
        let decode = |(name, bytes): (String, Vec<u8>)| {
            let damaged = || StoreError::Damaged(format!("the project {name} can't be read"));
            Ok(ProjectRecord::decode(&bytes).ok_or_else(damaged)?)
        };
        documents.into_iter().map(decode).collect()
    }

    /// Makes a project, so that it is listed before anything is reported for it.
    ///
    /// # Errors
    /// `Exists` when there is one of that name, `Bound` when there are as many as there may be, `Store` when it is not
    /// durable, and then there is none.
    pub fn create_project(&self, project: &Project, actor: &Actor, now: Now) -> Result<ProjectRecord, Error> {
        let _one_at_a_time = self.deciding()?;
        let registry = &self.live.registry;
        if registry.has_project(project) {
            return Err(Error::Exists { what: "a project", name: project.to_string() });
        }
        let most = self.live.bounds.projects;
        if registry.projects().len() >= most {
            return Err(Error::Bound { name: "projects", most: most as u64 });
        }
        let record = record(project, actor, now, false);
        let change = Change { documents: vec![document(&record)], ..Change::default() };
        let name = project.as_str();
        let entry = Entry { after: "made".to_owned(), ..actor.entry("project.create", name, name) };
        self.ledger.write(change, &[entry], now.wall)?;
        let _made = registry.project(project);
        Ok(record)
    }

    /// Begins to delete a project: its credentials end now, and the recorder removes the rest within a second or two, also
    /// after a restart. Returns how many credentials there were, and what tells when all is done.
    ///
    /// # Errors
    /// `NotFound` when there is none; `OutOfOrder` when the operator's own key, or the last operator's, is of it; `Store` when
    /// it is not durable, and then nothing was deleted.
    pub fn delete_project(
        &self,
        project: &Project,
        actor: &Actor,
        now: Now,
    ) -> Result<(usize, Receiver<Forgotten>), Error> {
        let _one_at_a_time = self.deciding()?;
        if !self.live.registry.has_project(project) {
            return Err(Error::NotFound { what: "project", name: project.to_string() });
        }
        let name = project.as_str();
        let entry = Entry { after: "its keys ended".to_owned(), ..actor.entry("project.delete", name, name) };
        let leaving = document(&record(project, actor, now, true));
        let keys = self.access.end_project(leaving, project, (actor, entry), now.wall)?;
        let (tell, told) = sync_channel(1);
        self.leaving.add(project.clone(), Some(tell));
        Ok((keys, told))
    }

    /// Ends the sessions of projects that are being deleted. Called before the seconds up to now are rolled, so that the
    /// pools across projects are told how they ended.
    pub(super) fn end_leaving(&self, now: Now) {
        self.leaving.projects().iter().for_each(|project| self.live.end_project(project, now));
    }

    /// Removes what is left of projects that are being deleted, after the last seconds of their sessions are durable.
    pub(super) fn forget_leaving(&self, now: Now) -> Result<(), StoreError> {
        for project in self.leaving.projects() {
            // A worker that came since waits for the next time.
            if self.live.has_workers(&project) {
                continue;
            }
            let _one_at_a_time = self.deciding()?;
            let name = project.as_str();
            let mut documents = self.requests.removed(&project);
            let ids: Vec<_> = self.live.registry.of_project(&project).iter().map(|tally| tally.id).collect();
            documents.extend(self.choices.removed(&project, &ids));
            documents.extend(self.ceilings.removed(&ids));
            documents.extend(self.chains.removed(&project));
            documents.extend(self.routing.turns.removed(&project));
            documents.push(Document { shelf: Shelf::Projects, name: project.to_string(), bytes: None });
            let entry = Actor::service().entry("project.deleted", name, name);
            let forgotten = self.forget_alerts(&project, now, |alerts| {
                documents.extend(alerts);
                self.ledger.forget(&project, Change { documents, ..Change::default() }, &[entry], now.wall)
            })?;
            let keys = self.live.registry.forget(&project);
            self.limits.forget(&keys);
            self.requests.forget(&project);
            self.choices.forget(&project, &keys);
            self.ceilings.forget(&keys);
            self.chains.forget(&project);
            self.routing.turns.forget(&project);
            self.rollup().retain(|key| !keys.contains(&key));
            tracing::info!(project = name, keys = forgotten.keys, hours = forgotten.hours, "a project was deleted");
            self.leaving.gone(&project, forgotten);
        }
        Ok(())
    }
}

fn record(project: &Project, actor: &Actor, now: Now, leaving: bool) -> ProjectRecord {
    ProjectRecord { project: project.clone(), created: now.wall, created_by: actor.key.to_string(), leaving }
}

fn document(record: &ProjectRecord) -> Document {
    Document { shelf: Shelf::Projects, name: record.project.to_string(), bytes: Some(record.encode()) }
}
