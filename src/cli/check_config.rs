//! `highwater check-config`: says what is configured and where each value comes from.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    pub config: crate::config::RawConfig,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: CheckConfigArgs) -> Result<(), CliError> {
    Err(CliError::failed("`check-config` is not built into this version"))
}
