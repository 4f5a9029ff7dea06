//! `highwater keys`: who may do what. Asks a service; with `--store`, works at a store whose service is stopped, which is how
//! the first key is made.

use std::{
    io::{Read as _, Write as _, stdin, stdout},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Subcommand};

use crate::{
    access::Role,
    cli::{
        block_on,
        connect::{PAGE_SIZE, ProjectArgs, Server, all_pages},
        error::CliError,
        moment, output,
        screen::Screen,
        store::RedisArgs,
    },
    config::StorePlace,
    proto::{
        self, ApiKey, CreateApiKeyRequest, GetCallerRequest, GetCallerResponse, ListApiKeysRequest,
        RegisterLiveKitKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest,
    },
};

mod offline;
mod render;

#[derive(Args, Debug)]
pub struct KeysArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// Work at this store instead of asking a service; the service must be stopped
    #[arg(long, value_name = "PLACE", global = true)]
    pub store: Option<StorePlace>,
    #[command(flatten)]
    pub redis: RedisArgs,
    /// The store's key file, where it is not beside the store
    #[arg(long, env = "HIGHWATER_ACCESS_KEY_FILE", value_name = "PATH", global = true)]
    pub access_key_file: Option<PathBuf>,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key; it is printed this once
    Create(CreateArgs),
    /// The keys of a project
    List(ListArgs),
    /// Change what a key is called, or until when it is good
    Update(UpdateArgs),
    /// End a key now, with the streams that it opened
    Revoke {
        /// Id of the key, as `keys list` says it
        id: String,
    },
    /// Make a key that takes the place of another, which stays good for a while
    Rotate(RotateArgs),
    /// Register a LiveKit API key, so that agents report with the tokens that they mint
    RegisterLivekit(RegisterArgs),
    /// Say what your own key is
    Whoami,
    /// Remove every key of a store whose key file is lost
    Reset,
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// What it is for: worker, viewer, editor, operator or metrics
    #[arg(long)]
    role: Role,
    /// What people call it
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Until when it is good: a time or a date, such as 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Args, Debug, Default)]
struct ListArgs {
    /// Those that have ended too
    #[arg(long)]
    ended: bool,
    /// Those of all projects
    #[arg(long)]
    all_projects: bool,
}

#[derive(Args, Debug)]
struct UpdateArgs {
    /// Id of the key
    id: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Until when it is good: a time or a date, or `never`
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Args, Debug)]
struct RotateArgs {
    /// Id of the key
    id: String,
    /// How long the old key stays good, such as 24h or 0s
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    overlap: Duration,
}

#[derive(Args, Debug)]
struct RegisterArgs {
    /// The API key as LiveKit names it
    api_key: String,
    /// File that holds its secret; `-` reads it from standard input
    #[arg(long, value_name = "PATH", default_value = "-")]
    secret_file: PathBuf,
    /// What people call it
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
}

/// What a command found or did.
enum Answer {
    Made { key: ApiKey, token: String },
    Registered(ApiKey),
    Listed(Vec<ApiKey>),
    Changed(ApiKey),
    Revoked(ApiKey),
    Rotated { key: Box<ApiKey>, token: String, replaced: Box<ApiKey> },
    Caller(GetCallerResponse),
    Reset(usize),
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, the store can't be used, or the output can't be written.
pub fn run(args: KeysArgs) -> Result<(), CliError> {
    let json = args.json;
    let (project, answer) = match &args.store {
        Some(_) => offline::run(args)?,
        None => {
            let mut answered = None;
            block_on(async {
                answered = Some(ask(args).await?);
                Ok(())
            })?;
            answered.ok_or_else(|| CliError::failed("nothing was asked"))?
        }
    };
    if json {
        return output::print(&render::json(&answer), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    if let Answer::Made { token, .. } | Answer::Rotated { token, .. } = &answer {
        // The words go beside it, so that `KEY=$(highwater keys create ...)` has the key alone.
        eprint!("{}", render::beside(&answer));
        writeln!(out, "{token}")?;
    } else {
        screen.write(&mut out, &render::lines(&project, &answer, screen.width, &moment::zone()))?;
    }
    Ok(out.flush()?)
}

async fn ask(mut args: KeysArgs) -> Result<(String, Answer), CliError> {
    let action = args.action.take().unwrap_or_else(|| Action::List(ListArgs::default()));
    if matches!(action, Action::Whoami) {
        let server = args.project.server.connect()?;
        let caller = server.answer(server.admin().get_caller(GetCallerRequest {})).await?;
        return Ok((caller.project.clone(), Answer::Caller(caller)));
    }
    let server = args.project.connect().await?;
    let project = args.project.project;
    let answer = match action {
        Action::Create(create) => {
            let request = CreateApiKeyRequest {
                project: project.clone(),
                display_name: create.name,
                role: create.role as i32,
                start_time: None,
                expire_time: create.expires.as_deref().map(expires).transpose()?.map(moment::to_wire),
            };
            let made = server.answer(server.admin().create_api_key(request)).await?;
            Answer::Made { key: made.api_key.unwrap_or_default(), token: made.token }
        }
        Action::List(list) => Answer::Listed(listed(&server, &project, &list).await?),
        Action::Update(update) => {
            let request = update_request(update)?;
            let updated = server.answer(server.admin().update_api_key(request)).await?;
            Answer::Changed(updated.api_key.unwrap_or_default())
        }
        Action::Revoke { id } => {
            let revoked = server.answer(server.admin().revoke_api_key(RevokeApiKeyRequest { id })).await?;
            Answer::Revoked(revoked.api_key.unwrap_or_default())
        }
        Action::Rotate(RotateArgs { id, overlap }) => {
            let overlap = prost_types::Duration::try_from(overlap).ok();
            let rotated = server.answer(server.admin().rotate_api_key(RotateApiKeyRequest { id, overlap })).await?;
            let (key, replaced) = (rotated.api_key.unwrap_or_default(), rotated.replaced.unwrap_or_default());
            let (key, replaced) = (Box::new(key), Box::new(replaced));
            Answer::Rotated { key, token: rotated.token, replaced }
        }
        Action::RegisterLivekit(register) => {
            let request = RegisterLiveKitKeyRequest {
                project: project.clone(),
                livekit_api_key: register.api_key,
                secret: read_secret(&register.secret_file)?,
                display_name: register.name,
                expire_time: None,
            };
            let registered = server.answer(server.admin().register_live_kit_key(request)).await?;
            Answer::Registered(registered.api_key.unwrap_or_default())
        }
        Action::Whoami | Action::Reset => {
            return Err(CliError::Usage("keys reset works at a store alone: name it with --store".to_owned()));
        }
    };
    Ok((project, answer))
}

async fn listed(server: &Server, project: &str, args: &ListArgs) -> Result<Vec<ApiKey>, CliError> {
    let (all_projects, show_ended) = (args.all_projects, args.ended);
    let pages = all_pages(async |page_token| {
        let project = project.to_owned();
        let request = ListApiKeysRequest { project, all_projects, show_ended, page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.admin().list_api_keys(request)).await?;
        Ok((page.api_keys, page.next_page_token))
    });
    pages.await
}

fn update_request(update: UpdateArgs) -> Result<UpdateApiKeyRequest, CliError> {
    let mut key = ApiKey { id: update.id, ..ApiKey::default() };
    let mut paths = Vec::new();
    if let Some(name) = update.name {
        key.display_name = name;
        paths.push("display_name".to_owned());
    }
    if let Some(typed) = update.expires {
        key.expire_time = if typed == "never" { None } else { Some(moment::to_wire(expires(&typed)?)) };
        paths.push("expire_time".to_owned());
    }
    if paths.is_empty() {
        return Err(CliError::Usage("nothing is to be changed: give --name or --expires".to_owned()));
    }
    Ok(UpdateApiKeyRequest { api_key: Some(key), update_mask: Some(prost_types::FieldMask { paths }) })
}

fn expires(typed: &str) -> Result<jiff::Timestamp, CliError> {
    let parsed = moment::parse_ahead(typed, moment::now(), &moment::zone());
    parsed.map_err(|problem| CliError::Usage(format!("--expires: {problem}")))
}

fn duration(typed: &str) -> Result<Duration, String> {
    let duration = typed.parse::<jiff::SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    duration.ok_or_else(|| format!("{typed:?} is not a duration; write one such as 24h, 30min or 0s"))
}

fn read_secret(path: &std::path::Path) -> Result<String, CliError> {
    let read = match path.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(path),
    };
    let failed = |error| CliError::Mistakes { message: format!("the secret can't be read: {error}"), hint: None };
    Ok(read.map_err(failed)?.trim().to_owned())
}

/// The role of a key of the contract.
fn role(key: &ApiKey) -> &'static str {
    u32::try_from(key.role).ok().and_then(Role::from_number).map_or("?", Role::as_str)
}

fn of_wire(time: Option<&prost_types::Timestamp>) -> Option<jiff::Timestamp> {
    time.and_then(moment::of_wire)
}

/// Whether a key has ended by now.
fn has_ended(key: &proto::ApiKey) -> bool {
    key.revoke_time.is_some() || of_wire(key.expire_time.as_ref()).is_some_and(|expires| expires <= moment::now())
}
