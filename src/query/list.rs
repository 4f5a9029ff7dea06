//! The list of a project's meters and pools and how each stands. What is live is read anew each time; the last seven days
//! are brought up to date once a minute, from the store.

use std::{
    borrow::Cow,
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    history::{Marks, Risk, Week, is_near, reaches_limit},
    live::{Tally, word::RING_TICKS},
    model::{
        Bound, Coverage, Flags, Key, KeyId, Kind, LimitEntry, LimitHistory, Minute, Now, Outcome, Point, Project, Tick,
        request::Evidence, time::MINUTES_PER_WEEK,
    },
    query::{
        Queries, Result,
        listing::{Listed, Listing},
        past::Since,
    },
    rollup::Recent,
    service::{Service, routing::Standing},
};

/// Seconds that the risk is of: five minutes.
const RISK_SECONDS: u64 = 5 * 60;
/// Projects whose shared list is kept when nobody is at it.
const MOST_SHARED: usize = 256;

/// The meters and pools of a project: by kind, the pool before its meters, these by name.
#[derive(Clone, Debug)]
pub struct QuotaList {
    /// The second that the levels are of.
    pub as_of: Tick,
    /// Levels are lower bounds: the service learns after a restart.
    pub settling: bool,
    pub quotas: Vec<QuotaView>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// Which part of a list is wanted; all of it by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only these kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// Only what comes after this key, which is in the list.
    pub after: Option<KeyId>,
    /// At most so many.
    pub most: Option<usize>,
}

/// A meter or pool and how it stands. "Week" is the last seven days, the second in progress included.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaView {
    pub id: KeyId,
    pub key: Key,
    /// As people say it.
    pub name: Arc<str>,
    pub in_catalogue: bool,
    pub level: u32,
    /// Whether there may be more: the service settles, or sessions of a worker are not counted (yet).
    pub level_bound: Bound,
    /// The part of the level that silent workers hold.
    pub silent_level: u32,
    /// The level is known, in full or in part.
    pub covered: bool,
    /// The limit in force.
    pub limit: Option<LimitEntry>,
    /// `None` without a limit.
    pub risk: Option<Risk>,
    /// `None` when no limit was in force in the week.
    pub week: Option<Week>,
    /// Minutes of the week that surely came near the limit then in force.
    pub minutes_near: u32,
    /// Which those are, and which of them reached the limit then in force.
    pub marks: Arc<Marks>,
    /// Minutes of the week that are covered, 0 to 10,080.
    pub minutes_covered: u32,
    /// The first minute of which anything is known, where that is within the week; `None` else.
    pub known_since: Option<Minute>,
    /// Highest level of the week and the second in which it was first reached; `None` when nothing is covered.
    pub peak: Option<(u32, Tick)>,
    /// How the peak of the week is to be read.
    pub peak_bound: Bound,
    /// Highest level of the week that was surely reached: less than its peak where late events raised that.
    pub sure_peak: u32,
    /// Highest level of the last five minutes.
    pub recent_peak: u32,
    /// How it is to be read.
    pub recent_peak_bound: Bound,
    /// Highest level of the last five minutes that was surely reached: the risk is of this.
    pub recent_sure: u32,
    /// Sessions opened in the week.
    pub opened: u64,
    /// Who asked for a slot in the week and was refused, and who was given one of another model.
    pub refused: u64,
    pub diverted: u64,
    /// Sessions closed in the week, by [`Outcome::index`].
    pub closed: [u64; Outcome::COUNT],
    /// How the provider of a model does; `None` of pools, and of kinds without models.
    pub provider: Option<Standing>,
}

impl QuotaView {
    /// Attempts of the week that were turned away: by a provider for concurrency or rate, or by the service for a limit.
    pub const fn turned_away(&self) -> u64 {
        let [concurrency, rate] = [Outcome::Concurrency.index(), Outcome::Rate.index()];
        self.closed[concurrency] + self.closed[rate] + self.refused + self.diverted
    }
}

/// The lists that watchers share: one a project and second.
#[derive(Debug, Default)]
pub struct Lists(Mutex<HashMap<Project, Shared>>);

type Shared = Arc<Mutex<Option<Arc<QuotaList>>>>;

impl Queries {
    /// The meters and pools of a project. Reads the store unless [`is_at_hand`](Self::is_at_hand).
    ///
    /// # Errors
    /// When the project was never seen, or the store can't be read.
    pub fn list(&self, project: &Project, part: &Part, now: Now) -> Result<QuotaList> {
        self.seen(project)?;
        let service = &*self.service;
        let settling = service.live.is_settling();
        let as_of = service.live.tick(now);
        let listing = self.listings.of(project, &service.live.registry, &service.catalogue);
        let mut keys = part.of(&listing);
        let most = part.most.unwrap_or(usize::MAX);
        let quotas = keys.by_ref().take(most).map(|key| self.view(key, as_of, settling, now)).collect::<Result<_>>()?;
        Ok(QuotaList { as_of, settling, quotas, more: keys.next().is_some() })
    }

    /// One meter or pool. Reads the store.
    ///
    /// # Errors
    /// When the project or the target was never seen, or the store can't be read.
    pub fn quota(&self, key: &Key, now: Now) -> Result<QuotaView> {
        let tally = self.tally(key)?;
        let service = &*self.service;
        let listing = self.listings.of(&key.project, &service.live.registry, &service.catalogue);
        let listed = listing.keys.iter().find(|listed| listed.tally.id == tally.id);
        let listed = listed.ok_or_else(|| self.no_such(key))?;
        self.view(listed, service.live.tick(now), service.live.is_settling(), now)
    }

    /// Whether a list takes no read of the store.
    pub fn is_at_hand(&self, project: &Project, part: &Part, now: Now) -> bool {
        let service = &*self.service;
        let listing = self.listings.of(project, &service.live.registry, &service.catalogue);
        let keys = part.of(&listing).take(part.most.unwrap_or(usize::MAX)).map(|key| key.tally.id);
        self.weeks.are_fresh(keys, minute_in_progress(service, service.live.tick(now)), now, service)
    }

    /// The list of a project with all kinds as it was when it was first asked for in this second: what a hundred
    /// watchers see costs one list. Reads the store unless [`is_at_hand`](Self::is_at_hand).
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn shared_list(&self, project: &Project, now: Now) -> Result<Arc<QuotaList>> {
        self.seen(project)?;
        let shared = self.lists.of(project);
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = self.service.live.tick(now);
        if let Some(list) = shared.as_ref().filter(|list| list.as_of >= tick) {
            return Ok(list.clone());
        }
        let list = Arc::new(self.list(project, &Part::default(), now)?);
        *shared = Some(list.clone());
        Ok(list)
    }

    /// What the last seven days say for a higher limit of a key; nothing where it was never seen.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn evidence(&self, key: &Key, now: Now) -> Result<Evidence> {
        let service = &*self.service;
        let listing = self.listings.of(&key.project, &service.live.registry, &service.catalogue);
        let Some(listed) = listing.keys.iter().find(|listed| listed.tally.key == *key) else {
            return Ok(Evidence::default());
        };
        let view = self.view(listed, service.live.tick(now), service.live.is_settling(), now)?;
        Ok(Evidence {
            limit: view.limit.as_ref().and_then(|limit| limit.slots),
            peak: view.peak,
            peak_bound: view.peak_bound,
            minutes_near: view.minutes_near,
            minutes_covered: view.minutes_covered,
            week: view.week.map(|week| week.as_str().to_owned()).unwrap_or_default(),
            turned_away: view.turned_away(),
        })
    }

    pub(super) fn view(&self, listed: &Listed, as_of: Tick, settling: bool, now: Now) -> Result<QuotaView> {
        let service = &*self.service;
        let tally = &listed.tally;
        let minute = minute_in_progress(service, as_of);
        let past = self.weeks.of(tally.id, minute, now, service)?;
        let limits = service.limits.of(tally.id);
        let limit = limits.in_force(now.wall).cloned();
        let since = Tick((as_of.0 + 1).saturating_sub(RISK_SECONDS));
        let (recent, this_minute, next, coverage) = {
            let mut rollup = service.rollup();
            let this_minute = rollup.points(tally.id, minute..minute.next()).pop().map(|(_, point)| point);
            let next = rollup.next_tick().unwrap_or(as_of);
            let this_minute = this_minute.unwrap_or(Point::GAP);
            (rollup.recent(tally.id, since), this_minute, next, rollup.coverage(tally.id))
        };
        let covered = listed.is_covered();
        let newest = covered.then(|| newest_peak(tally, next, as_of));
        // What history was not told of yet is known as the seconds before it.
        let is_lower_bound = settling || coverage == Coverage::Partial;
        let newest_flags = if is_lower_bound { Flags::PARTIAL } else { Flags::default() };
        let seen = [recent.peak.map(|peak| (peak, recent.flags)), newest.map(|peak| (peak, newest_flags))];
        let recent_peak = seen.into_iter().flatten().reduce(higher);
        let recent_sure = recent.sure.max(newest.map_or(0, |(level, _)| level));
        let week_peak = past.peak.map(|peak| (peak, past.peak_flags)).into_iter().chain(recent_peak).reduce(higher);
        let slots_of_minute = limits.slots_at(minute.first_tick().start());
        let (mut near, mut marks) = (Cow::Borrowed(&past.near), past.marks.clone());
        let this_sure = this_minute.sure_peak();
        if !this_minute.is_gap() && is_near(this_sure, slots_of_minute) {
            near.to_mut().cover(1);
            near.to_mut().add(minute, &service.config.time_zone);
            let reached = u64::from(reaches_limit(this_sure, slots_of_minute));
            Arc::make_mut(&mut marks).add(minute.hour(), 1 << minute.of_hour(), reached << minute.of_hour());
        }
        let known = covered && !settling && is_whole(&recent, since..next, past.first_covered);
        let highest = recent_peak.map_or(0, |((peak, _), _)| peak);
        let slots = limit.as_ref().and_then(|limit| limit.slots);
        let level = tally.word.level();
        let minutes_covered = past.covered + u32::from(!this_minute.is_gap());
        Ok(QuotaView {
            id: tally.id,
            key: tally.key.clone(),
            name: listed.name.clone(),
            in_catalogue: listed.in_catalogue,
            level,
            level_bound: if settling || listed.is_incomplete() { Bound::AtLeast } else { Bound::Exact },
            silent_level: listed.silent_level().min(level),
            covered,
            limit,
            risk: slots.map(|slots| Risk::of(recent_sure, Some(slots), known)),
            // Of a week of which nothing is known, nothing is said.
            week: (minutes_covered > 0 && was_limited(&limits, as_of)).then(|| near.word()),
            minutes_near: near.near() as u32,
            marks,
            minutes_covered,
            known_since: match past.since {
                Since::Minute(first) => Some(first),
                Since::Never => (!this_minute.is_gap()).then_some(minute),
                Since::Before | Since::Unsaid => None,
            },
            peak: week_peak.map(|(peak, _)| peak),
            peak_bound: week_peak.map_or(Bound::Exact, |(_, flags)| flags.bound()),
            sure_peak: past.sure.max(recent_sure).max(this_sure),
            recent_peak: highest,
            recent_peak_bound: recent_peak.map_or(Bound::Exact, |(_, flags)| flags.bound()),
            recent_sure,
            opened: past.opened + u64::from(this_minute.opened),
            refused: past.turned[0] + u64::from(this_minute.refused),
            diverted: past.turned[1] + u64::from(this_minute.diverted),
            closed: std::array::from_fn(|outcome| past.closed[outcome] + u64::from(this_minute.closed[outcome])),
            provider: service.provider(tally, now),
        })
    }
}

impl Part {
    /// The keys of the part and all that come after it.
    fn of<'a>(&'a self, listing: &'a Listing) -> impl Iterator<Item = &'a Listed> {
        let after = self.after.and_then(|after| listing.keys.iter().position(|key| key.tally.id == after));
        let rest = &listing.keys[after.map_or(0, |at| at + 1)..];
        rest.iter().filter(|key| self.kinds.is_empty() || self.kinds.contains(&key.tally.key.target.kind()))
    }
}

impl Lists {
    fn of(&self, project: &Project) -> Shared {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= MOST_SHARED && !lists.contains_key(project) {
            // Those that a watcher is at have a second owner.
            lists.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        lists.entry(project.clone()).or_default().clone()
    }
}

/// A level, when it was reached, and the flags of its minute.
type Seen = ((u32, Tick), Flags);

/// The higher of two peaks; of equal ones the first, which is the earlier.
const fn higher(first: Seen, second: Seen) -> Seen {
    if second.0.0 > first.0.0 { second } else { first }
}

/// The highest level since second `next`, which history has not been told of.
fn newest_peak(tally: &Tally, next: Tick, as_of: Tick) -> (u32, Tick) {
    let rolled = tally.next_tick();
    let first = next.0.max(rolled.0.saturating_sub(RING_TICKS as u64));
    let of_tick = |tick| tally.word.tick_peak(Tick(tick)).map(|seen| (seen.peak, Tick(tick)));
    let highest = |first: (u32, Tick), second: (u32, Tick)| if second.0 > first.0 { second } else { first };
    (first..rolled.0).filter_map(of_tick).chain([(tally.word.peak(), as_of)]).reduce(highest).unwrap_or((0, as_of))
}

/// The minute that frames still tell of. What is before it is read once a minute, so the last second of a minute must be
/// rolled before the minute counts as past.
pub(super) fn minute_in_progress(service: &Service, as_of: Tick) -> Minute {
    service.rollup().next_tick().map_or(as_of, |next| next.min(as_of)).minute()
}

/// Seconds of the last five minutes that may be missing before nothing is said of how near a level is to its limit: the
/// time that the service learns after a restart, and a moment to start. A limit that was reached is told all the same.
const MOST_MISSING_SECONDS: u64 = 15;

/// Whether the seconds are known, but for a restart; or those from the first that ever was: what is new is not missing
/// before.
fn is_whole(recent: &Recent, seconds: Range<Tick>, first_covered: Option<Minute>) -> bool {
    let from = match (recent.first, first_covered) {
        (Some(first), Some(ever)) if ever < first.minute() => seconds.start,
        (Some(first), _) => first,
        (None, Some(_)) => seconds.start,
        (None, None) => return true,
    };
    recent.known + MOST_MISSING_SECONDS >= seconds.end.0.saturating_sub(from.0)
}

/// Whether any limit was in force in the week.
fn was_limited(limits: &LimitHistory, as_of: Tick) -> bool {
    let start = Minute((as_of.minute().0 + 1).saturating_sub(MINUTES_PER_WEEK)).first_tick().start();
    let begun = |entry: &LimitEntry| entry.slots.is_some() && entry.start >= start;
    limits.slots_at(start).is_some() || limits.entries().iter().any(begun)
}
