//! `highwater routes`: which model of each chain new sessions use now, once or as it changes.

use std::io::{Write as _, stdout};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        connect::ProjectArgs,
        error::CliError,
        output,
        screen::{Line, Screen, Style},
        table::{Column, Table},
    },
    model::{Kind, key::DEFAULT_ACCOUNT},
    proto::{ChainRoute, Condition, GetRoutesRequest, ModelRoute, Routes, Stand, WatchRoutesRequest},
};

#[derive(Args, Debug)]
pub struct RoutesArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Print each new version as it comes, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Print one object a version
    #[arg(long)]
    json: bool,
}

const COLUMNS: [Column; 6] = [
    Column::name("chain", 90, 8),
    Column::name("model", Column::ALWAYS, 20),
    Column::right("share", Column::ALWAYS),
    Column::right("held", 60),
    Column::left("stand", 80),
    Column::left("provider", 70),
];

#[derive(Debug, Serialize)]
struct RoutesOut<'a> {
    project: &'a str,
    version: u64,
    chains: Vec<ChainOut<'a>>,
}

#[derive(Debug, Serialize)]
struct ChainOut<'a> {
    chain: &'a str,
    kind: &'static str,
    leader: u32,
    models: Vec<ModelOut<'a>>,
}

#[derive(Debug, Serialize)]
struct ModelOut<'a> {
    model: &'a str,
    account: &'a str,
    percent: u32,
    stand: &'static str,
    condition: &'static str,
    learned_ceiling: Option<u32>,
    held: u32,
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached, or refuses it.
pub async fn run(mut args: RoutesArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let project = args.project.project.clone();
    if !args.watch {
        let request = GetRoutesRequest { project };
        let routes = server.answer(server.routes().get_routes(request)).await?.routes.unwrap_or_default();
        return print(&args, &routes);
    }
    let mut heard = server.answer(server.routes().watch_routes(WatchRoutesRequest { project })).await?;
    let mut last = None;
    loop {
        let message = tokio::select! {
            message = heard.message() => message.map_err(|status| CliError::from_status(&status, &server.url))?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(routes) = message.and_then(|message| message.routes) else { return Ok(()) };
        if last != Some(routes.version) {
            print(&args, &routes)?;
            stdout().flush()?;
        }
        last = Some(routes.version);
    }
}

fn print(args: &RoutesArgs, routes: &Routes) -> Result<(), CliError> {
    if args.json {
        let chains = routes.chains.iter().map(chain_out).collect();
        let out = RoutesOut { project: &args.project.project, version: routes.version, chains };
        return output::print(&out, !args.watch);
    }
    let screen = Screen::of_stdout();
    Ok(screen.write(&mut stdout().lock(), &lines(&args.project.project, routes, screen.width))?)
}

/// As people read them.
fn lines(project: &str, routes: &Routes, width: usize) -> Vec<Line> {
    if routes.chains.is_empty() {
        return vec![format!("{project} has no chains, and so no routes.").into()];
    }
    let mut table = Table::new(&COLUMNS);
    for chain in &routes.chains {
        for (place, model) in (0..).zip(&chain.models) {
            let leads = if place == chain.leader { Style::Bold } else { Style::Plain };
            let is_well = model.condition() == Condition::Up && model.learned_ceiling.is_none();
            table.row([
                Line::of(Style::Plain, if place == 0 { &chain.chain } else { "" }),
                Line::of(leads, spelled(model)),
                Line::of(leads, format!("{} %", model.percent)),
                model.held.to_string().into(),
                stand(model.stand()).into(),
                Line::of(if is_well { Style::Dim } else { Style::Warning }, provider(model)),
            ]);
        }
    }
    let mut lines =
        vec![Line::of(Style::Heading, format!("Routes of {project}, version {}", routes.version)), Line::new()];
    lines.extend(table.lay_out(width));
    lines
}

fn spelled(model: &ModelRoute) -> String {
    let meter = model.meter.clone().unwrap_or_default();
    match meter.account.as_str() {
        "" | DEFAULT_ACCOUNT => meter.model,
        account => format!("{} ({account})", meter.model),
    }
}

fn provider(model: &ModelRoute) -> String {
    let condition = output::condition(model.condition()).unwrap_or_default();
    match model.learned_ceiling {
        Some(ceiling) => format!("{condition}, refuses above {ceiling}"),
        None => condition.to_owned(),
    }
}

fn chain_out(chain: &ChainRoute) -> ChainOut<'_> {
    let kind = u32::try_from(chain.kind).ok().and_then(Kind::from_number).map_or("", Kind::as_str);
    let models = chain.models.iter().map(|model| {
        let (name, account) = model.meter.as_ref().map_or(("", ""), |meter| (&meter.model, &meter.account));
        ModelOut {
            model: name,
            account,
            percent: model.percent,
            stand: stand(model.stand()),
            condition: output::condition(model.condition()).unwrap_or_default(),
            learned_ceiling: model.learned_ceiling,
            held: model.held,
        }
    });
    ChainOut { chain: &chain.chain, kind, leader: chain.leader, models: models.collect() }
}

const fn stand(stand: Stand) -> &'static str {
    match stand {
        Stand::Unspecified => "",
        Stand::Open => "open",
        Stand::Filling => "filling",
        Stand::Full => "full",
        Stand::Down => "down",
        Stand::Probing => "probing",
        Stand::Drained => "drained",
        Stand::Pinned => "pinned",
    }
}
