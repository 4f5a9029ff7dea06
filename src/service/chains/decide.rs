//! Decisions on chains, and pins and drains by hand: each is in the store with its audit row before anyone follows it.

use std::sync::Arc;

use crate::{
    access::audit::Entry,
    error::Error,
    model::{Chain, ChainError, Meter, Now, Project, Target, Time, chain::MOST_CHAINS},
    route::{Action, ByHand},
    service::{
        Actor, Service,
        chains::{ProjectChains, SetBy, record},
    },
    store::{Change, Document, StoreError},
};

/// What setting a chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSet {
    pub chain: Arc<Chain>,
    /// As it was, and who had set it so; `None` for a new one.
    pub before: Option<(Arc<Chain>, SetBy)>,
    /// What was said of its models then.
    pub said_before: Vec<ByHand>,
    /// What was said of models that it has no longer.
    pub ended: Vec<ByHand>,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainDeleted {
    pub chain: Arc<Chain>,
    pub set: SetBy,
    /// What was said of its models.
    pub ended: Vec<ByHand>,
}

impl Service {
    /// Sets a chain: a new one, or another in the place of that of its name. What is said by hand of a model that it has no
    /// longer ends.
    ///
    /// # Errors
    /// `Invalid` when each of its models is drained, `Bound` when the project has as many chains as it may, `Store` when it
    /// is not durable, and then it does not hold.
    pub fn set_chain(&self, chain: Chain, reason: String, actor: &Actor, now: Now) -> Result<ChainSet, Error> {
        let _one_at_a_time = self.deciding()?;
        let (project, chain) = (chain.project.clone(), Arc::new(chain));
        let of_project = self.chains.of(&project);
        let before = of_project.find(&chain.name).map(|before| (before.clone(), of_project.set_by(&chain.name)));
        if before.is_none() && of_project.chains.len() >= MOST_CHAINS {
            return Err(Error::Bound { name: "chains of a project", most: MOST_CHAINS as u64 });
        }
        check_not_drained(&chain, &of_project, now.wall)?;
        self.known(&project)?;
        let said_before: Vec<_> = of_project.said_of(&chain.name).cloned().collect();
        let has_no_longer = |said: &&ByHand| !chain.models.contains(&said.model);
        let ended: Vec<_> = said_before.iter().filter(has_no_longer).cloned().collect();
        let set = SetBy { set_by: actor.key.to_string(), at: now.wall, reason };
        let mut documents = vec![record::chain_document(&chain, &set)];
        documents.extend(ended.iter().map(|said| record::by_hand_removed(&project, said)));
        let entry = Entry {
            before: before.as_ref().map(|(before, set)| describe(before, &set.reason)).unwrap_or_default(),
            after: describe(&chain, &set.reason),
            ..actor.entry("chain.set", project.as_str(), &*chain.name)
        };
        self.write_chains(documents, entry, &ended, (&project, actor), now)?;
        self.chains.change_of(&project, |chains| {
            ended.iter().for_each(|said| chains.unsay(&said.chain, &said.model));
            chains.put(chain.clone(), set);
        });
        let ended = in_force(ended, now.wall);
        Ok(ChainSet { chain, before, said_before, ended })
    }

    /// Deletes a chain, and what is said by hand of its models.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Store` when it is not durable, and then it is still there.
    pub fn delete_chain(
        &self,
        (project, name): (&Project, &str),
        reason: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<ChainDeleted, Error> {
        let _one_at_a_time = self.deciding()?;
        let of_project = self.chains.of(project);
        let chain = found(&of_project, name)?;
        let ended: Vec<_> = of_project.said_of(name).cloned().collect();
        let mut documents = vec![record::chain_removed(project, name)];
        documents.extend(ended.iter().map(|said| record::by_hand_removed(project, said)));
        let set = of_project.set_by(name);
        let entry = Entry {
            before: describe(&chain, &set.reason),
            after: format!("deleted reason={reason:?}"),
            ..actor.entry("chain.delete", project.as_str(), name)
        };
        self.write_chains(documents, entry, &ended, (project, actor), now)?;
        self.chains.change_of(project, |chains| {
            ended.iter().for_each(|said| chains.unsay(&said.chain, &said.model));
            chains.remove(name);
        });
        let ended = in_force(ended, now.wall);
        Ok(ChainDeleted { chain, set, ended })
    }

    /// Pins or drains a model of a chain; takes the place of what was said of it before, which is returned beside it.
    ///
    /// # Errors
    /// `NotFound` when there is no such chain, `Invalid` as [`ByHand::check`] says, `Store` when it is not durable, and then
    /// it does not hold.
    pub fn say_by_hand(
        &self,
        project: &Project,
        said: ByHand,
        actor: &Actor,
        now: Now,
    ) -> Result<(ByHand, Option<ByHand>), Error> {
        let _one_at_a_time = self.deciding()?;
        let of_project = self.chains.of(project);
        let chain = found(&of_project, &said.chain)?;
        said.check(&chain, &of_project.by_hand, now.wall)?;
        let same = |other: &&ByHand| other.model == said.model && other.is_in_force(now.wall);
        let before = of_project.said_of(&said.chain).find(same).cloned();
        let entry = Entry {
            before: before.as_ref().map(describe_word).unwrap_or_default(),
            after: describe_word(&said),
            ..actor.entry(action(&said), project.as_str(), &*said.chain)
        };
        self.write_chains(vec![record::by_hand_document(project, &said)], entry, &[], (project, actor), now)?;
        self.chains.change_of(project, |chains| chains.say(said.clone()));
        Ok((said, before))
    }

    /// Ends what is said by hand of a model now; returns it as it was.
    ///
    /// # Errors
    /// `NotFound` when there is no such chain or nothing is said of the model, `Store` when it is not durable, and then it
    /// holds still.
    pub fn end_by_hand(
        &self,
        (project, name, model): (&Project, &str, &Meter),
        reason: &str,
        actor: &Actor,
        now: Now,
    ) -> Result<ByHand, Error> {
        let _one_at_a_time = self.deciding()?;
        let of_project = self.chains.of(project);
        found(&of_project, name)?;
        let said = of_project.said_of(name).find(|said| said.model == *model && said.is_in_force(now.wall));
        let Some(said) = said.cloned() else {
            return Err(Error::NotFound { what: "pin or drain in force of", name: model.model.to_string() });
        };
        let entry = Entry {
            before: describe_word(&said),
            after: format!("ended reason={reason:?}"),
            ..actor.entry("chain.end", project.as_str(), name)
        };
        self.write_chains(vec![record::by_hand_removed(project, &said)], entry, &[], (project, actor), now)?;
        self.chains.change_of(project, |chains| chains.unsay(&said.chain, &said.model));
        Ok(said)
    }

    /// Removes what was said by hand and has come to its end, with a row of the audit log for each. Called each second.
    ///
    /// # Errors
    /// When the store does not take it; it holds no longer all the same.
    pub(in crate::service) fn end_over_by_hand(&self, now: Now) -> Result<(), StoreError> {
        let over = |said: &&ByHand| said.end <= now.wall;
        for project in self.chains.projects_with(|chains| chains.by_hand.iter().any(|said| over(&said))) {
            let _one_at_a_time = self.deciding()?;
            let ended: Vec<_> = self.chains.of(&project).by_hand.iter().filter(over).cloned().collect();
            let documents = ended.iter().map(|said| record::by_hand_removed(&project, said)).collect();
            let row = |said: &ByHand| Entry {
                before: describe_word(said),
                after: "ended by itself".to_owned(),
                ..Actor::service().entry("chain.end", project.as_str(), &*said.chain)
            };
            let rows: Vec<_> = ended.iter().map(row).collect();
            self.ledger.write(Change { documents, ..Change::default() }, &rows, now.wall)?;
            self.chains.change_of(&project, |chains| {
                ended.iter().for_each(|said| chains.unsay(&said.chain, &said.model));
            });
        }
        Ok(())
    }

    /// Makes the project known that a chain is of.
    fn known(&self, project: &Project) -> Result<(), Error> {
        let (registry, most) = (&self.live.registry, self.live.bounds.projects);
        if !registry.has_project(project) {
            if registry.projects().len() >= most {
                return Err(Error::Bound { name: "projects", most: most as u64 });
            }
            let _made = registry.project(project);
        }
        Ok(())
    }

    /// Writes a decision, and a row for each word that ends with it.
    fn write_chains(
        &self,
        documents: Vec<Document>,
        entry: Entry,
        ended: &[ByHand],
        (project, actor): (&Project, &Actor),
        now: Now,
    ) -> Result<(), Error> {
        let row = |said: &ByHand| Entry {
            before: describe_word(said),
            after: "ended with its chain".to_owned(),
            ..actor.entry("chain.end", project.as_str(), &*said.chain)
        };
        let rows: Vec<_> = std::iter::once(entry).chain(ended.iter().map(row)).collect();
        self.ledger.write(Change { documents, ..Change::default() }, &rows, now.wall)?;
        Ok(())
    }
}

fn found(chains: &ProjectChains, name: &str) -> Result<Arc<Chain>, Error> {
    chains.find(name).cloned().ok_or_else(|| Error::NotFound { what: "chain", name: name.to_owned() })
}

/// Whether a model is left that is not drained by hand.
fn check_not_drained(chain: &Chain, chains: &ProjectChains, now: Time) -> Result<(), ChainError> {
    let drains = || chains.said_of(&chain.name).filter(|said| said.action == Action::Drain && said.is_in_force(now));
    match chain.models.iter().all(|model| drains().any(|said| said.model == *model)) {
        false => Ok(()),
        true => Err(ChainError {
            field: "models".to_owned(),
            problem: "has no model that is not drained by hand; end a drain first, or name another model".to_owned(),
        }),
    }
}

fn in_force(mut words: Vec<ByHand>, now: Time) -> Vec<ByHand> {
    words.retain(|said| said.is_in_force(now));
    words
}

const fn action(said: &ByHand) -> &'static str {
    match said.action {
        Action::Pin => "chain.pin",
        Action::Drain => "chain.drain",
    }
}

impl From<ChainError> for Error {
    fn from(wrong: ChainError) -> Self {
        Self::invalid(wrong.field, wrong.problem)
    }
}

/// What the audit log says of a chain.
fn describe(chain: &Chain, reason: &str) -> String {
    let models: Vec<_> = chain.models.iter().map(|model| Target::Meter(model.clone()).to_string()).collect();
    let thresholds = match chain.thresholds {
        Some(at) => format!("fill_percent={} return_percent={}", at.fill_percent, at.return_percent),
        None => "thresholds_off".to_owned(),
    };
    format!("{} {thresholds} dwell_s={} reason={reason:?}", models.join(" > "), chain.dwell.as_secs_f64())
}

/// What the audit log says of a pin or a drain.
fn describe_word(said: &ByHand) -> String {
    let model = Target::Meter(said.model.clone());
    format!("{} {model} end_us={} reason={:?}", said.action.as_str(), said.end.0, said.reason)
}
