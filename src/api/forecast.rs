//! What would be, over gRPC.

use tonic::{Request, Response, Status};

use crate::{
    api::{
        aside::Aside,
        auth::Caller,
        convert::{self, Checked},
        quota::view::{moment, plus_one},
    },
    error::FieldProblem,
    model::{key, limit::MAX_SLOTS},
    proto::{self, ProposeAssignmentRequest, ProposeAssignmentResponse, forecast_service_server::ForecastService},
    query::{
        QuotaView,
        assignment::{Proposal, Share},
    },
};

/// The forecast service.
#[derive(Clone, Debug)]
pub struct Forecasts {
    aside: Aside,
}

impl Forecasts {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }
}

#[tonic::async_trait]
impl ForecastService for Forecasts {
    async fn propose_assignment(
        &self,
        request: Request<ProposeAssignmentRequest>,
    ) -> Result<Response<ProposeAssignmentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let project = convert::project(&request.project)?;
        let kind = convert::kind(request.kind)?;
        let account = key::account(&request.account).map_err(FieldProblem::from)?;
        let slots = slots(request.slots)?;
        let now = self.aside.queries.service().clock.now();
        let proposal = self.aside.run(move |queries| queries.proposal(&project, kind, &account, slots, now));
        Ok(Response::new(view(proposal.await?)))
    }
}

/// Slots to share; `None` when none are named.
fn slots(slots: u32) -> Checked<Option<u32>> {
    match slots {
        0 => Ok(None),
        1..=MAX_SLOTS => Ok(Some(slots)),
        _ => Err(FieldProblem::new("slots", format!("is {slots}; at most {MAX_SLOTS} can be shared"))),
    }
}

fn view(proposal: Proposal) -> ProposeAssignmentResponse {
    let Proposal { slots, pool, shares, sentence } = proposal;
    let limits = shares.iter().filter_map(|share| limit(&share.quota));
    let peaks = shares.iter().filter_map(|share| share.quota.peak);
    ProposeAssignmentResponse {
        slots,
        pool_limit_plus_one: plus_one(limit(&pool)),
        pool_peak: pool.peak.map(moment),
        assigned: limits.map(u64::from).sum(),
        sum_of_peaks: peaks.map(|(peak, _)| u64::from(peak)).sum(),
        shares: shares.iter().map(share).collect(),
        sentence,
    }
}

fn limit(quota: &QuotaView) -> Option<u32> {
    quota.limit.as_ref().and_then(|limit| limit.slots)
}

fn share(share: &Share) -> proto::Share {
    let quota = &share.quota;
    proto::Share {
        target: Some(convert::to_target(&quota.key.target)),
        display_name: quota.name.to_string(),
        limit_plus_one: plus_one(limit(quota)),
        peak: quota.peak.map(moment),
        p99: share.p99,
        minutes_near_limit: quota.minutes_near,
        proposed_slots: share.proposed,
        minutes_above_proposed: share.minutes_above,
    }
}
