//! `highwater migrate`: copies a store to another, a file or Redis, and verifies the copy.

use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    cli::{
        CliError,
        error::AWAY,
        screen::say,
        store::{Done, RedisArgs},
    },
    config::StorePlace,
    store::{
        Store,
        content::Content,
        migrate::{self, MigrateError, Stage},
    },
};

#[derive(Args, Debug)]
pub struct MigrateArgs {
    /// The store that is copied: a file, or redis://HOST:PORT; no service may be using it
    #[arg(value_name = "FROM")]
    pub from: StorePlace,
    /// Where it is copied to
    #[arg(value_name = "TO")]
    pub to: StorePlace,
    /// Replace the store that is there
    #[arg(long)]
    pub replace: bool,
    /// Print one object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Runs it.
///
/// # Errors
/// When a store can't be used, there is one at the place that is not to be replaced, or the copy differs.
pub fn run(args: MigrateArgs) -> Result<(), CliError> {
    if args.from == args.to {
        return Err(CliError::Usage(format!("{} can't be copied to itself", args.from)));
    }
    let bar = progress_bar();
    let mut progress = |stage, done, of| {
        bar.set_message(match stage {
            Stage::VerifySource => "reading what is copied",
            Stage::Copy => "copying",
            Stage::VerifyCopy => "reading the copy",
        });
        bar.set_length(of);
        bar.set_position(done);
    };
    let mut tell = |copy: &Arc<dyn Store>| {
        let before = if args.replace { "what was there was replaced" } else { "" }.to_owned();
        let (object, after) = (args.from.to_string(), format!("copied to {}, and the same", args.to));
        Done { action: "store.migrate", project: String::new(), object, before, after }.tell(copy)
    };
    let options = args.redis.options();
    let migrated = migrate::migrate(&args.from, &args.to, &options, args.replace, &mut tell, &mut progress);
    bar.finish_and_clear();
    let content = migrated.map_err(refused)?;
    if args.json { say(&json_of(&args, &content)?) } else { print(&args, &content) }
}

fn refused(error: MigrateError) -> CliError {
    use MigrateError::{Source, Target};
    if matches!(&error, Source { error, .. } | Target { error, .. } if error.is_away()) {
        return CliError::Away { message: error.to_string(), hint: Some(AWAY.to_owned()) };
    }
    let hint = match &error {
        Source { error, .. } | Target { error, .. } if error.is_in_use() => {
            "a service uses it, or another command: stop it (a Redis is free 3 s later), and give the same command again"
        }
        Source { .. } => "what is to be copied can't be read: `highwater check` says more of a store",
        Target { .. } => "the same command again begins the copy anew",
        MigrateError::Same(_) => "a copy has a place of its own: another Redis, another database of it, or a file",
        MigrateError::NotEmpty(_) => "`--replace` removes what is there, and puts the copy in its place",
        MigrateError::Nothing(_) => {
            "name the store that is to be copied: its file, or its Redis with its database and --redis-prefix"
        }
        MigrateError::Unfinished(_) => "copy the store that it was made from once more: that begins it anew",
        MigrateError::Damaged { .. } => "`highwater check` says more, `highwater restore` brings a backup back",
        MigrateError::Differs(_) => "something else wrote one of the stores meanwhile: stop it, and begin anew",
    };
    CliError::Failed { message: error.to_string(), hint: Some(hint.to_owned()) }
}

/// On stderr, and only where somebody looks.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}, {human_pos} of {human_len} keys");
    let bar = ProgressBar::new(0);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn json_of(args: &MigrateArgs, content: &Content) -> Result<String, CliError> {
    let report = &content.report;
    Ok(serde_json::to_string_pretty(&json!({
        "from": args.from.to_string(),
        "to": args.to.to_string(),
        "keys": report.keys,
        "frames": report.frames,
        "hours": report.hours,
        "summaries": report.summaries,
        "limits": report.limits,
        "documents": report.documents,
        "audit": report.audit,
        "workers": content.workers,
        "notes": content.notes,
        "sha256": content.hash,
    }))?)
}

fn print(args: &MigrateArgs, content: &Content) -> Result<(), CliError> {
    let report = &content.report;
    say(&format!("{} is a copy of {}; both were read, and are the same:", args.to, args.from))?;
    say(&format!(
        "  {} meters and pools, {} hours, {} summaries, {} seconds not folded yet, {} limits, {} documents, {} audit rows",
        report.keys, report.hours, report.summaries, report.frames, report.limits, report.documents, report.audit,
    ))?;
    say(&format!("  sha256 {}", content.hash))?;
    say("a row of the copy's audit log tells of it (store.migrate)")
}
