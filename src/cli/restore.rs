//! `highwater restore`: brings a backup back.

use std::path::Path;

use clap::Args;

use crate::{
    cli::{CliError, screen::say},
    config::StorePlace,
    store::{StoreError, embedded},
};

#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub from: std::path::PathBuf,
    /// The store; no service may be using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: StorePlace,
    /// Replace the store that is there
    #[arg(long)]
    pub replace: bool,
}

/// A store in Redis is copied by another command.
fn file(place: &StorePlace) -> Result<&Path, CliError> {
    match place {
        StorePlace::File(path) => Ok(path),
        StorePlace::Redis(address) => {
            Err(CliError::Usage(format!("{address} is no file: `highwater migrate FILE REDIS` copies a file to it")))
        }
    }
}

/// Runs it.
///
/// # Errors
/// When the backup is not whole, or there is a store that is in use or is not to be replaced.
pub fn run(args: RestoreArgs) -> Result<(), CliError> {
    let restored = embedded::restore(&args.from, file(&args.store)?, args.replace);
    restored.map_err(|error| match error {
        StoreError::Damaged(why) => CliError::Mistakes {
            message: format!("{} can't be restored: {why}", args.from.display()),
            hint: Some("nothing was changed; take another backup".to_owned()),
        },
        other => CliError::from_store(other),
    })?;
    say(&format!("{} is restored from {}", args.store, args.from.display()))
}
