//! Who may do what: roles, credentials, what they are checked against, and the chain of the audit log. Functions of what
//! is presented, what is kept and now; random bytes and the clock are arguments.
//!
//! - [`role`]: what each role may do.
//! - [`secret`]: what must not be shown.
//! - [`token`]: API keys as they are presented.
//! - [`jwt`]: LiveKit's tokens, of agents and of webhooks.
//! - [`vault`]: what the key file protects.
//! - [`record`]: what is kept of a credential.
//! - [`project`]: what is kept of a project.
//! - [`credential`]: credentials in force, and what they are good for.
//! - [`sign_in`]: what a browser was signed in with.
//! - [`audit`]: rows of which each holds the hash of the one before.

pub mod audit;
pub mod credential;
pub mod jwt;
pub mod project;
pub mod record;
pub mod role;
pub mod secret;
pub mod sign_in;
pub mod token;
pub mod vault;

pub use audit::{AuditRow, Hash};
pub use credential::{Credentials, Pass, Refused};
pub use project::ProjectRecord;
pub use record::{Kept, KeyRecord};
pub use role::{Role, Roles};
pub use secret::Secret;
pub use sign_in::SignIn;
pub use vault::Vault;
