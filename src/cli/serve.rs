//! `highwater serve`: runs the service.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: crate::config::RawConfig,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: ServeArgs) -> Result<(), CliError> {
    Err(CliError::failed("`serve` is not built into this version"))
}
