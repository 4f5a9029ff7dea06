//! `highwater check`: reads a whole store and says what is wrong with it.

use clap::Args;
use serde_json::json;

use crate::{
    cli::{CliError, screen::say},
    store::embedded,
};

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
/// When the store can't be read, or something is wrong with it.
pub fn run(args: CheckArgs) -> Result<(), CliError> {
    let report = embedded::check(&args.store).map_err(CliError::from_store)?;
    let problems = report.problems.len();
    if args.json {
        say(&serde_json::to_string_pretty(&json!({
            "store": args.store,
            "keys": report.keys,
            "frames": report.frames,
            "hours": report.hours,
            "summaries": report.summaries,
            "limits": report.limits,
            "documents": report.documents,
            "audit": report.audit,
            "problems": report.problems,
        }))?)?;
    } else {
        say(&format!(
            "{}: {} keys, {} hours, {} summaries, {} limits, {} seconds not folded yet",
            args.store.display(),
            report.keys,
            report.hours,
            report.summaries,
            report.limits,
            report.frames,
        ))?;
        report.problems.iter().try_for_each(|problem| say(&format!("  problem: {problem}")))?;
    }
    if problems == 0 {
        return Ok(());
    }
    Err(CliError::Failed {
        message: format!("{} has {problems} problems", args.store.display()),
        hint: Some("`highwater restore FILE --replace` brings a backup back".to_owned()),
    })
}
