//! `highwater quotas`: what is used of what may be used. Once, or live with `--watch`.

use std::io::{Write, stdout};

use clap::Args;
use tonic::Code;

use crate::{
    cli::{
        connect::{MAX_PAGES, PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment, output,
        screen::Screen,
    },
    model::Kind,
    proto::{GetStatusRequest, GetStatusResponse, ListQuotasRequest},
};

mod bar;
mod json;
mod render;
mod view;
mod watch;

pub use view::View;

#[derive(Args, Debug)]
pub struct QuotasArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Only these kinds, such as tts,stt
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<Kind>,
    /// Keep it on the screen and up to date; without a terminal, print a line a change
    #[arg(long, short)]
    pub watch: bool,
    /// Print one object; with --watch one a change, each on a line of its own
    #[arg(long)]
    pub json: bool,
}

impl QuotasArgs {
    fn kind_numbers(&self) -> Vec<i32> {
        self.kinds.iter().map(|kind| *kind as i32).collect()
    }
}

/// Prints the table.
///
/// # Errors
/// When the service can't be reached, the project is not known, or the output can't be written.
pub async fn run(mut args: QuotasArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    if args.watch {
        return watch::run(&args, &server).await;
    }
    let view = fetch(&args, &server).await?;
    if args.json {
        return output::print(&json::quotas(&view), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &render::lines(&view, screen.width, &moment::zone()))?;
    Ok(out.flush()?)
}

async fn fetch(args: &QuotasArgs, server: &Server) -> Result<View, CliError> {
    let mut view = View::new(&args.project.project);
    view.status = Some(status(server).await?);
    let mut request = ListQuotasRequest {
        project: args.project.project.clone(),
        kinds: args.kind_numbers(),
        page_size: PAGE_SIZE,
        time_zone: zone_name(),
        ..Default::default()
    };
    for _ in 0..MAX_PAGES {
        let listed = match server.quotas().list_quotas(request.clone()).await {
            Ok(listed) => listed.into_inner(),
            // The service may know fewer time zones than this machine.
            Err(status) if status.code() == Code::InvalidArgument && !request.time_zone.is_empty() => {
                request.time_zone.clear();
                continue;
            }
            Err(status) if status.code() == Code::NotFound => return Err(never_seen(&args.project.project)),
            Err(status) => return Err(CliError::from_status(&status, &server.url)),
        };
        view.verdict = listed.verdict;
        view.take(listed.quotas, listed.as_of, listed.settling);
        if listed.next_page_token.is_empty() {
            break;
        }
        request.page_token = listed.next_page_token;
    }
    Ok(view)
}

/// The name of the terminal's time zone, for the verdict; none for a zone that has no name.
fn zone_name() -> String {
    moment::zone().iana_name().unwrap_or_default().to_owned()
}

async fn status(server: &Server) -> Result<GetStatusResponse, CliError> {
    server.answer(server.quotas().get_status(GetStatusRequest {})).await
}

/// Nothing was ever reported for the project.
fn never_seen(project: &str) -> CliError {
    CliError::NotFound {
        message: format!("nothing has been reported for the project `{project}` yet"),
        hint: Some(render::FIRST_STEPS.to_owned()),
    }
}
