//! `highwater completions`: completions for a shell, on standard output.

use std::io::{Write, stdout};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::{Cli, CliError};

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Prints them.
///
/// # Errors
/// When the output can't be written.
pub fn run(args: CompletionsArgs) -> Result<(), CliError> {
    let mut completions = Vec::new();
    generate(args.shell, &mut Cli::command(), "highwater", &mut completions);
    let mut out = stdout().lock();
    out.write_all(&completions)?;
    Ok(out.flush()?)
}
