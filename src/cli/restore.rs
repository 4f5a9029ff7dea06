//! `highwater restore`: brings a backup back, and with it every decision as it was then.

use std::path::Path;

use clap::Args;

use crate::{
    access::AuditRow,
    cli::{CliError, screen::say, store::Done, text::number},
    config::StorePlace,
    import::report::time_text,
    model::Time,
    service::{
        Clock,
        access::{self, key_file},
    },
    store::{Store, StoreError, embedded},
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
    let (from, mut found) = (args.from.display().to_string(), Found::default());
    let was_there = file(&args.store)?.exists();
    let restored = embedded::restore(&args.from, file(&args.store)?, args.replace, &mut |copy| {
        found = Found::of(&**copy)?;
        let before = if was_there { "what was there was replaced" } else { "" }.to_owned();
        let after = format!("what it held at {}; {} API keys are good in it", found.until(), found.good_keys);
        Done { action: "store.restore", project: String::new(), object: from.clone(), before, after }.tell(copy)
    });
    restored.map_err(|error| match error {
        StoreError::Damaged(why) => CliError::Mistakes {
            message: format!("{} can't be restored: {why}", args.from.display()),
            hint: Some("nothing was changed; take another backup".to_owned()),
        },
        other => CliError::from_store(other),
    })?;
    say(&format!("{} is restored from {from}, as it was at {}", args.store, found.until()))?;
    found.warnings(&args.store).iter().try_for_each(|line| say(line))
}

/// What is in a backup.
#[derive(Debug, Default)]
struct Found {
    /// The latest of its seconds, folded hours and decisions.
    last: Option<Time>,
    /// API keys, those of LiveKit among them, that are good in it now.
    good_keys: usize,
}

impl Found {
    fn of(backup: &dyn Store) -> Result<Self, StoreError> {
        let second = backup.frames()?.iter().map(|frame| frame.tick + frame.repeat).max();
        let folded = backup.folded_until()?.map(|hour| hour.first_tick().start());
        let end = backup.audit_end()?;
        let decision = backup.audit(end.saturating_sub(1)..end, 1)?.pop().and_then(|(_, row)| AuditRow::decode(&row));
        let last = second.map(Time::from_secs).max(folded).max(decision.map(|row| row.time));
        Ok(Self { last, good_keys: access::good_keys(backup, Clock::wall())? })
    }

    fn until(&self) -> String {
        self.last.map_or_else(|| "an unknown time".to_owned(), time_text)
    }

    /// What a restore undoes, and what is to be done about it.
    fn warnings(&self, store: &StorePlace) -> Vec<String> {
        let good = match self.good_keys {
            1 => "1 API key is good in it".to_owned(),
            more => format!("{} API keys are good in it", number(more as u64)),
        };
        let mut lines = vec![
            format!("  {good}: keys, limits, alerts and their rules are again those of the backup"),
            format!(
                "  a key that was revoked since is good again: look through `highwater keys list --all-projects --store \
                 {store}`, and revoke it again before a service starts"
            ),
            "  a row of the audit log tells of it (store.restore); rows that came after the backup are gone".to_owned(),
        ];
        if let Some(missing) = key_file::beside(store).filter(|path| self.good_keys > 0 && !path.exists()) {
            lines.push(format!(
                "  none of them works without the key file that they were made with: bring it back as {}, or name it \
                 (access.key_file)",
                missing.display()
            ));
        }
        lines
    }
}
