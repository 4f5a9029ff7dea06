//! Whose secrets LiveKit's events are signed with: the configured key's, and those of the keys that were registered.

use std::{sync::Arc, time::Duration};

use crate::{
    access::Secret,
    config::{Config, LiveKitConfig},
    livekit::{LiveKit, desk::DeskSettings, heard::Heard, token::Secrets},
    model::Project,
    service::{Access, Service},
    store::{Store, StoreError},
};

/// How long a connection of LiveKit's counts of which nothing is heard, where nothing is configured.
const EXPIRE_AFTER: Duration = Duration::from_secs(6 * 3_600);

#[derive(Debug)]
struct Known {
    configured: Option<LiveKitConfig>,
    registered: Arc<Access>,
}

impl Secrets for Known {
    fn secret(&self, api_key: &str) -> Option<(Project, Secret<Vec<u8>>)> {
        self.configured.secret(api_key).or_else(|| self.registered.secret_of(api_key))
    }
}

/// What LiveKit says, of the configured project from the start, of the others from their first event.
///
/// # Errors
/// When the store can't say what was heard before.
pub fn livekit(config: &Config, access: &Arc<Access>, store: &dyn Store) -> Result<LiveKit, StoreError> {
    let notes = Heard::names().map(|name| store.note(&name)).collect::<Result<Vec<_>, _>>()?;
    let heard = Heard::of(notes.into_iter().flatten());
    let expire_after = config.livekit.as_ref().map_or(EXPIRE_AFTER, |livekit| livekit.expire_after);
    let known = Known { configured: config.livekit.clone(), registered: access.clone() };
    let livekit = LiveKit::new(Box::new(known), heard, DeskSettings { lease: None, expire_after });
    if let Some(config) = &config.livekit {
        livekit.add(&config.project, config.desk());
    }
    Ok(livekit)
}

impl Service {
    /// Has the store know which events were taken. Called each second, by the recorder alone.
    pub(super) fn keep_heard(&self) -> Result<(), StoreError> {
        if let Some(note) = self.livekit.heard.unkept() {
            self.store.set_note(&note.name, &note.text)?;
            self.livekit.heard.kept(&note);
        }
        Ok(())
    }
}
