//! `highwater backup`: copies a store, also while a service uses it.

use std::path::Path;

use clap::Args;

use crate::{
    cli::{CliError, screen::say},
    config::StorePlace,
    store::embedded,
};

#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file that is made
    #[arg(value_name = "FILE")]
    pub to: std::path::PathBuf,
    /// The store; a service may go on using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: StorePlace,
}

/// A store in Redis is copied by another command.
fn file(place: &StorePlace) -> Result<&Path, CliError> {
    match place {
        StorePlace::File(path) => Ok(path),
        StorePlace::Redis(address) => {
            Err(CliError::Usage(format!("{address} is no file: `highwater migrate` copies it to a file")))
        }
    }
}

/// Runs it.
///
/// # Errors
/// When the store can't be read, or there is a file of that name already.
pub fn run(args: BackupArgs) -> Result<(), CliError> {
    embedded::backup_file(file(&args.store)?, &args.to).map_err(CliError::from_store)?;
    say(&format!("{} is a backup of {}", args.to.display(), args.store))
}
