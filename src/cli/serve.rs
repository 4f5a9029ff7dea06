//! `highwater serve`: runs the service until a signal ends it.

use clap::Args;

use crate::{
    app::{
        AppError,
        serve::{ServeError, serve},
    },
    cli::{CliError, check_config},
    config::RawConfig,
    service::start::StartError,
};

#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: RawConfig,
}

/// Serves.
///
/// # Errors
/// When the configuration has mistakes, the address is taken, or the store can't be opened.
pub fn run(args: ServeArgs) -> Result<(), CliError> {
    serve(&args.config).map_err(|error| match error {
        ServeError::Config(_) | ServeError::Tls(_) | ServeError::KeyFile(_) => check_config::mistaken(&error),
        ServeError::Listen { .. } => CliError::Failed {
            message: error.to_string(),
            hint: Some("is another service running there? `highwater status` tells; --listen takes another".to_owned()),
        },
        ServeError::App(AppError::Start(StartError::Store(error))) => CliError::from_store(error),
        other => CliError::failed(other.to_string()),
    })
}
