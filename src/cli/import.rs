//! `highwater import`: runs a trace of sessions through the engine into a store.

use clap::{Args, ValueEnum};

use crate::cli::CliError;

/// How a trace's times are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shift {
    /// By whole weeks, so that it ends in the last seven days
    Auto,
    /// Not at all
    None,
}

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The trace: CSV with the header session_id,worker_id,kind,model,connected_at,disconnected_at; - for standard input
    #[arg(value_name = "FILE")]
    pub file: std::path::PathBuf,
    /// The store that its history goes into; no service may be using it
    #[arg(long, env = "HIGHWATER_STORE", value_name = "PATH", default_value = ".highwater/store.redb")]
    pub store: std::path::PathBuf,
    /// Project that it goes into
    #[arg(long, env = "HIGHWATER_PROJECT", value_name = "NAME", default_value = "default")]
    pub project: String,
    /// Move its times: auto by whole weeks, so that it ends in the last seven days
    #[arg(long, value_enum, default_value_t = Shift::None)]
    pub shift: Shift,
    /// Replace history that the store already has of these hours
    #[arg(long)]
    pub replace: bool,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: ImportArgs) -> Result<(), CliError> {
    Err(CliError::failed("`import` is not built into this version"))
}
