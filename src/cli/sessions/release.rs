//! `highwater sessions release`: frees a slot by hand.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{connect::Server, error::CliError, output, screen::say},
    proto::{ReleaseSessionRequest, Session},
};

#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// Id of the session, as `sessions` lists it
    pub id: String,
    /// Why; it is kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Incarnation of the worker that holds it, as `sessions --json` lists it; needed when two hold one of that id
    #[arg(long, value_name = "HEX")]
    pub incarnation: Option<String>,
}

#[derive(Debug, Serialize)]
struct ReleasedOut<'a> {
    project: &'a str,
    id: &'a str,
    /// False when its worker was asked to close it.
    released: bool,
}

/// Releases the one of these sessions that is named, or the one of the incarnation that is.
///
/// # Errors
/// When there is none or more than one, the service refuses, or the output can't be written.
pub async fn run(
    server: &Server,
    project: &str,
    args: ReleaseArgs,
    held: Vec<Session>,
    json: bool,
) -> Result<(), CliError> {
    let incarnation = match args.incarnation {
        Some(incarnation) => incarnation,
        None => only(&args.id, held)?,
    };
    let (project_name, session_id) = (project.to_owned(), args.id.clone());
    let request = ReleaseSessionRequest { project: project_name, session_id, incarnation, reason: args.reason };
    let released = server.answer(server.quotas().release_session(request)).await?.released;
    if json {
        return output::print(&ReleasedOut { project, id: &args.id, released }, true);
    }
    say(&match released {
        true => format!("released: {} holds no slot any more", args.id),
        false => format!("asked: the worker that holds {} is to close it", args.id),
    })
}

/// The incarnation of the one session of this id.
fn only(id: &str, held: Vec<Session>) -> Result<String, CliError> {
    let mut of_id = held.into_iter().filter(|session| session.id == id);
    match (of_id.next(), of_id.next()) {
        (Some(one), None) => Ok(one.incarnation),
        (None, _) => Err(CliError::NotFound { message: format!("there is no session {id}"), hint: None }),
        (Some(_), Some(_)) => {
            Err(CliError::Usage(format!("more than one worker holds a session {id}: name one with --incarnation")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_session_of_an_id_is_found_and_of_two_none_is_guessed() {
        let session = |id: &str, incarnation: &str| Session {
            id: id.to_owned(),
            incarnation: incarnation.to_owned(),
            ..Session::default()
        };
        let held = vec![session("a", "1"), session("b", "1"), session("b", "2")];
        assert_eq!(only("a", held.clone()).unwrap(), "1");
        assert!(matches!(only("b", held.clone()), Err(CliError::Usage(_))));
        assert!(matches!(only("c", held), Err(CliError::NotFound { .. })));
    }
}
