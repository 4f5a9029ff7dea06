//! `highwater backup`: copies a store while no service uses it.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file that is made
    #[arg(value_name = "FILE")]
    pub to: std::path::PathBuf,
    /// The store; no service may be using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: std::path::PathBuf,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: BackupArgs) -> Result<(), CliError> {
    Err(CliError::failed("`backup` is not built into this version"))
}
