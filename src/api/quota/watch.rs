//! The live list: all at once, then what changed, at most once a second. A reader that does not keep up skips to the
//! newest; nothing is queued for it.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::Status;

use crate::{
    api::{
        auth::standing::Standing,
        peer::Peer,
        quota::{Quotas, view},
    },
    error::Error,
    model::{KeyId, Kind, Project},
    proto::{Verdict, WatchQuotasResponse},
    query::{Part, QuotaList},
};

/// How often a reader is told what changed.
const INTERVAL: Duration = Duration::from_secs(1);
/// Times that nothing was to be told after which its reader is told so: it must know a quiet project from a broken line.
const MOST_QUIET: u32 = 10;
/// Messages that wait for the reader: the next one is made when this one is taken.
const WAITING: usize = 1;

/// What a reader watches.
#[derive(Clone, Debug)]
pub struct Watched {
    pub project: Project,
    /// Only these kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// Of the verdict's days and times.
    pub zone: TimeZone,
}

/// What a reader hears.
pub type Heard = Pin<Box<dyn Stream<Item = Said> + Send>>;

type Said = Result<WatchQuotasResponse, Status>;

/// What a reader was told.
struct Told {
    list: Arc<QuotaList>,
    verdict: Verdict,
}

/// Watches a project for one reader, until the reader or the service goes away.
pub fn start(quotas: Quotas, peer: Arc<Peer>, watched: Watched, standing: Standing) -> Heard {
    let (changes, waiting) = mpsc::channel(WAITING);
    // Why it ends has a place of its own: a reader that is behind hears it after what waits.
    let (last, end) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Some(error) = watch(quotas, peer, watched, standing, changes).await {
            // An error means that the reader has gone.
            let _ = last.try_send(Err(error.into()));
        }
    });
    Box::pin(ReceiverStream::new(waiting).chain(ReceiverStream::new(end)))
}

/// Tells what changed until it ends, and why it does; nothing when its reader has gone.
async fn watch(
    quotas: Quotas,
    peer: Arc<Peer>,
    watched: Watched,
    mut standing: Standing,
    changes: mpsc::Sender<Said>,
) -> Option<Error> {
    let mut draining = quotas.draining.clone();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Told> = None;
    let mut quiet = 0;
    loop {
        // What is told is looked up only when there is room for it.
        let room = tokio::select! {
            room = changes.reserve() => room,
            () = draining.begun() => return Some(Error::ShuttingDown),
            error = standing.lost() => return Some(error),
            () = peer.is_old() => return Some(Error::ShuttingDown),
        };
        let Ok(room) = room else { return None };
        tokio::select! {
            _ = ticks.tick() => {}
            () = draining.begun() => return Some(Error::ShuttingDown),
            error = standing.lost() => return Some(error),
            () = peer.is_old() => return Some(Error::ShuttingDown),
            () = changes.closed() => return None,
        }
        match newest(&quotas, &watched.project).await {
            Ok(list) => {
                let verdict = view::verdict(&list, &watched.zone);
                let newest = Told { list, verdict };
                let changed = changed(told.as_ref(), &newest, &watched.kinds);
                let is_new = !changed.quotas.is_empty() || !told.as_ref().is_some_and(|told| told.is_as(&newest));
                quiet = if is_new { 0 } else { quiet + 1 };
                if quiet % MOST_QUIET == 0 {
                    room.send(Ok(changed));
                }
                told = Some(newest);
            }
            Err(error) => return Some(error),
        }
    }
}

async fn newest(quotas: &Quotas, project: &Project) -> Result<Arc<QuotaList>, Error> {
    let queries = quotas.queries();
    let now = queries.service().clock.now();
    if queries.is_at_hand(project, &Part::default(), now) {
        return queries.shared_list(project, now);
    }
    let project = project.clone();
    quotas.aside.run(move |queries| queries.shared_list(&project, now)).await
}

impl Told {
    /// Whether it says the same of the whole project.
    fn is_as(&self, newest: &Self) -> bool {
        self.list.settling == newest.list.settling && self.verdict == newest.verdict
    }
}

/// What of a list was not told, with what is said of the whole.
fn changed(told: Option<&Told>, newest: &Told, kinds: &[Kind]) -> WatchQuotasResponse {
    let Told { list, verdict } = newest;
    let told_quotas = told.into_iter().flat_map(|told| &told.list.quotas);
    let known: HashMap<KeyId, _> = told_quotas.map(|told| (told.id, told)).collect();
    let of_kind = |kind: Kind| kinds.is_empty() || kinds.contains(&kind);
    let quotas = list.quotas.iter().filter(|quota| of_kind(quota.key.target.kind()));
    let quotas = quotas.filter(|quota| known.get(&quota.id) != Some(quota)).map(view::quota).collect();
    let (as_of, settling) = (Some(view::second(list.as_of)), list.settling);
    WatchQuotasResponse { quotas, as_of, settling, verdict: Some(verdict.clone()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        model::{Bound, Key, Meter, Target, Tick},
        query::QuotaView,
    };

    fn told(quotas: Vec<QuotaView>) -> Told {
        let list = Arc::new(QuotaList { as_of: Tick(9), settling: false, quotas, more: false });
        let verdict = view::verdict(&list, &TimeZone::UTC);
        Told { list, verdict }
    }

    fn quota(nth: u32, peak_bound: Bound) -> QuotaView {
        let meter = Meter::new(Kind::Tts, &format!("a/{nth}"), "", None).unwrap();
        QuotaView {
            id: KeyId(nth),
            key: Key { project: Project::new("p").unwrap(), target: Target::Meter(meter) },
            name: "a".into(),
            in_catalogue: false,
            level: 2,
            level_bound: Bound::Exact,
            silent_level: 0,
            covered: true,
            limit: None,
            risk: None,
            week: None,
            minutes_near: 0,
            marks: Arc::default(),
            minutes_covered: 1,
            known_since: None,
            peak: Some((2, Tick(8))),
            peak_bound,
            sure_peak: 2,
            recent_peak: 2,
            recent_peak_bound: Bound::Exact,
            recent_sure: 2,
            opened: 2,
            refused: 0,
            diverted: 0,
            closed: Default::default(),
            provider: None,
        }
    }

    #[test]
    fn how_a_peak_is_to_be_read_is_told_when_nothing_else_changed() {
        let before = told(vec![quota(1, Bound::Exact), quota(2, Bound::Exact)]);
        let after = told(vec![quota(1, Bound::Exact), quota(2, Bound::AtLeast)]);
        let changed = changed(Some(&before), &after, &[]);
        let bounds: Vec<_> = changed.quotas.iter().map(|quota| quota.peak_bound()).collect();
        assert_eq!(bounds, [crate::proto::Bound::AtLeast]);
        assert_eq!(super::changed(Some(&after), &after, &[]).quotas, []);
    }
}
