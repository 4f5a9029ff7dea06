//! `highwater restore`: brings a backup back.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub from: std::path::PathBuf,
    /// The store; no service may be using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: std::path::PathBuf,
    /// Replace the store that is there
    #[arg(long)]
    pub replace: bool,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: RestoreArgs) -> Result<(), CliError> {
    Err(CliError::failed("`restore` is not built into this version"))
}
