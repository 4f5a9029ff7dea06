//! `highwater check`: reads a whole store and says what is wrong with it.

use clap::Args;
use serde_json::json;

use crate::{
    cli::{CliError, screen::say, store::StoreArgs},
    config::StorePlace,
    store::{RedisStore, embedded},
};

#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print one object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When the store can't be read, or something is wrong with it.
pub fn run(args: CheckArgs) -> Result<(), CliError> {
    let place = &args.store.store;
    let report = match place {
        StorePlace::File(path) => embedded::check(path),
        StorePlace::Redis(address) => {
            RedisStore::open_read_only(address, &args.store.redis.options()).and_then(|store| store.check())
        }
    };
    let report = report.map_err(CliError::from_store)?;
    let problems = report.problems.len();
    if args.json {
        say(&serde_json::to_string_pretty(&json!({
            "store": place.to_string(),
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
            "{}: {} meters and pools, {} hours, {} summaries, {} limits, {} seconds not folded yet",
            place, report.keys, report.hours, report.summaries, report.limits, report.frames,
        ))?;
        report.problems.iter().try_for_each(|problem| say(&format!("  problem: {problem}")))?;
    }
    if problems == 0 {
        return Ok(());
    }
    let hint = match place {
        StorePlace::File(_) => "`highwater restore FILE --replace` brings a backup back",
        StorePlace::Redis(_) => {
            "if there is a copy that `highwater check` finds nothing wrong with: `highwater migrate COPY REDIS --replace` brings it back"
        }
    };
    let problems = if problems == 1 { "a problem".to_owned() } else { format!("{problems} problems") };
    Err(CliError::Failed { message: format!("{place} has {problems}"), hint: Some(hint.to_owned()) })
}
