//! `highwater check`: reads a whole store and says what is wrong with it.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The store; no service may be using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: std::path::PathBuf,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: CheckArgs) -> Result<(), CliError> {
    Err(CliError::failed("`check` is not built into this version"))
}
