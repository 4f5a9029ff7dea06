//! `highwater limits`: what is in force, and setting and ending it; plans and the catalogue.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        connect::{PAGE_SIZE, ProjectArgs, Server, all_pages},
        error::CliError,
        moment, output,
        screen::{Line, Screen},
        target::TargetArgs,
    },
    model::Kind,
    proto::{
        ApplyPlanRequest, CatalogueModel, EndLimitRequest, Enforcement, EnforcementMode, Limit, ListCatalogueRequest,
        ListEnforcementRequest, ListLimitsRequest, ListPlansRequest, Plan, SetEnforcementRequest, SetLimitRequest,
    },
};

mod json;
mod render;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = false)]
pub struct LimitsArgs {
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
    /// The limits in force, or with their history
    List(ListArgs),
    /// Set or change a limit from now on
    Set(SetArgs),
    /// End a limit now
    End(EndArgs),
    /// Refuse who asks for a slot beyond a limit: in the project, or a kind or model of it
    Enforce(EnforceArgs),
    /// Show limits and refuse nobody, which is how a project begins
    Observe(ChooseArgs),
    /// Take back what was chosen for a kind or model, or the project: the wider choice counts again
    Inherit(ChooseArgs),
    /// What is enforced
    Enforcement,
    /// The plans that are known
    Plans,
    /// Set every limit of a plan
    ApplyPlan(ApplyPlanArgs),
    /// The providers and models that are known
    Catalogue(CatalogueArgs),
}

#[derive(Args, Debug, Default)]
struct ListArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Those that have ended or were replaced too
    #[arg(long)]
    history: bool,
}

#[derive(Args, Debug)]
struct SetArgs {
    /// Most slots held at once, or most starts with --per-minute
    most: u32,
    /// Limit the sessions that are started in a minute, as some providers do
    #[arg(long)]
    per_minute: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// When it ends by itself: a time or a date; the limit before it is then in force again
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    author: AuthorArgs,
}

#[derive(Args, Debug)]
struct EndArgs {
    /// That of starts a minute
    #[arg(long)]
    per_minute: bool,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    author: AuthorArgs,
}

#[derive(Args, Debug)]
struct EnforceArgs {
    /// Share of each limit that is kept for each higher priority, in percent, up to 45
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    keep: u32,
    #[command(flatten)]
    choose: ChooseArgs,
}

#[derive(Args, Debug)]
struct ChooseArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    author: AuthorArgs,
}

#[derive(Args, Debug)]
struct ApplyPlanArgs {
    /// Id of the plan, as `limits plans` lists it
    plan: String,
    #[command(flatten)]
    author: AuthorArgs,
}

#[derive(Args, Debug)]
struct CatalogueArgs {
    /// Only these kinds, such as tts,stt
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
}

/// Who changes a limit, and why: both are kept.
#[derive(Args, Debug)]
struct AuthorArgs {
    /// Who does it
    #[arg(long, env = "USER", value_name = "NAME", default_value = "highwater", hide_env_values = true)]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// What a command found or did.
enum Answer {
    Limits {
        limits: Vec<Limit>,
        history: bool,
    },
    Set {
        limit: Option<Limit>,
        unknown_model: bool,
    },
    Ended(Option<Limit>),
    /// What was chosen; `None` when it was taken back.
    Chosen(Option<Enforcement>),
    Choices(Vec<Enforcement>),
    Plans(Vec<Plan>),
    /// `kept`: set by hand, so that the plan left them as they are.
    Applied {
        plan: String,
        limits: Vec<Limit>,
        ended: Vec<Limit>,
        kept: Vec<Limit>,
    },
    Catalogue(Vec<CatalogueModel>),
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, or the output can't be written.
pub async fn run(mut args: LimitsArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let project = args.project.project;
    let answer = match args.action.unwrap_or_else(|| Action::List(ListArgs::default())) {
        Action::List(list_args) => list(&server, &project, &list_args).await?,
        Action::Set(set_args) => set(&server, &project, set_args).await?,
        Action::End(end_args) => end(&server, &project, end_args).await?,
        Action::Enforce(EnforceArgs { keep, choose: args }) => {
            choose(&server, &project, args, EnforcementMode::Enforce, keep).await?
        }
        Action::Observe(args) => choose(&server, &project, args, EnforcementMode::Observe, 0).await?,
        Action::Inherit(args) => choose(&server, &project, args, EnforcementMode::Unspecified, 0).await?,
        Action::Enforcement => Answer::Choices(choices(&server, &project).await?),
        Action::Plans => Answer::Plans(plans(&server).await?),
        Action::ApplyPlan(apply_args) => apply_plan(&server, &project, apply_args).await?,
        Action::Catalogue(catalogue_args) => Answer::Catalogue(catalogue(&server, &catalogue_args.kinds).await?),
    };
    if args.json {
        return output::print(&json::answer(&project, &answer), true);
    }
    let screen = Screen::of_stdout();
    let lines: Vec<Line> = render::lines(&project, &answer, screen.width, &moment::zone());
    let mut out = stdout().lock();
    screen.write(&mut out, &lines)?;
    Ok(out.flush()?)
}

async fn list(server: &Server, project: &str, args: &ListArgs) -> Result<Answer, CliError> {
    let (target, history) = (args.target.target()?, args.history);
    let pages = all_pages(async |page_token| {
        let (project, target) = (project.to_owned(), target.clone());
        let request = ListLimitsRequest { project, target, history, page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.limits().list_limits(request)).await?;
        Ok((page.limits, page.next_page_token))
    });
    Ok(Answer::Limits { limits: pages.await?, history })
}

async fn set(server: &Server, project: &str, args: SetArgs) -> Result<Answer, CliError> {
    let until = args.until.as_deref().map(|typed| moment::parse(typed, moment::now(), &moment::zone())).transpose();
    let until = until.map_err(|problem| CliError::Usage(format!("--until: {problem}")))?;
    let request = SetLimitRequest {
        project: project.to_owned(),
        target: Some(args.target.required()?),
        slots: (!args.per_minute).then_some(args.most),
        starts_per_minute: args.per_minute.then_some(args.most),
        end_time: until.map(moment::to_wire),
        set_by: args.author.by,
        reason: args.author.reason,
    };
    let answer = server.answer(server.limits().set_limit(request)).await?;
    Ok(Answer::Set { limit: answer.limit, unknown_model: answer.unknown_model })
}

async fn end(server: &Server, project: &str, args: EndArgs) -> Result<Answer, CliError> {
    let request = EndLimitRequest {
        project: project.to_owned(),
        target: Some(args.target.required()?),
        set_by: args.author.by,
        reason: args.author.reason,
        starts: args.per_minute,
    };
    Ok(Answer::Ended(server.answer(server.limits().end_limit(request)).await?.limit))
}

async fn choose(
    server: &Server,
    project: &str,
    args: ChooseArgs,
    mode: EnforcementMode,
    kept_percent: u32,
) -> Result<Answer, CliError> {
    let request = SetEnforcementRequest {
        project: project.to_owned(),
        target: args.target.target()?,
        mode: mode as i32,
        kept_percent,
        set_by: args.author.by,
        reason: args.author.reason,
    };
    Ok(Answer::Chosen(server.answer(server.limits().set_enforcement(request)).await?.enforcement))
}

async fn choices(server: &Server, project: &str) -> Result<Vec<Enforcement>, CliError> {
    let pages = all_pages(async |page_token| {
        let request = ListEnforcementRequest { project: project.to_owned(), page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.limits().list_enforcement(request)).await?;
        Ok((page.enforcements, page.next_page_token))
    });
    pages.await
}

async fn plans(server: &Server) -> Result<Vec<Plan>, CliError> {
    let pages = all_pages(async |page_token| {
        let request = ListPlansRequest { page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.limits().list_plans(request)).await?;
        Ok((page.plans, page.next_page_token))
    });
    pages.await
}

async fn apply_plan(server: &Server, project: &str, args: ApplyPlanArgs) -> Result<Answer, CliError> {
    let request = ApplyPlanRequest {
        project: project.to_owned(),
        plan_id: args.plan.clone(),
        set_by: args.author.by,
        reason: args.author.reason,
    };
    let answer = server.answer(server.limits().apply_plan(request)).await?;
    Ok(Answer::Applied { plan: args.plan, limits: answer.limits, ended: answer.ended, kept: answer.kept })
}

async fn catalogue(server: &Server, kinds: &[Kind]) -> Result<Vec<CatalogueModel>, CliError> {
    let pages = all_pages(async |page_token| {
        let kinds = kinds.iter().map(|kind| *kind as i32).collect();
        let request = ListCatalogueRequest { kinds, page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.limits().list_catalogue(request)).await?;
        Ok((page.models, page.next_page_token))
    });
    pages.await
}
