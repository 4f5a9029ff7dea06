//! The command line: what can be typed, and which command does it. Commands ask the service over its contract; only
//! those that say so open a store.

use std::{future::Future, process::ExitCode};

use clap::{Parser, Subcommand, error::ContextValue};
use tokio::runtime;

pub mod acquire;
pub mod alerts;
pub mod audit;
pub mod backup;
pub mod chains;
pub mod check;
pub mod check_config;
pub mod completions;
pub mod connect;
pub mod demo;
pub mod error;
pub mod history;
pub mod import;
pub mod keys;
pub mod limits;
pub mod migrate;
pub mod moment;
pub mod output;
pub mod projects;
pub mod quotas;
pub mod replay;
pub mod requests;
pub mod restore;
pub mod routes;
pub mod screen;
pub mod serve;
pub mod sessions;
pub mod status;
pub mod store;
pub mod table;
pub mod target;
pub mod text;

pub use error::CliError;

use crate::config::place::without_password;

/// Know, plan and protect the inference concurrency of voice agents
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, after_help = error::EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::ServeArgs),
    /// Run the service on a simulated fleet with seven days of history
    Demo(demo::DemoArgs),
    /// Run a trace of sessions through the engine, under its own clock, into a store
    Import(import::ImportArgs),
    /// Report a trace of sessions to a running service, as its workers would
    Replay(replay::ReplayArgs),
    /// What is used of what may be used, by model
    Quotas(quotas::QuotasArgs),
    /// Who holds the slots now
    Sessions(sessions::SessionsArgs),
    /// How high it went, and when
    History(history::HistoryArgs),
    /// Limits: what is in force, set, end, plans, catalogue
    Limits(limits::LimitsArgs),
    /// Chains: the models that take each other's sessions, pins and drains
    Chains(chains::ChainsArgs),
    /// Routes: which model of each chain new sessions use now
    Routes(routes::RoutesArgs),
    /// Ask for a slot as a worker would, and hold it
    Acquire(acquire::AcquireArgs),
    /// Requests for more capacity: asked, approved, declined
    Requests(requests::RequestsArgs),
    /// Alerts: what fires and fired, rules, who is told
    Alerts(alerts::AlertsArgs),
    /// Keys: who may do what
    Keys(keys::KeysArgs),
    /// Projects: listed, made, deleted
    Projects(projects::ProjectsArgs),
    /// What was changed, by whom
    Audit(audit::AuditArgs),
    /// How the service fares
    Status(status::StatusArgs),
    /// Copy a store, also while a service uses it
    Backup(backup::BackupArgs),
    /// Bring a backup back
    Restore(restore::RestoreArgs),
    /// Copy a store to another, a file or Redis, and verify the copy
    Migrate(migrate::MigrateArgs),
    /// Read a whole store and say what is wrong with it
    Check(check::CheckArgs),
    /// Say what is configured, where each value comes from, and every mistake
    CheckConfig(check_config::CheckConfigArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// Does what was typed. Mistakes in the command line, and `--help`, end the process here.
pub fn run() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|mistake| told_without_passwords(mistake).exit());
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.exit(),
    }
}

/// A mistake in the command line quotes what was typed: an address among it, not the password that it holds.
fn told_without_passwords(mut mistake: clap::Error) -> clap::Error {
    let hide = |text: &String| without_password(text).into_owned();
    let hidden: Vec<_> = mistake
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(hide(text)))),
            ContextValue::Strings(texts) => Some((kind, ContextValue::Strings(texts.iter().map(hide).collect()))),
            _ => None,
        })
        .collect();
    for (kind, value) in hidden {
        mistake.insert(kind, value);
    }
    mistake
}

fn dispatch(command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Import(args) => import::run(args),
        Command::Replay(args) => block_on(replay::run(args)),
        Command::Quotas(args) => block_on(quotas::run(args)),
        Command::Sessions(args) => block_on(sessions::run(args)),
        Command::History(args) => block_on(history::run(args)),
        Command::Limits(args) => block_on(limits::run(args)),
        Command::Chains(args) => block_on(chains::run(args)),
        Command::Routes(args) => block_on(routes::run(args)),
        Command::Acquire(args) => block_on(acquire::run(args)),
        Command::Requests(args) => block_on(requests::run(args)),
        Command::Alerts(args) => block_on(alerts::run(args)),
        Command::Keys(args) => keys::run(args),
        Command::Projects(args) => block_on(projects::run(args)),
        Command::Audit(args) => block_on(audit::run(args)),
        Command::Status(args) => block_on(status::run(args)),
        Command::Backup(args) => backup::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Check(args) => check::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

/// Runs a command that asks a service: one thread is enough.
fn block_on(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::failed(format!("no runtime could be started: {error}")))?.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[track_caller]
    fn check_quotes(typed: &[&str], quoted: &str) {
        let mistake = Cli::try_parse_from([&["highwater"], typed].concat()).unwrap_err();
        let told = told_without_passwords(mistake).to_string();
        assert!(told.contains(quoted) && !told.contains("secret"), "{told}");
    }

    #[test]
    fn a_mistake_is_quoted_without_the_password_of_an_address() {
        const ADDRESS: &str = "redis://user:secret@host/0";
        check_quotes(
            &["migrate", ADDRESS, "here.redb"],
            "'redis://***@host/0' for '<FROM>': holds a user or a password",
        );
        check_quotes(&["migrate", "a.redb", "b.redb", ADDRESS], "unexpected argument 'redis://***@host/0'");
        check_quotes(&["check", "--store", ADDRESS], "redis://***@host/0");
        check_quotes(&["keys", &format!("--stor={ADDRESS}")], "unexpected argument");
        check_quotes(&[ADDRESS], "unrecognized subcommand 'redis://***@host/0'");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// A variable that a command knows and `serve` does not must not be taken for a mistyped one.
    #[test]
    fn the_variables_of_all_commands_are_known() {
        fn gather(command: &clap::Command, names: &mut Vec<String>) {
            let of_args = command.get_arguments().filter_map(|arg| arg.get_env()).filter_map(|name| name.to_str());
            names.extend(of_args.map(str::to_owned));
            command.get_subcommands().for_each(|command| gather(command, names));
        }
        let mut names = Vec::new();
        gather(&Cli::command(), &mut names);
        assert!(names.iter().any(|name| name == "HIGHWATER_SERVER"));
        names.extend([connect::KEY_VARIABLE, connect::KEY_FILE_VARIABLE].map(str::to_owned));
        assert_eq!(crate::config::mistyped(names), []);
    }
}
