//! Projects that somebody makes. Most are only reported for, and need not be made.

use crate::{
    access::{ProjectRecord, audit::Entry},
    error::Error,
    model::{Now, Project},
    service::{Actor, Service},
    store::{Change, Document, Shelf, StoreError},
};

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
        let _one_at_a_time = self.limits.deciding();
        let registry = &self.live.registry;
        if registry.has_project(project) {
            return Err(Error::Exists { what: "a project", name: project.to_string() });
        }
        let most = self.live.bounds.projects;
        if registry.projects().len() >= most {
            return Err(Error::Bound { name: "projects", most: most as u64 });
        }
        let record = ProjectRecord { project: project.clone(), created: now.wall, created_by: actor.key.to_string() };
        let document = Document { shelf: Shelf::Projects, name: project.to_string(), bytes: Some(record.encode()) };
        let change = Change { documents: vec![document], ..Change::default() };
        let entry =
            Entry { after: "made".to_owned(), ..actor.entry("project.create", project.as_str(), project.as_str()) };
        self.ledger.write(change, &[entry], now.wall)?;
        let _made = registry.project(project);
        Ok(record)
    }
}
