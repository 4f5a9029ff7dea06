//! Keys at a store whose service is stopped: the first one, and what is left to do when no key is good any more.

use std::sync::Arc;

use crate::{
    access::{KeyRecord, Role},
    api::admin::view,
    cli::{
        error::CliError,
        keys::{Action, Answer, KeysArgs, ListArgs, expires, has_ended, read_secret},
        store::StoreArgs,
    },
    config::StorePlace,
    error::Error,
    model::{Project, Time},
    service::{
        Access, Actor, Clock, Ledger,
        access::{AccessError, decide::NewKey, key_file, records},
    },
};

/// Does what was asked, at the store.
pub fn run(args: KeysArgs) -> Result<(String, Answer), CliError> {
    let KeysArgs { project, store: place, redis, access_key_file, action, .. } = args;
    let place = place.ok_or_else(|| CliError::failed("no store was named"))?;
    let action = action.unwrap_or_else(|| Action::List(ListArgs::default()));
    if matches!(action, Action::Whoami) {
        return Err(CliError::Usage("keys whoami asks a service: leave --store out".to_owned()));
    }
    let makes = matches!(action, Action::Create(_));
    if !makes && matches!(&place, StorePlace::File(path) if !path.exists()) {
        return Err(CliError::NotFound { message: format!("there is no store {place}"), hint: None });
    }
    let store = StoreArgs { store: place.clone(), redis }.open()?;
    let ledger = Arc::new(Ledger::open(store.clone()).map_err(CliError::from_store)?);
    let (actor, now) = (Actor::offline(), Clock::wall());
    if matches!(action, Action::Reset) {
        let removed = Access::reset(&*store, &ledger, now).map_err(CliError::from_store)?;
        return Ok((String::new(), Answer::Reset(removed)));
    }
    let key_file = access_key_file.or_else(|| key_file::beside(&place));
    let named = Project::new(&project.project).map_err(|error| CliError::Usage(error.to_string()))?;
    if let Action::List(list) = &action {
        let records = records(&*store).map_err(CliError::from_store)?;
        if let Some(missing) = key_file.filter(|path| !records.is_empty() && !path.exists()) {
            eprintln!("none of the keys works until the key file {} is brought back", missing.display());
        }
        let name_of = |id: &str, project: &str| records.iter().find(|record| record.id == id)?.name_in(project);
        let keys = records.iter().map(|record| view::api_key_by(record, name_of));
        let of_project = |project: &str| list.all_projects || named.as_str() == project;
        let listed = keys.filter(|key| of_project(&key.project) && (list.ended || !has_ended(key))).collect();
        return Ok((named.to_string(), Answer::Listed(listed)));
    }
    let Some(key_file) = key_file else {
        return Err(CliError::Usage(
            "a store in Redis has no key file beside it: name it with --access-key-file".to_owned(),
        ));
    };
    let access = Access::open(store, ledger, Some(key_file)).map_err(failed)?;
    let all = |_: &KeyRecord| true;
    let refused = |error| refused(error, &place);
    let time = |typed: Option<String>| -> Result<Option<Time>, CliError> {
        Ok(typed.as_deref().map(expires).transpose()?.map(of_timestamp))
    };
    let answer = match action {
        Action::Create(create) => {
            let expires = time(create.expires)?;
            let (name, role) = (create.name, create.role);
            let new = NewKey { name, project: named.clone(), role, not_before: None, expires };
            let (record, token) = access.create_key(new, &actor, now).map_err(refused)?;
            Answer::Made { key: view::api_key(&access, &record), token: token.expose().clone() }
        }
        Action::Update(update) => {
            let ends = match update.expires.as_deref() {
                None => None,
                Some("never") => Some(None),
                Some(_) => Some(time(update.expires)?),
            };
            let updated = access.update_key(&update.id, update.name, ends, (&all, &actor), now);
            Answer::Changed(view::api_key(&access, &updated.map_err(refused)?))
        }
        Action::Revoke { id } => {
            Answer::Revoked(view::api_key(&access, &access.revoke_key(&id, &all, &actor, now).map_err(refused)?))
        }
        Action::Rotate(rotate) => {
            let rotated = access.rotate_key(&rotate.id, rotate.overlap, (&all, &actor), now);
            let (old, new, token) = rotated.map_err(refused)?;
            let (key, replaced) = (Box::new(view::api_key(&access, &new)), Box::new(view::api_key(&access, &old)));
            Answer::Rotated { key, token: token.expose().clone(), replaced }
        }
        Action::RegisterLivekit(register) => {
            let secret = crate::access::Secret::new(read_secret(&register.secret_file)?.into_bytes());
            let (name, project, role) = (register.name, named.clone(), Role::Worker);
            let new = NewKey { name, project, role, not_before: None, expires: None };
            let record = access.register_livekit(&register.api_key, secret, new, &actor, now).map_err(refused)?;
            Answer::Registered(view::api_key(&access, &record))
        }
        Action::List(_) | Action::Whoami | Action::Reset => return Err(CliError::failed("that is done elsewhere")),
    };
    Ok((named.to_string(), answer))
}

fn of_timestamp(at: jiff::Timestamp) -> Time {
    Time(u64::try_from(at.as_microsecond()).unwrap_or(0))
}

fn failed(error: AccessError) -> CliError {
    match error {
        AccessError::Store(error) => CliError::from_store(error),
        other => CliError::failed(other.to_string()),
    }
}

fn refused(error: Error, store: &StorePlace) -> CliError {
    let message = error.client_message();
    match &error {
        Error::NotFound { .. } => CliError::NotFound {
            message,
            hint: Some(format!("`highwater keys list --all-projects --ended --store {store}` lists them")),
        },
        Error::Store { detail } | Error::RevokedHere { detail } => CliError::failed(detail.clone()),
        Error::Internal { detail } => CliError::failed(detail.clone()),
        _ => CliError::Mistakes { message, hint: None },
    }
}
