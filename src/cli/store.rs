//! The store that a command opens by itself, and how a Redis is spoken to.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use clap::Args;

use crate::{
    access::audit::Entry,
    cli::CliError,
    config::{RedisOptions, Retention, StorePlace, place},
    service::{Actor, Clock, Ledger},
    store::{
        self, Change, Store, StoreError,
        content::{INTERRUPTED, is_unfinished},
    },
};

/// Longest that anything is kept: what a service is set to keep is its own setting, and it drops what is older.
const LONGEST: Retention = Retention { points_days: 366, summaries_months: 120 };

#[derive(Args, Debug)]
pub struct StoreArgs {
    /// The store: a file, or redis://HOST:PORT; no service may be using it
    #[arg(
        long,
        env = "HIGHWATER_STORE",
        value_name = "PLACE",
        default_value = ".highwater/store.redb",
        hide_env_values = true
    )]
    pub store: StorePlace,
    #[command(flatten)]
    pub redis: RedisArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// What every key in Redis begins with
    #[arg(long = "redis-prefix", global = true, env = "HIGHWATER_REDIS_PREFIX", value_name = "TEXT", default_value = "hw:", value_parser = place::prefix)]
    prefix: String,
    /// User of Redis' access control list
    #[arg(long = "redis-user", global = true, env = "HIGHWATER_REDIS_USER", value_name = "NAME")]
    user: Option<String>,
    /// File whose first line is the password of Redis
    #[arg(long = "redis-password-file", global = true, env = "HIGHWATER_REDIS_PASSWORD_FILE", value_name = "PATH")]
    password_file: Option<PathBuf>,
    /// Certificates (PEM) that vouch for Redis, instead of those of the system
    #[arg(long = "redis-ca-file", global = true, env = "HIGHWATER_REDIS_CA_FILE", value_name = "PATH")]
    ca_file: Option<PathBuf>,
}

impl RedisArgs {
    pub fn options(&self) -> RedisOptions {
        let Self { prefix, user, password_file, ca_file } = self;
        RedisOptions {
            prefix: prefix.clone(),
            user: user.clone().filter(|user| !user.is_empty()),
            password_file: password_file.clone().filter(|path| !path.as_os_str().is_empty()),
            ca_file: ca_file.clone().filter(|path| !path.as_os_str().is_empty()),
        }
    }
}

impl StoreArgs {
    /// Opens it for writing.
    ///
    /// # Errors
    /// When it can't be used, or is a copy that was interrupted.
    pub fn open(&self) -> Result<Arc<dyn Store>, CliError> {
        let store = store::open(&self.store, &self.redis.options(), &LONGEST).map_err(CliError::from_store)?;
        if is_unfinished(&*store).map_err(CliError::from_store)? {
            return Err(CliError::failed(format!("{}: {INTERRUPTED}", self.store)));
        }
        Ok(store)
    }

    /// Whether it is a file that opening makes.
    pub fn is_new_file(&self) -> bool {
        matches!(&self.store, StorePlace::File(path) if !path.exists())
    }

    /// Removes the file that a command made and that has nothing in it.
    pub fn remove_file(&self) {
        if let StorePlace::File(path) = &self.store {
            // What can't be removed is an empty store: nothing is lost by it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What a command changes at a store that no service uses, for its audit log.
#[derive(Debug, Default)]
pub struct Done {
    pub action: &'static str,
    /// Empty when it is about none.
    pub project: String,
    /// What it was done with: the file or store that it came from.
    pub object: String,
    pub before: String,
    pub after: String,
}

impl Done {
    /// Writes the row that tells of it.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn tell(self, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        let Self { action, project, object, before, after } = self;
        // Nobody is asked for a key here: the system's user is all that is known.
        let by =
            fs::metadata("/proc/self").map_or_else(|_| String::new(), |own| format!("; run by user {}", own.uid()));
        let entry = Actor::offline().entry(action, &project, object);
        let entry = Entry { before, after: after + &by, ..entry };
        Ledger::open(store.clone())?.write(Change::default(), &[entry], Clock::wall()).map(drop)
    }
}
