//! The model of one session: a function of the route, of how full the models are at this moment, and of who asks. It never
//! names a model without room, and names one as long as any has room.

pub use crate::model::text::hash;
use crate::{
    model::Chain,
    route::{
        breaker::Condition,
        decide::{ChainRoute, Stand, View},
        split::{self, ALL},
    },
};

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// [`hash`] of the job label, or of the session's id where there is none: sessions of a job go the same way.
    pub job: u64,
    /// Place of the model that a live session of the job holds.
    pub stays: Option<usize>,
    /// Places, as bits, of the models that failed this session already: it goes on along the chain.
    pub tried: u8,
    /// Places, as bits, of the models that were down and may be tried by this worker.
    pub may_probe: u8,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It leads.
    Leads,
    /// A session of the job is there already.
    Stays,
    /// The leader fills, and the job is of the share that leaves it; or the leader's share has not returned yet.
    Share,
    /// Those before it have no room.
    Overflow,
    /// It was down, and this session tries it.
    Probe,
    /// Its provider is down or refuses at this level; every other model is full.
    LastResort,
}

/// Why a model was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    NoRoom,
    Drained,
    /// It failed this session already.
    Failed,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Grant {
        place: usize,
        why: Why,
    },
    /// The cause of each model, in the order of the chain.
    Refused(Vec<Cause>),
}

impl ChainRoute {
    /// The model that the route names for a job: the leader's share first, then the others' in order, so that a share that
    /// grows takes from one side only.
    pub fn named(&self, job: u64) -> usize {
        let point = u32::try_from(job % u64::from(ALL)).unwrap_or(0);
        let others = (0..self.models.len()).filter(|place| *place != self.leader);
        let mut sum = 0;
        let mut places = [self.leader].into_iter().chain(others);
        let mut named = |place: &usize| {
            sum += self.models[*place].percent;
            point < sum
        };
        places.find(|place| named(place)).unwrap_or(self.leader)
    }
}

/// Chooses the model of one session. The views are those of this moment; the route may be older.
pub fn choose(chain: &Chain, route: &ChainRoute, views: &[View], asked: &Asked) -> Choice {
    let tried = |place: usize| asked.tried >> place & 1 == 1;
    let drained = |place: usize| route.models[place].stand == Stand::Drained;
    let open = |place: &usize| !tried(*place) && !drained(*place) && views[*place].standing.room() > 0;
    let usable = |place: &usize| {
        let view = &views[*place];
        open(place) && view.condition == Condition::Up && view.standing.proven_room() > 0
    };
    let grant = |place: usize, why: Why| Choice::Grant { place, why };
    if let Some(place) = asked.stays.filter(usable) {
        return grant(place, Why::Stays);
    }
    let leader = route.leader;
    let in_order = || (leader..views.len()).chain(0..leader);
    let named = Some(route.named(asked.job)).filter(usable).filter(|place| {
        // Nobody leaves a leader that has room again since the route was made, nor for a fallback that is to be kept for
        // those who need it.
        let early = || route.models[leader].stand != Stand::Full && may_take_early(chain, &views[*place]);
        *place <= leader || !usable(&leader) || early()
    });
    let chosen = named.or_else(|| in_order().find(usable));
    let may_probe = |place: &usize| open(place) && asked.may_probe >> place & 1 == 1;
    // What stands before the chosen one is tried again; what stands behind it, only when it is needed.
    if let Some(place) = (0..chosen.unwrap_or(views.len())).find(may_probe) {
        return grant(place, Why::Probe);
    }
    match chosen {
        Some(place) if place == leader => grant(place, Why::Leads),
        Some(place) if named.is_some() => {
            grant(place, if usable(&leader) || place < leader { Why::Share } else { Why::Overflow })
        }
        Some(place) => grant(place, Why::Overflow),
        None => last_resort(views, open)
            .map_or_else(|| refused(tried, drained, views.len()), |place| grant(place, Why::LastResort)),
    }
}

/// Whether a fallback may take a session that leaves a leader with room.
fn may_take_early(chain: &Chain, view: &View) -> bool {
    view.standing.held < split::early_capacity(&view.standing, chain.thresholds)
}

/// What is left when no model that does well has room: to try is better than to refuse. Those above a learned ceiling
/// first, then those that are tried again, then those that are down.
fn last_resort(views: &[View], open: impl Fn(&usize) -> bool) -> Option<usize> {
    let rank = |place: &usize| match views[*place].condition {
        Condition::Up => 0,
        Condition::Probing => 1,
        Condition::Down => 2,
    };
    (0..views.len()).filter(open).min_by_key(rank)
}

fn refused(tried: impl Fn(usize) -> bool, drained: impl Fn(usize) -> bool, models: usize) -> Choice {
    let cause = |place: usize| match (tried(place), drained(place)) {
        (true, _) => Cause::Failed,
        (_, true) => Cause::Drained,
        (false, false) => Cause::NoRoom,
    };
    Choice::Refused((0..models).map(cause).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{
            Catalogue, Kind, Project,
            chain::{Draft, DraftModel},
        },
        route::{
            decide::ModelRoute,
            standing::{Scope, Standing},
        },
    };

    fn chain(models: usize, thresholds_off: bool) -> Chain {
        let models = ["a/one", "a/two", "a/three", "a/four"][..models].iter();
        let models: Vec<_> = models.map(|model| DraftModel { model, ..DraftModel::default() }).collect();
        let draft = Draft { name: "agents", models: &models, thresholds_off, ..Draft::default() };
        Chain::new(&Project::new("acme").unwrap(), Kind::Tts, &draft, &Catalogue::default()).unwrap()
    }

    fn view(level: u32, limit: u32, condition: Condition) -> View {
        let model = Scope { level, limit: Some(limit) };
        View { standing: Standing { model, held: level, ..Standing::default() }, condition }
    }

    fn route(leader: usize, percents: &[u32]) -> ChainRoute {
        let of = |percent: &u32| ModelRoute {
            percent: *percent,
            stand: Stand::Open,
            condition: Condition::Up,
            ceiling: None,
        };
        let models = percents.iter().map(of).collect();
        ChainRoute { leader, models }
    }

    #[track_caller]
    fn check(views: &[View], percents: &[u32], asked: Asked, choice: Choice) {
        assert_eq!(choose(&chain(views.len(), false), &route(0, percents), views, &asked), choice);
    }

    fn grant(place: usize, why: Why) -> Choice {
        Choice::Grant { place, why }
    }

    #[test]
    fn a_session_goes_where_its_job_is_named_and_else_where_there_is_room() {
        use Condition::Up;
        let half_full = [view(18, 20, Up), view(2, 20, Up)];
        let at = |job: u64| Asked { job, ..Asked::default() };
        check(&half_full, &[70, 30], at(69), grant(0, Why::Leads));
        check(&half_full, &[70, 30], at(70), grant(1, Why::Share));
        check(&[view(18, 20, Up), view(10, 20, Up)], &[70, 30], at(70), grant(0, Why::Leads));
        check(&[view(20, 20, Up), view(19, 20, Up)], &[100, 0], at(0), grant(1, Why::Overflow));
        check(&[view(20, 20, Up), view(19, 20, Up)], &[0, 100], at(0), grant(1, Why::Overflow));
        check(&[view(19, 20, Up), view(20, 20, Up)], &[0, 100], at(0), grant(0, Why::Leads));
        let stays = Asked { stays: Some(1), ..at(0) };
        check(&half_full, &[100, 0], stays, grant(1, Why::Stays));
        check(&[view(18, 20, Up), view(20, 20, Up)], &[100, 0], stays, grant(0, Why::Leads));
        let failed = Asked { tried: 1, ..at(0) };
        check(&half_full, &[100, 0], failed, grant(1, Why::Overflow));
        let full = [view(20, 20, Up), view(20, 20, Up)];
        check(&full, &[100, 0], failed, Choice::Refused(vec![Cause::Failed, Cause::NoRoom]));
    }

    #[test]
    fn what_is_down_is_passed_over_tried_by_few_and_used_before_anyone_is_refused() {
        use Condition::{Down, Probing, Up};
        let asked = Asked::default();
        check(&[view(0, 20, Down), view(0, 20, Up)], &[0, 100], asked, grant(1, Why::Overflow));
        check(&[view(0, 20, Probing), view(0, 20, Up)], &[0, 100], asked, grant(1, Why::Overflow));
        let prober = Asked { may_probe: 1, ..asked };
        check(&[view(0, 20, Probing), view(0, 20, Up)], &[0, 100], prober, grant(0, Why::Probe));
        // A fallback is tried again only by who needs it.
        let prober = Asked { may_probe: 2, ..asked };
        check(&[view(0, 20, Up), view(0, 20, Probing)], &[100, 0], prober, grant(0, Why::Leads));
        check(&[view(20, 20, Up), view(0, 20, Probing)], &[100, 0], prober, grant(1, Why::Probe));
        check(&[view(20, 20, Up), view(0, 20, Down)], &[100, 0], asked, grant(1, Why::LastResort));
        let mut refusing = view(18, 20, Up);
        refusing.standing.ceiling = Some(18);
        check(&[refusing, view(19, 20, Up)], &[100, 0], asked, grant(1, Why::Overflow));
        check(&[refusing, view(20, 20, Up)], &[100, 0], asked, grant(0, Why::LastResort));
    }

    #[test]
    fn jobs_spread_evenly_and_a_share_that_grows_moves_few() {
        let jobs = (0..20_000).map(|job: u32| hash(&job.to_le_bytes()));
        let routes = [route(0, &[100, 0, 0]), route(0, &[70, 20, 10]), route(0, &[60, 30, 10])];
        let mut counts = [0; 3];
        for job in jobs {
            let [all, before, after] = [0, 1, 2].map(|nth| routes[nth].named(job));
            assert_eq!(all, 0);
            counts[before] += 1;
            assert!(before != 0 || after <= 1, "from the leader to the model whose share grew");
        }
        assert!((13_700..14_300).contains(&counts[0]) && (3_800..4_200).contains(&counts[1]), "{counts:?}");
        assert_eq!(hash(b"job"), 0x562c_153e_174e_b750, "clients compute the same");
    }

    fn views() -> impl Strategy<Value = Vec<View>> {
        let condition = prop::sample::select(vec![Condition::Up, Condition::Down, Condition::Probing]);
        let one = (0_u32..12, prop::option::of(0_u32..12), prop::option::of(1_u32..12), 0_u32..12, condition);
        let view = |(level, limit, ceiling, held, condition)| View {
            standing: Standing {
                model: Scope { level, limit },
                ceiling,
                held: u32::min(held, level),
                ..Standing::default()
            },
            condition,
        };
        prop::collection::vec(one.prop_map(view), 4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        /// Whatever is seen and said: a grant has room, and nobody is refused beside a free slot.
        #[test]
        fn a_grant_has_room_and_nobody_is_refused_beside_a_free_slot(
            views in views(), shares in prop::collection::vec(0_u32..100, 4), drained in 0_u8..16, leader in 0_usize..4,
            job: u64, stays in prop::option::of(0_usize..4), tried in 0_u8..16, may_probe in 0_u8..16, off: bool,
        ) {
            let sum = shares.iter().sum::<u32>().max(1);
            let mut percents: Vec<_> = shares.iter().map(|share| share * 100 / sum).collect();
            percents[leader] += 100 - percents.iter().sum::<u32>();
            let mut route = route(leader, &percents);
            let is = |bits: u8, place: usize| bits >> place & 1 == 1;
            for place in 0..4 {
                if is(drained, place) {
                    route.models[place].stand = Stand::Drained;
                }
            }
            let open = |place: usize| !is(tried, place) && !is(drained, place) && views[place].standing.room() > 0;
            let well = |place: usize| {
                open(place) && views[place].condition == Condition::Up && views[place].standing.proven_room() > 0
            };
            let asked = Asked { job, stays, tried, may_probe };
            match choose(&chain(4, off), &route, &views, &asked) {
                Choice::Grant { place, why } => {
                    prop_assert!(open(place));
                    match why {
                        Why::Probe => prop_assert!(is(may_probe, place)),
                        Why::LastResort => prop_assert!(!(0..4).any(well)),
                        Why::Stays => prop_assert_eq!(stays, Some(place)),
                        _ => prop_assert!(well(place)),
                    }
                    if let Some(stays) = stays.filter(|stays| well(*stays)) {
                        prop_assert_eq!(place, stays);
                    }
                }
                Choice::Refused(causes) => {
                    prop_assert!(!(0..4).any(open));
                    prop_assert_eq!(causes.len(), 4);
                }
            }
        }
    }
}
