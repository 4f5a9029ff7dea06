//! Whose history lies under the number of a project. Numbers are given anew by a store that is made anew, and a node of a
//! cluster may have kept what an earlier one wrote: it must never be shown as another project's. So each project's history
//! has a mark: the fence of its last writer, the id of the store and the name of the project. What has another mark is not
//! read, and goes before anything is written.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use redis::Value;

use super::{
    RedisStore,
    names::{ProjectNumber, Strand},
    scripts::{CLAIM, EMPTY, STEP, Step},
    writer::Arguments,
};
use crate::store::{Result, StoreError};

/// Fields of the meta row, each with the number of a project that has history.
const HISTORY_OF: &str = "history:";
/// Marks that are read at once.
const MARKS_A_READ: usize = 500;
/// Names that one step removes.
pub const NAMES_A_STEP: usize = 1_000;
/// The first format in which history has marks with an owner. Before it they were a fence alone.
pub const WITH_OWNERS: u64 = 2;

/// A project by its number, and whose its history is to be: the id of the store and its name.
pub type Owned = (ProjectNumber, String);

/// What is known of marks.
#[derive(Debug, Default)]
pub struct Owners {
    /// Projects whose mark was seen to be the store's.
    ours: Mutex<BTreeSet<ProjectNumber>>,
    /// Projects whose history was written: where a node has their mark no more, it was emptied, or went back.
    written: Mutex<BTreeSet<ProjectNumber>>,
    /// Projects of which the store says that they have history, so that the next process misses it.
    noted: Mutex<BTreeSet<ProjectNumber>>,
    /// History that was found to be gone, in words, until that is told.
    lost: Mutex<Vec<String>>,
}

impl Owners {
    fn of(projects: &Mutex<BTreeSet<ProjectNumber>>) -> std::sync::MutexGuard<'_, BTreeSet<ProjectNumber>> {
        projects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wrote(&self, projects: impl IntoIterator<Item = ProjectNumber>) {
        Self::of(&self.written).extend(projects);
    }

    /// A project that is no more is not looked for.
    pub fn forget(&self, project: ProjectNumber) {
        Self::of(&self.written).remove(&project);
        Self::of(&self.ours).remove(&project);
    }

    /// A store that lost what is across projects is told again whose history there is.
    pub fn note_again(&self) {
        Self::of(&self.noted).clear();
    }

    /// Marks are to be looked at again.
    pub fn look_again(&self) {
        Self::of(&self.ours).clear();
    }

    pub fn found_lost(&self, words: String) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }
}

impl RedisStore {
    /// Whose the history of a project is to be.
    pub(super) fn owner(&self, project: &str) -> String {
        format!("{} {project}", self.id)
    }

    pub(super) fn owned(&self, project: ProjectNumber) -> Result<Owned> {
        Ok((project, self.owner(&self.name_of(project)?)))
    }

    /// Whether the history under the number of a project is its own, and this store's.
    pub(super) fn is_ours(&self, (project, owner): &Owned) -> Result<bool> {
        if Owners::of(&self.owners.ours).contains(project) {
            return Ok(true);
        }
        let mark = self.marks(&[*project])?.pop().flatten();
        let is_ours = self.is_mark_of(mark.as_deref(), owner);
        if is_ours {
            Owners::of(&self.owners.ours).insert(*project);
        }
        Ok(is_ours)
    }

    fn is_mark_of(&self, mark: Option<&str>, owner: &str) -> bool {
        match mark.map(|mark| mark.split_once(' ').unwrap_or((mark, ""))) {
            Some((_, of)) if of == owner => true,
            // An earlier version wrote it.
            Some((_, "")) | None => self.format < WITH_OWNERS,
            Some(_) => false,
        }
    }

    /// The same for one whose name is not at hand.
    pub(super) fn is_of(&self, project: ProjectNumber) -> Result<bool> {
        if Owners::of(&self.owners.ours).contains(&project) {
            return Ok(true);
        }
        self.is_ours(&self.owned(project)?)
    }

    pub(super) fn marks(&self, projects: &[ProjectNumber]) -> Result<Vec<Option<String>>> {
        let mut marks = Vec::with_capacity(projects.len());
        for projects in projects.chunks(MARKS_A_READ) {
            let names: Vec<_> = projects.iter().map(|project| self.names.fence(*project)).collect();
            let read = self.link.strings(&names)?.into_iter();
            marks.extend(read.map(|mark| mark.map(|mark| String::from_utf8_lossy(&mark).into_owned())));
        }
        Ok(marks)
    }

    /// Before history is written: it is this store's, and what else is there under the number is gone.
    pub(super) fn claim(&self, projects: &[Owned]) -> Result<()> {
        let unknown: Vec<_> = {
            let ours = Owners::of(&self.owners.ours);
            projects.iter().filter(|(project, _)| !ours.contains(project)).collect()
        };
        for owned in unknown {
            self.claim_one(owned)?;
        }
        Ok(())
    }

    fn claim_one(&self, owned: &Owned) -> Result<()> {
        let (project, _) = owned;
        let (fence, pattern) = (self.names.fence(*project), self.names.of_project(*project));
        // Nobody empties what a newer writer has: is this still the writer?
        let writer_fence = self.hold()?;
        let had_mark = self.marks(&[*project])?.pop().flatten().is_some();
        if !self.claim_step(writer_fence, owned, "")? {
            let store = self.link.name();
            tracing::error!(
                store,
                project = project.0,
                "history of another store, or project, is there: it is removed"
            );
            self.link.each_name_beside(&fence, &pattern, &mut |names| {
                self.hold()?;
                self.empty_step(writer_fence, *project, names)
            })?;
            if !self.claim_step(writer_fence, owned, "emptied")? {
                return Err(StoreError::Unavailable(format!("{store}: the history of project {} changed", project.0)));
            }
            self.owners.found_lost("what another store left under the number of a project was removed".to_owned());
        } else if !had_mark && Owners::of(&self.owners.written).remove(project) {
            self.owners.found_lost(emptied(1));
        }
        Owners::of(&self.owners.ours).insert(*project);
        Ok(())
    }

    pub(super) fn claim_step(&self, fence: u64, (project, owner): &Owned, how: &str) -> Result<bool> {
        let mut arguments = Arguments::default();
        let name = owner.split_once(' ').map_or("", |(_, name)| name);
        arguments.number(fence).text(&self.id).text(name).text(how);
        let parts = Strand::ALL.map(|strand| self.names.parts(*project, strand));
        let names: Vec<_> = std::iter::once(self.names.fence(*project)).chain(parts).collect();
        let (is_ours, _) = self.link.run(&CLAIM, &names, &arguments.0, 0)?;
        Ok(is_ours == Value::Int(1))
    }

    pub(super) fn empty_step(&self, fence: u64, project: ProjectNumber, names: Vec<String>) -> Result<()> {
        let mark = self.names.fence(project);
        let names: Vec<_> = names.into_iter().filter(|name| *name != mark).collect();
        for names in names.chunks(NAMES_A_STEP) {
            self.empty(fence, &mark, names)?;
        }
        // With nothing to remove it says all the same who empties it.
        if names.is_empty() { self.empty(fence, &mark, &[]) } else { Ok(()) }
    }

    pub(super) fn empty(&self, fence: u64, mark: &str, names: &[String]) -> Result<()> {
        let mut arguments = Arguments::default();
        arguments.number(fence).text(&self.id);
        let names: Vec<_> = std::iter::once(mark.to_owned()).chain(names.iter().cloned()).collect();
        self.link.run(&EMPTY, &names, &arguments.0, 0).map(drop)
    }

    /// A sign of life, if this is still the writer; returns its fence.
    pub(super) fn hold(&self) -> Result<u64> {
        let mut arguments = Arguments::default();
        arguments.text("holds").text("");
        let mut writer = self.writer()?;
        writer.take(&self.link, &self.names, &STEP, [self.names.notes()], arguments)?;
        Ok(writer.fence)
    }

    /// A step on the hours of projects.
    pub(super) fn on_hours(
        &self,
        step: &Step,
        fence: u64,
        projects: &[Owned],
        names: impl IntoIterator<Item = String>,
        arguments: Arguments,
    ) -> Result<Value> {
        let mut all = Arguments::default();
        all.number(fence).count(projects.len());
        projects.iter().for_each(|(_, owner)| {
            all.text(owner);
        });
        all.0.extend(arguments.0);
        let marks = projects.iter().map(|(project, _)| self.names.fence(*project));
        let keys: Vec<_> = marks.chain(names).collect();
        let answer = self.link.run(step, &keys, &all.0, 0);
        if answer.is_err() {
            // A node may have been emptied, or may have gone back to what another store wrote.
            self.owners.look_again();
        }
        Ok(answer?.0)
    }

    /// Projects of which the store says that they have history.
    pub(super) fn noted_history(&self) -> Result<BTreeSet<ProjectNumber>> {
        let fields: Vec<String> = self.link.ask(redis::cmd("HKEYS").arg(self.names.meta()))?;
        let number = |field: &String| field.strip_prefix(HISTORY_OF)?.parse().ok().map(ProjectNumber);
        Ok(fields.iter().filter_map(number).collect())
    }

    /// The store is to say that these projects have history.
    pub(super) fn note_history(&self, projects: &[Owned]) -> Result<()> {
        for (project, _) in projects {
            if !Owners::of(&self.owners.noted).contains(project) {
                self.set_meta("HSET", &format!("{HISTORY_OF}{}", project.0), Some(1))?;
                Owners::of(&self.owners.noted).insert(*project);
            }
        }
        Ok(())
    }

    pub(super) fn unnote_history(&self, project: ProjectNumber) -> Result<()> {
        self.set_meta("unset", &format!("{HISTORY_OF}{}", project.0), None)?;
        Owners::of(&self.owners.noted).remove(&project);
        Ok(())
    }

    /// What the marks of projects say when the store is opened: whose history is there, and whose was and is gone. What is
    /// gone stays noted until a service has told of it: a command that opens the store tells nobody.
    pub(super) fn take_marks(&self, projects: &[Owned], is_marked: &[bool]) -> Result<()> {
        let noted = self.noted_history()?;
        Owners::of(&self.owners.noted).extend(&noted);
        let known: BTreeSet<_> = projects.iter().map(|(project, _)| *project).collect();
        let marked =
            projects.iter().zip(is_marked).filter(|(_, is_marked)| **is_marked).map(|((project, _), _)| *project);
        let marked: BTreeSet<_> = marked.collect();
        let (lost, of_none): (BTreeSet<_>, BTreeSet<_>) =
            noted.difference(&marked).copied().partition(|project| known.contains(project));
        for project in of_none {
            self.unnote_history(project)?;
        }
        if !lost.is_empty() {
            let projects = lost.len();
            tracing::error!(store = self.link.name(), projects, "a node was emptied while no service ran");
        }
        self.owners.wrote(marked.into_iter().chain(lost));
        Ok(())
    }

    /// History that the store says it has, and has not, in words.
    pub(super) fn missing_history(&self) -> Result<Option<String>> {
        let noted = self.noted_history()?;
        let projects = self.projects()?.into_iter().filter(|(_, number)| noted.contains(number));
        let (owners, numbers): (Vec<_>, Vec<_>) = projects.map(|(name, number)| (self.owner(&name), number)).unzip();
        let marks = self.marks(&numbers)?;
        let missing =
            owners.iter().zip(&marks).filter(|(owner, mark)| !self.is_mark_of(mark.as_deref(), owner)).count();
        Ok((missing > 0).then(|| emptied(missing)))
    }

    /// History that was found to be gone since this was last asked, in words: a node of a cluster that was emptied has
    /// nothing else to be known by.
    pub(super) fn take_lost(&self) -> Result<Option<String>> {
        let projects: Vec<_> = Owners::of(&self.owners.written).iter().copied().collect();
        let marks = self.marks(&projects)?;
        let mut gone = Vec::new();
        for (project, mark) in projects.into_iter().zip(marks) {
            let owner = match self.owned(project) {
                Ok((_, owner)) => owner,
                // There is no such project any more.
                Err(StoreError::Damaged(_)) => {
                    self.owners.forget(project);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if mark.as_deref().and_then(|mark| mark.split_once(' ')).is_none_or(|(_, of)| of != owner) {
                gone.push(project);
            }
        }
        for project in &gone {
            self.unnote_history(*project)?;
            self.owners.forget(*project);
        }
        let mut lost = std::mem::take(&mut *self.owners.lost.lock().unwrap_or_else(PoisonError::into_inner));
        if !gone.is_empty() {
            lost.push(emptied(gone.len()));
        }
        lost.dedup();
        Ok((!lost.is_empty()).then(|| lost.join("; ")))
    }
}

fn emptied(projects: usize) -> String {
    let of = if projects == 1 { "a project".to_owned() } else { format!("{projects} projects") };
    format!("a node was emptied, or went back: the history of {of} is gone, and shows as a gap")
}
