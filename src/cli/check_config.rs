//! `highwater check-config`: what is configured and where each value comes from, or every mistake.

use std::io::{Write, stdout};

use clap::Args;

use crate::{
    cli::CliError,
    config::{self, Mistakes, RawConfig},
};

#[derive(Args, Debug)]
pub struct CheckConfigArgs {
    #[command(flatten)]
    pub config: RawConfig,
}

/// Prints what is in force.
///
/// # Errors
/// When the configuration has mistakes.
pub fn run(args: CheckConfigArgs) -> Result<(), CliError> {
    let config = config::load(&args.config).map_err(|mistakes| mistaken(&mistakes))?;
    let mut out = stdout().lock();
    write!(out, "{}", config.describe())?;
    Ok(out.flush()?)
}

/// A configuration's mistakes as a command tells them.
pub fn mistaken(mistakes: &Mistakes) -> CliError {
    CliError::Mistakes { message: mistakes.to_string(), hint: None }
}
