//! What comes first when a store was opened for writing: what another one left under its prefix goes, and what it has itself
//! is taken over. And the end of a store: all of it goes.

use std::collections::BTreeSet;

use super::{
    FORMAT, RedisStore,
    names::ProjectNumber,
    owner::{NAMES_A_STEP, Owned, WITH_OWNERS},
    scripts::STEP,
    writer::Arguments,
};
use crate::store::{
    Result,
    content::{UNFINISHED, UNFINISHED_NOTE},
};

impl RedisStore {
    /// What comes first when the store was opened: what another one left goes, what an earlier version wrote is marked, and
    /// a store that went back behind its own history is ahead of it again.
    pub(super) fn take_over(&mut self, is_to_be_cleared: bool) -> Result<()> {
        if is_to_be_cleared {
            let projects = self.clear_all()?;
            if projects > 0 {
                let words = format!(
                    "the store was emptied, or made anew, while no service ran: the history of {projects} projects that \
                     was left was removed, since nobody knows whose it was"
                );
                tracing::error!(store = self.link.name(), projects, "another store had left history: it was removed");
                self.owners.found_lost(words);
            }
            self.set_meta("unset", "clearing", None)?;
        }
        let projects: Vec<Owned> =
            self.projects()?.into_iter().map(|(name, number)| (number, self.owner(&name))).collect();
        let marks = self.marks(&projects.iter().map(|(number, _)| *number).collect::<Vec<_>>())?;
        let is_earlier = self.format < WITH_OWNERS;
        let fence = |mark: &Option<String>| {
            let (fence, of) = mark.as_deref().map(|mark| mark.split_once(' ').unwrap_or((mark, "")))?;
            let is_ours = of.split(' ').next() == Some(&self.id) || is_earlier && of.is_empty();
            fence.parse::<u64>().ok().filter(|_| is_ours)
        };
        let fences: Vec<_> = marks.iter().map(fence).collect();
        self.take_marks(&projects, &fences.iter().map(Option::is_some).collect::<Vec<_>>())?;
        let highest = fences.into_iter().flatten().max().unwrap_or_default();
        if highest > self.writer()?.fence {
            tracing::warn!(store = self.link.name(), "the store went back to an earlier state while no service ran");
            self.writer()?.rise(&self.link, &self.names, highest)?;
        }
        if is_earlier {
            for owned in &projects {
                let fence = self.hold()?;
                self.claim_step(fence, owned, "earlier")?;
            }
            self.set_meta("HSET", "format", Some(FORMAT))?;
            self.format = FORMAT;
        }
        Ok(())
    }

    pub(super) fn set_meta(&self, command: &str, field: &str, value: Option<u64>) -> Result<()> {
        let mut arguments = Arguments::default();
        arguments.text(command).text(field);
        value.into_iter().for_each(|value| {
            arguments.number(value);
        });
        self.writer()?.take(&self.link, &self.names, &STEP, [self.names.meta()], arguments).map(drop)
    }

    /// Removes all but the meta row and the notes, on every node; returns of how many projects there was history.
    fn clear_all(&self) -> Result<usize> {
        let mut projects = BTreeSet::new();
        let (meta, notes) = (self.names.meta(), self.names.notes());
        self.link.each_name(&self.names.pattern(), &mut |names| {
            let fence = self.hold()?;
            let mut numbered: Vec<_> =
                names.into_iter().filter_map(|name| Some((self.names.number(&name)?, name))).collect();
            numbered.sort_unstable();
            for of_one in numbered.chunk_by(|a, b| a.0 == b.0) {
                let project = of_one[0].0;
                let stays = |name: &String| *name == meta || *name == notes;
                let names: Vec<_> = of_one.iter().map(|(_, name)| name.clone()).filter(|name| !stays(name)).collect();
                if project == ProjectNumber(0) {
                    self.remove(&names)?;
                } else {
                    projects.insert(project);
                    self.empty_step(fence, project, names)?;
                }
            }
            Ok(())
        })?;
        // Last the marks, which said who emptied it.
        for project in &projects {
            let fence = self.hold()?;
            let mark = self.names.fence(*project);
            self.empty(fence, &mark, std::slice::from_ref(&mark))?;
        }
        Ok(projects.len())
    }

    /// Removes what is across projects.
    fn remove(&self, names: &[String]) -> Result<()> {
        for names in names.chunks(NAMES_A_STEP) {
            let mut arguments = Arguments::default();
            arguments.text("remove").text("");
            self.writer()?.take(&self.link, &self.names, &STEP, names.iter().cloned(), arguments)?;
        }
        Ok(())
    }

    /// Removes all of the store. What is cut off leaves a store that says it is not whole: that goes last, with the meta row.
    pub(super) fn remove_whole(&self) -> Result<()> {
        self.write_note(UNFINISHED_NOTE, UNFINISHED)?;
        self.clear_all()?;
        self.remove(&[self.names.notes(), self.names.meta()])
    }
}
