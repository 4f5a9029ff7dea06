//! Requests for more capacity. Each step of one is in the store with its audit row before anyone sees it, and an approval
//! sets the limit in the same step.

mod record;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    access::{audit::Entry, token},
    error::Error,
    model::{
        IncreaseRequest, Key, LimitEntry, Now, Project, Target, Time,
        limit::MAX_REASON_BYTES,
        request::{self, Decision, Evidence, Grant, MOST_KEPT, MOST_OPEN, Ruling},
    },
    service::{Actor, Service, access::random},
    store::{Change, Document, Shelf, Store, StoreError},
};

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub project: Project,
    pub target: Target,
    pub wanted: u32,
    pub reason: String,
    pub end: Option<Time>,
    pub evidence: Evidence,
}

/// Which requests somebody sees, or may take back.
pub type Rule<'r> = &'r dyn Fn(&IncreaseRequest) -> bool;

/// The requests of all projects, in memory; every change is durable before it is seen.
#[derive(Debug, Default)]
pub struct Requests {
    by_id: RwLock<BTreeMap<String, Arc<IncreaseRequest>>>,
    /// How many surprises of the ledger they know.
    surprises: AtomicU64,
}

impl Requests {
    /// The requests of a store.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { by_id: RwLock::new(stored(store)?), ..Self::default() })
    }

    /// Takes over what the store holds when the ledger was surprised since; while decisions wait.
    pub(super) fn catch_up(&self, surprises: u64, store: &dyn Store) -> Result<(), StoreError> {
        if !self.knows(surprises) {
            let stored = stored(store)?;
            *self.by_id.write().unwrap_or_else(PoisonError::into_inner) = stored;
            self.surprises.store(surprises, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn knows(&self, surprises: u64) -> bool {
        self.surprises.load(Ordering::Acquire) == surprises
    }

    pub fn get(&self, id: &str) -> Option<Arc<IncreaseRequest>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Those of a project, or of all, the newest first.
    pub fn list(&self, project: Option<&Project>) -> Vec<Arc<IncreaseRequest>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let of_project = |request: &&Arc<IncreaseRequest>| project.is_none_or(|project| request.project == *project);
        let mut listed: Vec<_> = by_id.values().filter(of_project).cloned().collect();
        drop(by_id);
        listed.sort_unstable_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        listed
    }

    /// The documents of a project's requests, as removed.
    pub(super) fn removed(&self, project: &Project) -> Vec<Document> {
        self.list(Some(project)).iter().map(|request| gone(request)).collect()
    }

    /// Forgets a project's requests, which the store holds no more.
    pub(super) fn forget(&self, project: &Project) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.retain(|_, request| request.project != *project);
    }

    /// Takes over documents that the store holds already, or no more.
    fn take(&self, documents: &[Document], put: IncreaseRequest) -> Arc<IncreaseRequest> {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        for document in documents.iter().filter(|document| document.bytes.is_none()) {
            by_id.remove(&document.name);
        }
        let put = Arc::new(put);
        by_id.insert(put.id.clone(), put.clone());
        put
    }
}

impl Service {
    /// Asks for a higher limit, or for a model that is not in use yet.
    ///
    /// # Errors
    /// `Invalid` when it asks for no more than there is, `Bound` when the project has as many open requests as it may,
    /// `Store` when it is not durable, and then there is none.
    pub fn ask_increase(&self, asked: Asked, actor: &Actor, now: Now) -> Result<Arc<IncreaseRequest>, Error> {
        let _one_at_a_time = self.deciding()?;
        let Asked { project, target, wanted, reason, end, evidence } = asked;
        let key = Key { project: project.clone(), target: target.clone() };
        let in_force = self.slots_in_force(&key, now.wall);
        request::check_wanted(wanted, in_force)?;
        let of_project = self.requests.list(Some(&project));
        if of_project.iter().filter(|request| request.is_open()).count() >= MOST_OPEN {
            return Err(Error::Bound { name: "open requests of a project", most: MOST_OPEN as u64 });
        }
        let (registry, projects) = (&self.live.registry, self.live.bounds.projects);
        if !registry.has_project(&project) && registry.projects().len() >= projects {
            return Err(Error::Bound { name: "projects", most: projects as u64 });
        }
        let id = token::id(random());
        if self.requests.get(&id).is_some() {
            return Err(Error::Internal { detail: "an id was drawn twice".to_owned() });
        }
        let evidence = Evidence { limit: in_force, ..evidence };
        let (created, created_by) = (now.wall, actor.key.to_string());
        let request =
            IncreaseRequest { id, project, target, wanted, reason, end, created, created_by, evidence, decision: None };
        // The oldest of those that are over make room; what was decided on them is in the audit log for longer.
        let mut over: Vec<_> = of_project.iter().filter(|request| !request.is_open()).collect();
        over.sort_unstable_by_key(|request| std::cmp::Reverse(request.touched()));
        let room = MOST_KEPT.saturating_sub(1 + of_project.len() - over.len());
        let mut documents: Vec<_> = over.iter().skip(room).map(|request| gone(request)).collect();
        documents.push(document(&request));
        let entry =
            Entry { after: describe(&request), ..actor.entry("request.create", request.project.as_str(), &request.id) };
        self.write(Change { documents: documents.clone(), ..Change::default() }, &[entry], now.wall)?;
        let _listed = registry.project(&request.project);
        Ok(self.requests.take(&documents, request))
    }

    /// Decides on a request; what it grants is in force at once.
    ///
    /// # Errors
    /// `NotFound` when there is none, `OutOfOrder` when it is not open any longer, `Invalid` when it can't be granted so,
    /// `Store` when it is not durable, and then nothing was decided; else as [`Service::set_limit`].
    pub fn decide_increase(
        &self,
        id: &str,
        grant: Grant,
        actor: &Actor,
        now: Now,
    ) -> Result<Arc<IncreaseRequest>, Error> {
        let _one_at_a_time = self.deciding()?;
        let request = self.open_request(id, &|_| true)?;
        let key = Key { project: request.project.clone(), target: request.target.clone() };
        let ruling = request.rule(&grant, self.slots_in_force(&key, now.wall), now.wall)?;
        let Grant { slots, end, word } = grant;
        let (mut change, mut rows) = (Change::default(), Vec::new());
        if slots > 0 {
            let reason = cut(format!("request {id}: {}", request.reason));
            let entry = LimitEntry { slots: Some(slots), start: now.wall, end, set_by: actor.key.to_string(), reason };
            (change, rows) = self.draft(vec![(self.limited(&key, now)?, entry)], "limit.set", actor, now)?;
        }
        let decision = Decision { ruling, slots, end, by: actor.key.to_string(), at: now.wall, word };
        self.end_request(&request, decision, "request.decide", (change, rows), actor, now)
    }

    /// Takes an open request back.
    ///
    /// # Errors
    /// `NotFound` when there is none that the actor sees, `OutOfOrder` when it is not open any longer, `Forbidden` when it is
    /// somebody else's and not for this actor to take back; `Store` when it is not durable, and then it is still open.
    pub fn withdraw_increase(
        &self,
        id: &str,
        (sees, may): (Rule<'_>, Rule<'_>),
        actor: &Actor,
        now: Now,
    ) -> Result<Arc<IncreaseRequest>, Error> {
        let _one_at_a_time = self.deciding()?;
        let request = self.open_request(id, sees)?;
        if !may(&request) {
            return Err(Error::Forbidden("who made a request, an editor or an operator may take it back".into()));
        }
        let (slots, end, word) = Default::default();
        let decision =
            Decision { ruling: Ruling::Withdrawn, slots, end, by: actor.key.to_string(), at: now.wall, word };
        self.end_request(&request, decision, "request.withdraw", Default::default(), actor, now)
    }

    fn open_request(&self, id: &str, sees: Rule<'_>) -> Result<Arc<IncreaseRequest>, Error> {
        let request = self.requests.get(id).filter(|request| sees(request));
        let request = request.ok_or_else(|| Error::NotFound { what: "request", name: id.to_owned() })?;
        match &request.decision {
            None => Ok(request),
            Some(decision) => Err(Error::OutOfOrder(format!("the request is {}: ask anew", decision.ruling).into())),
        }
    }

    /// Writes how a request ended, with what else comes of it, in one step.
    fn end_request(
        &self,
        request: &IncreaseRequest,
        decision: Decision,
        action: &str,
        (mut change, mut rows): (Change, Vec<Entry>),
        actor: &Actor,
        now: Now,
    ) -> Result<Arc<IncreaseRequest>, Error> {
        let ended = IncreaseRequest { decision: Some(decision), ..request.clone() };
        change.documents.push(document(&ended));
        let entry = Entry {
            before: describe(request),
            after: describe(&ended),
            ..actor.entry(action, ended.project.as_str(), &ended.id)
        };
        rows.insert(0, entry);
        let change = self.write(change, &rows, now.wall)?;
        Ok(self.requests.take(&change.documents, ended))
    }

    fn slots_in_force(&self, key: &Key, at: Time) -> Option<u32> {
        self.limits.slots_at(self.live.registry.find(key)?.id, at)
    }
}

impl From<request::Wrong> for Error {
    fn from(wrong: request::Wrong) -> Self {
        Self::invalid(wrong.field, wrong.problem)
    }
}

fn stored(store: &dyn Store) -> Result<BTreeMap<String, Arc<IncreaseRequest>>, StoreError> {
    let decode = |(name, bytes): (String, Vec<u8>)| match record::decode(&bytes) {
        Some(request) => Ok((name, Arc::new(request))),
        None => Err(StoreError::Damaged(format!("the request {name} can't be read"))),
    };
    store.documents(Shelf::Requests)?.into_iter().map(decode).collect()
}

fn document(request: &IncreaseRequest) -> Document {
    Document { shelf: Shelf::Requests, name: request.id.clone(), bytes: Some(record::encode(request)) }
}

fn gone(request: &IncreaseRequest) -> Document {
    Document { shelf: Shelf::Requests, name: request.id.clone(), bytes: None }
}

/// What the audit log says of a request.
fn describe(request: &IncreaseRequest) -> String {
    let time = |end: Option<Time>| end.map(|end| format!(" end_us={}", end.0)).unwrap_or_default();
    let asked = format!("{} wanted={}{}", request.target, request.wanted, time(request.end));
    match &request.decision {
        None => format!("open {asked} reason={:?}", request.reason),
        Some(decision) => {
            let Decision { ruling, slots, end, word, .. } = decision;
            format!("{ruling} {asked} slots={slots}{} word={word:?}", time(*end))
        }
    }
}

/// A reason that fits on a limit.
fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
    reason
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
