//! Choices of what is enforced, as requests say them and as answers show them.

use crate::{
    api::{
        auth::Caller,
        convert::{self, Checked, to_target, to_timestamp},
        limit::author,
        quota::check::required_target,
    },
    error::{Error, FieldProblem},
    model::{Catalogue, Enforcement, Mode, Target, enforce::MAX_KEPT_PERCENT},
    proto::{self, EnforcementMode, SetEnforcementRequest},
    service::{Author, Choice, enforcement::Place},
};

/// Checks a choice: for what it is, what is chosen (`None` takes it back), and by whom.
pub fn chosen(
    catalogue: &Catalogue,
    request: SetEnforcementRequest,
    caller: &Caller,
) -> Result<(Place, Option<Enforcement>, Author), Error> {
    let project = convert::project(&request.project)?;
    let target = match &request.target {
        None => None,
        target => Some(required_target(catalogue, &project, target.as_ref())?),
    };
    let kept_percent = kept(request.kept_percent)?;
    let mode = match EnforcementMode::try_from(request.mode) {
        Ok(EnforcementMode::Unspecified) => None,
        Ok(EnforcementMode::Observe) => Some(Mode::Observe),
        Ok(EnforcementMode::Enforce) => Some(Mode::Enforce),
        Err(_) => return Err(Error::invalid("mode", format!("is {}; 0 to 2 are known", request.mode))),
    };
    let author = author(request.set_by, request.reason, caller)?;
    Ok(((project, target), mode.map(|mode| Enforcement { mode, kept_percent }), author))
}

fn kept(percent: u32) -> Checked<u8> {
    let problem = || FieldProblem::new("kept_percent", format!("is {percent}; 0 to {MAX_KEPT_PERCENT} are allowed"));
    u8::try_from(percent).ok().filter(|percent| *percent <= MAX_KEPT_PERCENT).ok_or_else(problem)
}

pub fn view(target: Option<&Target>, choice: &Choice) -> proto::Enforcement {
    let mode = match choice.enforcement.mode {
        Mode::Observe => EnforcementMode::Observe,
        Mode::Enforce => EnforcementMode::Enforce,
    };
    proto::Enforcement {
        target: target.map(to_target),
        mode: mode as i32,
        kept_percent: u32::from(choice.enforcement.kept_percent),
        start_time: Some(to_timestamp(choice.since)),
        set_by: choice.set_by.clone(),
        reason: choice.reason.clone(),
    }
}
