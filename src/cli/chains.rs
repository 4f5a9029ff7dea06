//! `highwater chains`: the models that may take each other's sessions, what their failure would ask, and pins and drains by
//! hand.

use std::{
    io::{Write, stdout},
    time::Duration,
};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        acquire::duration,
        connect::{PAGE_SIZE, ProjectArgs, Server, all_pages},
        error::CliError,
        moment, output,
        screen::{Line, Screen},
    },
    model::{Kind, chain::MOST_MODELS},
    proto::{
        Chain, DeleteChainRequest, EndOverrideRequest, ListChainsRequest, Meter, Override, SetChainRequest,
        SetChainResponse, SetOverrideRequest, SetOverrideResponse, r#override,
    },
};

mod json;
mod render;

#[derive(Args, Debug)]
pub struct ChainsArgs {
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
    /// The chains, what is said by hand of their models, and what a failure would ask
    List,
    /// Set a chain, or change one: all of it is said anew
    Set(SetArgs),
    /// Delete a chain, and what is said by hand of its models
    Delete(DeleteArgs),
    /// Have new sessions use a model for a while, as long as it has room and its provider is up
    Pin(SayArgs),
    /// Have no new session use a model for a while
    Drain(SayArgs),
    /// End a pin or a drain now
    End(EndArgs),
}

#[derive(Args, Debug)]
struct SetArgs {
    /// Name of the chain
    chain: String,
    /// The models, the primary first: provider/model, or provider/model=ACCOUNT where the account is not livekit
    #[arg(value_name = "MODEL", required = true, num_args = 1..)]
    models: Vec<String>,
    /// What they are: llm, stt, tts or realtime
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// From this share of its tightest limit on, new sessions leave a model; 90 when nothing is said
    #[arg(long, value_name = "PERCENT")]
    fill: Option<u32>,
    /// When all would fit below this share of the primary's limit, they return to it; 70 when nothing is said
    #[arg(long = "return", value_name = "PERCENT")]
    back: Option<u32>,
    /// Leave a model only when it has no room or its provider is down
    #[arg(long, conflicts_with_all = ["fill", "back"])]
    no_thresholds: bool,
    /// How long to stay after a switch, at the least: 30s to 1h; 30s when nothing is said
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    dwell: Option<Duration>,
    #[command(flatten)]
    why: WhyArgs,
}

#[derive(Args, Debug)]
struct DeleteArgs {
    /// Name of the chain
    chain: String,
    #[command(flatten)]
    why: WhyArgs,
}

#[derive(Args, Debug)]
struct SayArgs {
    /// Name of the chain
    chain: String,
    /// The model, as the chain has it: provider/model, or provider/model=ACCOUNT
    model: String,
    /// When it ends by itself: in how long (2h, 3d), or a time or a date; 30 days away at the most
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args, Debug)]
struct EndArgs {
    /// Name of the chain
    chain: String,
    /// The model, as the chain has it: provider/model, or provider/model=ACCOUNT
    model: String,
    #[command(flatten)]
    why: WhyArgs,
}

#[derive(Args, Debug)]
struct WhyArgs {
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// What a command found or did.
enum Answer {
    Listed(Vec<Chain>),
    Set(Box<SetChainResponse>),
    Deleted(Option<Box<Chain>>),
    Said(Box<SetOverrideResponse>),
    Ended(Option<Override>),
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, or the output can't be written.
pub async fn run(mut args: ChainsArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let project = args.project.project;
    let answer = match args.action.unwrap_or(Action::List) {
        Action::List => Answer::Listed(list(&server, &project).await?),
        Action::Set(set_args) => set(&server, &project, set_args).await?,
        Action::Delete(DeleteArgs { chain, why }) => {
            let request = DeleteChainRequest { project: project.clone(), name: chain, reason: why.reason };
            Answer::Deleted(server.answer(server.chains().delete_chain(request)).await?.chain.map(Box::new))
        }
        Action::Pin(say_args) => say(&server, &project, say_args, r#override::Action::Pin).await?,
        Action::Drain(say_args) => say(&server, &project, say_args, r#override::Action::Drain).await?,
        Action::End(EndArgs { chain, model, why }) => {
            let model = Some(meter(&model));
            let request = EndOverrideRequest { project: project.clone(), chain, model, reason: why.reason };
            Answer::Ended(server.answer(server.chains().end_override(request)).await?.r#override)
        }
    };
    if args.json {
        return output::print(&json::answer(&project, &answer), true);
    }
    let screen = Screen::of_stdout();
    let at = render::At { now: moment::now(), zone: moment::zone() };
    let lines: Vec<Line> = render::lines(&project, &answer, screen.width, &at);
    let mut out = stdout().lock();
    screen.write(&mut out, &lines)?;
    Ok(out.flush()?)
}

async fn list(server: &Server, project: &str) -> Result<Vec<Chain>, CliError> {
    let pages = all_pages(async |page_token| {
        let request = ListChainsRequest { project: project.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.chains().list_chains(request)).await?;
        Ok((page.chains, page.next_page_token))
    });
    pages.await
}

async fn set(server: &Server, project: &str, args: SetArgs) -> Result<Answer, CliError> {
    // 0 is the default on the wire, and what nobody means who writes it.
    for (flag, percent) in [("--fill", args.fill), ("--return", args.back)] {
        if percent == Some(0) {
            return Err(CliError::Usage(format!("{flag}: is 0; 1 to 100 is needed, or --no-thresholds without it")));
        }
    }
    let request = SetChainRequest {
        project: project.to_owned(),
        name: args.chain,
        kind: args.kind as i32,
        // One more than there may be is enough to be told so.
        models: args.models.iter().take(MOST_MODELS + 1).map(|model| meter(model)).collect(),
        fill_percent: args.fill.unwrap_or(0),
        return_percent: args.back.unwrap_or(0),
        thresholds_off: args.no_thresholds,
        dwell: args.dwell.map(|dwell| prost_types::Duration {
            seconds: i64::try_from(dwell.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(dwell.subsec_nanos()).unwrap_or(0),
        }),
        reason: args.why.reason,
    };
    Ok(Answer::Set(Box::new(server.answer(server.chains().set_chain(request)).await?)))
}

async fn say(server: &Server, project: &str, args: SayArgs, action: r#override::Action) -> Result<Answer, CliError> {
    let until = moment::parse_ahead(&args.until, moment::now(), &moment::zone());
    let until = until.map_err(|problem| CliError::Usage(format!("--until: {problem}")))?;
    let request = SetOverrideRequest {
        project: project.to_owned(),
        chain: args.chain,
        model: Some(meter(&args.model)),
        action: action as i32,
        end_time: Some(moment::to_wire(until)),
        reason: args.reason,
    };
    Ok(Answer::Said(Box::new(server.answer(server.chains().set_override(request)).await?)))
}

/// `provider/model`, or `provider/model=account`. Whether there is such a model is for the service to say.
fn meter(typed: &str) -> Meter {
    let (model, account) = typed.split_once('=').unwrap_or((typed, ""));
    Meter { model: model.to_owned(), account: account.to_owned(), ..Default::default() }
}
