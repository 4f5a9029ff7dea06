//! `highwater restore`: brings a backup back.

use clap::Args;

use crate::{
    cli::{CliError, screen::say},
    store::embedded,
};

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
/// When the backup is not whole, or there is a store that is in use or is not to be replaced.
pub fn run(args: RestoreArgs) -> Result<(), CliError> {
    embedded::restore(&args.from, &args.store, args.replace).map_err(CliError::from_store)?;
    say(&format!("{} is restored from {}", args.store.display(), args.from.display()))
}
