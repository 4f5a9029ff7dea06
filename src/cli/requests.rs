//! `highwater requests`: asking for more capacity, and deciding on it.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        connect::{MAX_PAGES, PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment, output,
        screen::{Line, Screen},
        target::TargetArgs,
    },
    proto::{
        CreateIncreaseRequestRequest, DecideIncreaseRequestRequest, IncreaseRequest, ListIncreaseRequestsRequest,
        WithdrawIncreaseRequestRequest,
    },
};

mod render;

#[derive(Args, Debug)]
pub struct RequestsArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The requests of a project, the newest first
    List(ListArgs),
    /// Ask for a higher limit, or for a model that is not in use yet
    Create(CreateArgs),
    /// Grant what was asked, or another limit; it is in force at once
    Approve(ApproveArgs),
    /// Grant nothing
    Decline(DeclineArgs),
    /// Take an open request back
    Withdraw {
        /// Id of the request, as `requests list` gives it
        id: String,
    },
}

#[derive(Args, Debug, Default)]
struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Only those that nobody has decided on
    #[arg(long)]
    open: bool,
    /// Those of all projects, for operators
    #[arg(long)]
    all_projects: bool,
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// Wanted limit, above the one in force
    slots: u32,
    #[command(flatten)]
    target: TargetArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Until when it is wanted: a time or a date
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Args, Debug)]
struct ApproveArgs {
    /// Id of the request, as `requests list` gives it
    id: String,
    /// Limit that is granted
    slots: u32,
    /// Until when it is granted: a time or a date; the limit before it is then in force again
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A word to who asked, needed when less is granted
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    word: String,
}

#[derive(Args, Debug)]
struct DeclineArgs {
    /// Id of the request, as `requests list` gives it
    id: String,
    /// A word to who asked
    #[arg(long, value_name = "TEXT")]
    word: String,
}

/// What a command found or did.
enum Answer {
    Listed(Vec<IncreaseRequest>),
    Done(Option<Box<IncreaseRequest>>),
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, or the output can't be written.
pub async fn run(mut args: RequestsArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let project = args.project.project;
    let answer = match args.action.unwrap_or_else(|| Action::List(ListArgs::default())) {
        Action::List(list_args) => Answer::Listed(list(&server, &project, &list_args).await?),
        Action::Create(create_args) => done(create(&server, &project, create_args).await?),
        Action::Approve(ApproveArgs { id, slots, until, word }) => {
            let end_time = until_time(until.as_deref())?;
            decide(&server, DecideIncreaseRequestRequest { id, slots, end_time, word }).await?
        }
        Action::Decline(DeclineArgs { id, word }) => {
            decide(&server, DecideIncreaseRequestRequest { id, slots: 0, end_time: None, word }).await?
        }
        Action::Withdraw { id } => {
            let request = WithdrawIncreaseRequestRequest { id };
            done(server.answer(server.requests().withdraw_increase_request(request)).await?.request)
        }
    };
    if args.json {
        return output::print(&render::json(&answer), true);
    }
    let screen = Screen::of_stdout();
    let lines: Vec<Line> = render::lines(&project, &answer, screen.width, &moment::zone());
    let mut out = stdout().lock();
    screen.write(&mut out, &lines)?;
    Ok(out.flush()?)
}

fn done(request: Option<IncreaseRequest>) -> Answer {
    Answer::Done(request.map(Box::new))
}

fn until_time(typed: Option<&str>) -> Result<Option<prost_types::Timestamp>, CliError> {
    let until = typed.map(|typed| moment::parse(typed, moment::now(), &moment::zone())).transpose();
    Ok(until.map_err(|problem| CliError::Usage(format!("--until: {problem}")))?.map(moment::to_wire))
}

async fn list(server: &Server, project: &str, args: &ListArgs) -> Result<Vec<IncreaseRequest>, CliError> {
    let mut request = ListIncreaseRequestsRequest {
        project: project.to_owned(),
        all_projects: args.all_projects,
        open: args.open,
        target: args.target.target()?,
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    let mut requests = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = server.answer(server.requests().list_increase_requests(request.clone())).await?;
        requests.extend(page.requests);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(requests)
}

async fn create(server: &Server, project: &str, args: CreateArgs) -> Result<Option<IncreaseRequest>, CliError> {
    let request = CreateIncreaseRequestRequest {
        project: project.to_owned(),
        target: Some(args.target.required()?),
        wanted_slots: args.slots,
        reason: args.reason,
        end_time: until_time(args.until.as_deref())?,
    };
    Ok(server.answer(server.requests().create_increase_request(request)).await?.request)
}

async fn decide(server: &Server, request: DecideIncreaseRequestRequest) -> Result<Answer, CliError> {
    Ok(done(server.answer(server.requests().decide_increase_request(request)).await?.request))
}
