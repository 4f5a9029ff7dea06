//! What requests of the admin service say.

use std::time::Duration;

use crate::{
    access::Role,
    api::{
        auth::Caller,
        convert::{self, Checked},
        pages::not_given,
    },
    error::{Error, FieldProblem},
    model::{Kind, Meter, Project, Time, Unit},
    proto::{CreateApiKeyRequest, RegisterLiveKitKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest},
    service::access::decide::NewKey,
};

/// Longest id of a key, in bytes.
const MAX_ID_BYTES: usize = 64;
/// How long a key that was replaced stays good when nothing is said.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// How long at most.
const MAX_OVERLAP_DAYS: u64 = 90;

pub fn id(id: &str) -> Checked<()> {
    convert::text("id", id, 1, MAX_ID_BYTES).map(drop)
}

/// A project that is to be, or to be no more.
pub fn project(name: &str) -> Checked<Project> {
    if name.is_empty() {
        return Err(FieldProblem::new("project", "is needed"));
    }
    convert::reported_project(name)
}

/// # Errors
/// When someone else than an operator asks for all projects.
pub fn all_projects(all: bool, caller: &Caller) -> Result<(), Error> {
    match all && !caller.is_operator() {
        true => Err(Error::Forbidden("all_projects: a key of the role operator is needed".into())),
        false => Ok(()),
    }
}

pub fn new_key(request: CreateApiKeyRequest, caller: &Caller) -> Result<NewKey, Error> {
    let role = u32::try_from(request.role).ok().and_then(Role::from_number);
    let role = role.ok_or_else(|| Error::invalid("role", format!("is {}; 1 to 5 are known", request.role)))?;
    if !caller.role().may_manage(role) {
        let words = format!("a key of the role {} may not make one of the role {role}", caller.role());
        return Err(Error::Forbidden(words.into()));
    }
    Ok(NewKey {
        name: request.display_name,
        project: Project::new(&request.project).map_err(FieldProblem::from)?,
        role,
        not_before: time("start_time", request.start_time)?,
        expires: time("expire_time", request.expire_time)?,
    })
}

pub fn livekit_key(request: RegisterLiveKitKeyRequest) -> Checked<(String, NewKey)> {
    let new = NewKey {
        name: request.display_name,
        project: Project::new(&request.project).map_err(FieldProblem::from)?,
        role: Role::Worker,
        not_before: None,
        expires: time("expire_time", request.expire_time)?,
    };
    Ok((request.livekit_api_key, new))
}

/// The key, and what of it is to be changed: its name, its end.
pub fn update(request: UpdateApiKeyRequest) -> Checked<(String, Option<String>, Option<Option<Time>>)> {
    let key = request.api_key.ok_or_else(|| FieldProblem::new("api_key", "is needed"))?;
    id(&key.id).map_err(|problem| problem.within("api_key"))?;
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        return Err(FieldProblem::new("update_mask", "is needed: display_name, expire_time"));
    }
    let (mut name, mut expires) = (None, None);
    for path in paths {
        match path.as_str() {
            "display_name" => name = Some(key.display_name.clone()),
            "expire_time" => expires = Some(time("expire_time", key.expire_time)?),
            other => {
                let problem = format!("{other:?} can't be changed; display_name and expire_time can");
                return Err(FieldProblem::new("update_mask", problem));
            }
        }
    }
    Ok((key.id, name, expires))
}

pub fn rotation(request: RotateApiKeyRequest) -> Checked<(String, Duration)> {
    id(&request.id)?;
    let overlap = request.overlap.map(|overlap| convert::duration("overlap", overlap)).transpose()?;
    let overlap = overlap.unwrap_or(DEFAULT_OVERLAP);
    if overlap > Duration::from_secs(MAX_OVERLAP_DAYS * 24 * 3_600) {
        return Err(FieldProblem::new("overlap", format!("is above {MAX_OVERLAP_DAYS} days")));
    }
    Ok((request.id, overlap))
}

/// The place of a model in a list: kind, unit, model and account.
pub fn model_place_bytes(meter: &Meter) -> Vec<u8> {
    let names = format!("{} {}", meter.model, meter.account);
    [&[meter.kind as u8, meter.unit as u8], names.as_bytes()].concat()
}

/// The model at such a place.
pub fn model_place(place: &[u8]) -> Checked<Meter> {
    let read = || {
        let (numbers, names) = place.split_first_chunk::<2>()?;
        let (model, account) = str::from_utf8(names).ok()?.split_once(' ')?;
        let (kind, unit) = (Kind::from_number(numbers[0].into())?, Unit::from_number(numbers[1].into())?);
        Some(Meter { kind, model: model.into(), account: account.into(), unit })
    };
    read().ok_or_else(not_given)
}

fn time(field: &'static str, at: Option<prost_types::Timestamp>) -> Checked<Option<Time>> {
    at.map(|at| convert::time(field, at)).transpose()
}
