//! `highwater demo`: runs the service on a simulated fleet, and shows it.

use std::{
    io::{IsTerminal, stderr, stdout},
    net::SocketAddr,
    path::PathBuf,
};

use clap::Args;

use crate::{
    app::serve::signalled,
    cli::{
        CliError,
        connect::{ProjectArgs, ServerArgs},
        moment,
        quotas::{self, QuotasArgs},
    },
    config::Config,
    demo::{Demo, DemoError, Options, PROJECT, StageError},
    http, telemetry,
};

/// History before now: the seven days that are shown, and one before them, in which each model of the fleet is first used.
const HISTORY_SECONDS: u64 = 8 * 24 * 3_600;

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where the simulated history is kept; it is made anew when it is stale
    #[arg(long, value_name = "DIR", default_value = ".highwater/demo")]
    pub dir: PathBuf,
    /// Address and port of the service; loopback only
    #[arg(long, env = "HIGHWATER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7422")]
    pub listen: SocketAddr,
}

/// Runs it until it is interrupted.
///
/// # Errors
/// When the address is taken or is not a loopback one, or the store can't be used.
pub fn run(args: DemoArgs) -> Result<(), CliError> {
    if !args.listen.ip().is_loopback() {
        return Err(CliError::Usage(format!("--listen: {} is not a loopback address", args.listen)));
    }
    // First of all: nothing is made for a demo that can't run.
    let listener = http::bind(args.listen).map_err(|error| taken(args.listen, &error))?;
    let address = listener.local_addr().unwrap_or(args.listen);
    log()?;
    eprintln!("highwater: a simulation: seven days of a voice-agent fleet that does not exist …");
    let options = Options { dir: args.dir, zone: moment::zone(), seconds: HISTORY_SECONDS, address };
    let demo = Demo::prepare(&options).map_err(failed)?;
    let mut shown = Ok(());
    let until = async {
        let page = http::page_url(address, false);
        if stdout().is_terminal() {
            eprintln!("highwater: Open {page} in a browser");
            shown = quotas::run(watch(address)).await;
        } else {
            println!(
                "simulation: project {PROJECT} on http://{address}; `highwater quotas --project {PROJECT}` shows it\nOpen {page}"
            );
            signalled().await;
        }
    };
    demo.run(listener, until).map_err(failed)?;
    shown
}

/// What is shown in the terminal.
fn watch(address: SocketAddr) -> QuotasArgs {
    let server = ServerArgs {
        server: format!("http://{address}"),
        key: None,
        key_file: None,
        ca: None,
        cert: None,
        cert_key: None,
    };
    let project = ProjectArgs { server, project: PROJECT.to_owned() };
    QuotasArgs { project, kinds: Vec::new(), watch: true, json: false }
}

/// Logs what went wrong, unless that would be written into the picture.
fn log() -> Result<(), CliError> {
    let drawn_over = stdout().is_terminal() && stderr().is_terminal();
    let mut config = Config::default();
    config.log = if drawn_over { "off" } else { "warn" }.to_owned();
    telemetry::start(&config).map_err(|error| CliError::failed(error.to_string()))
}

fn taken(address: SocketAddr, error: &std::io::Error) -> CliError {
    CliError::Failed {
        message: format!("port {} of {} can't be listened on: {error}", address.port(), address.ip()),
        hint: Some(
            "is a service or another demo running there? --listen takes another, such as 127.0.0.1:7423".to_owned(),
        ),
    }
}

fn failed(error: DemoError) -> CliError {
    let hint = match &error {
        DemoError::Stage(StageError::NotOurs(_)) => Some("--dir takes another directory"),
        DemoError::Stage(StageError::Store(_)) => Some(
            "is another demo running there? --dir takes another directory; a damaged store of a demo may be removed",
        ),
        _ => None,
    };
    CliError::Failed { message: error.to_string(), hint: hint.map(str::to_owned) }
}
