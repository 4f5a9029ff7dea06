//! `highwater check-config`: what is configured and where each value comes from, or every mistake.

use std::io::{Write, stdout};

use clap::Args;

use crate::{
    app::serve::{ServeError, configured},
    cli::CliError,
    config::RawConfig,
};

#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    pub config: RawConfig,
}

/// Prints what is in force.
///
/// # Errors
/// When the configuration, or a file that it names, has mistakes.
pub fn run(args: CheckConfigArgs) -> Result<(), CliError> {
    let config = configured(&args.config).map_err(|error| mistaken(&error))?;
    let mut out = stdout().lock();
    write!(out, "{}", config.describe())?;
    Ok(out.flush()?)
}

/// What is wrong with a configuration, as a command tells it.
pub fn mistaken(error: &ServeError) -> CliError {
    CliError::Mistakes { message: error.to_string(), hint: None }
}
