//! What requests for chains say, checked field by field.

use std::time::Duration;

use crate::{
    api::convert::{self, Checked},
    error::{Error, FieldProblem},
    model::{
        Catalogue, Chain, ChainError, Meter, Project, Target, Time,
        chain::{Draft, DraftModel, MAX_NAME_BYTES, MOST_MODELS},
        limit::MAX_REASON_BYTES,
    },
    proto::{self, SetChainRequest, SetOverrideRequest, r#override},
    query::listing::in_catalogue,
    route::{Action, ByHand},
    service::{Actor, Service},
};

impl From<ChainError> for FieldProblem {
    fn from(wrong: ChainError) -> Self {
        Self::new(wrong.field, wrong.problem)
    }
}

/// The chain that a request draws up.
pub fn chain(catalogue: &Catalogue, project: &Project, request: &SetChainRequest) -> Checked<Chain> {
    let kind = convert::kind(request.kind)?;
    let within = |nth: usize| move |problem: FieldProblem| problem.within(format_args!("models[{nth}]"));
    let mut models = Vec::new();
    // How many there may be is for the chain to say; more than one too many need no look.
    for (nth, model) in request.models.iter().enumerate().take(MOST_MODELS + 1) {
        let named = match model.kind {
            0 => None,
            number => Some(convert::kind(number).map_err(within(nth))?),
        };
        models.push(DraftModel { model: &model.model, account: &model.account, kind: named });
    }
    if request.models.len() > models.len() {
        models.resize(request.models.len(), DraftModel::default());
    }
    let dwell = request.dwell.map_or(Ok(Duration::ZERO), |dwell| convert::duration("dwell", dwell))?;
    let draft = Draft {
        name: &request.name,
        models: &models,
        fill_percent: request.fill_percent,
        return_percent: request.return_percent,
        thresholds_off: request.thresholds_off,
        dwell,
    };
    let chain = Chain::new(project, kind, &draft, catalogue)?;
    for (nth, (meter, named)) in chain.models.iter().zip(&request.models).enumerate() {
        unit(meter, named).map_err(within(nth))?;
    }
    Ok(chain)
}

/// The unit of a chain's model is the catalogue's, whether it is said or not.
fn unit(meter: &Meter, named: &proto::Meter) -> Checked<()> {
    if named.unit == 0 || named.unit == meter.unit as i32 {
        return Ok(());
    }
    let problem = format!("is {}; {} is counted in {}s: leave it out", named.unit, meter.model, meter.unit);
    Err(FieldProblem::new("unit", problem))
}

/// Places of the models that the catalogue does not know.
pub fn unknown_models(chain: &Chain, catalogue: &Catalogue) -> Vec<u32> {
    let is_unknown = |model: &Meter| !in_catalogue(&Target::Meter(model.clone()), catalogue);
    (0..).zip(&chain.models).filter(|(_, model)| is_unknown(model)).map(|(place, _)| place).collect()
}

/// The name of a chain that should be there.
pub fn name(field: &'static str, name: String) -> Checked<String> {
    convert::text(field, &name, 1, MAX_NAME_BYTES)?;
    Ok(name)
}

/// A model as its chain has it; where the chain has none such, as it is written.
pub fn model_of(
    service: &Service,
    project: &Project,
    chain: &str,
    named: Option<&proto::Meter>,
) -> Result<Meter, Error> {
    let Some(named) = named else { return Err(Error::invalid("model", "is needed: a model of the chain")) };
    let chains = service.chains.of(project);
    let found = chains.find(chain).ok_or_else(|| Error::NotFound { what: "chain", name: chain.to_owned() })?;
    let within = |problem: FieldProblem| problem.within("model");
    if named.kind != 0 && convert::kind(named.kind).map_err(within)? != found.kind {
        let problem = format!("is another than that of chain {chain}, which is {}; leave it out", found.kind);
        return Err(Error::invalid("model.kind", problem));
    }
    match found.place(&named.model, &named.account) {
        Some(place) => {
            unit(&found.models[place], named).map_err(within)?;
            Ok(found.models[place].clone())
        }
        None => {
            let unit = service.catalogue.resolve_unit(found.kind, &named.model, &named.account);
            let meter = Meter::new(found.kind, &named.model, &named.account, Some(unit));
            Ok(meter.map_err(|wrong| within(wrong.into()))?)
        }
    }
}

/// What is to be said of a model; whether it may be is for the service to see.
pub fn by_hand(
    service: &Service,
    project: &Project,
    request: SetOverrideRequest,
    actor: &Actor,
    now: Time,
) -> Result<ByHand, Error> {
    let chain = name("chain", request.chain)?;
    let action = match r#override::Action::try_from(request.action) {
        Ok(r#override::Action::Pin) => Action::Pin,
        Ok(r#override::Action::Drain) => Action::Drain,
        Ok(r#override::Action::Unspecified) | Err(_) => {
            let problem = format!("is {}; 1 (pin) or 2 (drain) is needed", request.action);
            return Err(Error::invalid("action", problem));
        }
    };
    convert::text("reason", &request.reason, 0, MAX_REASON_BYTES)?;
    let Some(end) = request.end_time else {
        return Err(Error::invalid("end_time", "is needed: the time at which it ends by itself"));
    };
    let end = convert::time("end_time", end)?;
    let model = model_of(service, project, &chain, request.model.as_ref())?;
    Ok(ByHand {
        chain: chain.into(),
        model,
        action,
        reason: request.reason,
        set_by: actor.key.to_string(),
        start: now,
        end,
    })
}
