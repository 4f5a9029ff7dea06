//! The limits that a slot is asked for under: of its model, of its kind in the project, and of the model across projects,
//! all enforced. None is ever reached, so that what is compared is a grant.

use highwater::proto::{
    EnforcementMode, Meter, Pool, SetEnforcementRequest, SetLimitRequest, Target,
    limit_service_client::LimitServiceClient, target,
};
use tonic::{Request, transport::Endpoint};

use crate::{
    fleet::{METERS, meter},
    process::Process,
};

/// The project that stands for all.
const ACROSS: &str = "-";
const SLOTS: u32 = 1_000;

/// Sets and enforces them.
pub async fn enforce(process: &Process) {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.address)).expect("the address is one");
    let mut client = LimitServiceClient::new(endpoint.connect().await.expect("the service takes connections"));
    let key = format!("Bearer {}", process.operator.as_ref().expect("the service has an operator"));
    let as_operator = |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", key.parse().expect("a key has no other bytes than a header"));
        request.into_parts().0
    };
    for (project, target) in (1..=METERS).flat_map(|number| scopes(meter(number))) {
        let limit = SetLimitRequest {
            project,
            target: Some(target),
            slots: Some(SLOTS),
            set_by: "bench".to_owned(),
            ..Default::default()
        };
        let request = Request::from_parts(as_operator(Request::new(())), Default::default(), limit);
        client.set_limit(request).await.expect("an operator may set limits");
    }
    for project in ["bench", ACROSS] {
        let choice = SetEnforcementRequest {
            project: project.to_owned(),
            mode: EnforcementMode::Enforce as i32,
            set_by: "bench".to_owned(),
            ..Default::default()
        };
        let request = Request::from_parts(as_operator(Request::new(())), Default::default(), choice);
        client.set_enforcement(request).await.expect("an operator may enforce them");
    }
}

/// The three limits of a meter.
fn scopes(meter: Meter) -> [(String, Target); 3] {
    let of = |project: &str, target: target::Target| (project.to_owned(), Target { target: Some(target) });
    let kind = Pool { kind: meter.kind, ..Pool::default() };
    let across = Pool { model: meter.model.clone(), ..kind.clone() };
    [
        of("bench", target::Target::Meter(meter)),
        of("bench", target::Target::Pool(kind)),
        of(ACROSS, target::Target::Pool(across)),
    ]
}
