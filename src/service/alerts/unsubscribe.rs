//! Who wants no more: each mail has a link that ends what is sent to its own address, and nothing else.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::{
    alert::{Address, Recipient, Row, Severity},
    error::Error,
    model::{Now, Project},
    service::{
        Actor, Service,
        alerts::{State, decide::document, named, record},
    },
    store::{Change, Shelf},
};

/// What the names of recipients of the configuration begin with.
pub const CONFIGURED: &str = "configured-";
/// Bytes of an address's hash in such a name.
const HASH_BYTES: usize = 6;

/// The name of a mailbox of the configuration: of its address, so that it is the same wherever it stands there.
pub(super) fn name_of_mailbox(mailbox: &str) -> Arc<str> {
    let hash: [u8; 32] = Sha256::digest(mailbox.as_bytes()).into();
    let digits: String = hash[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{CONFIGURED}{digits}").into()
}

/// The recipients that the configuration names, each once.
pub(super) fn configured(mailboxes: &[String]) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for mailbox in mailboxes {
        let name = name_of_mailbox(mailbox);
        if recipients.iter().all(|there| there.name != name) {
            recipients.push(Recipient {
                name,
                project: Project::across(),
                address: Address::Mailbox(mailbox.clone()),
                enabled: true,
                least: Severity::Info,
                quiet: None,
                unsubscribed: None,
                trouble: String::new(),
            });
        }
    }
    recipients
}

/// The name that a stored recipient is to have: those of the configuration were once named by their place in it.
fn renamed(recipient: &Recipient) -> Option<Arc<str>> {
    let place = recipient.name.strip_prefix(CONFIGURED)?;
    let is_place = place.len() <= 3 && place.bytes().all(|byte| byte.is_ascii_digit());
    match &recipient.address {
        Address::Mailbox(mailbox) if is_place => Some(name_of_mailbox(mailbox)),
        _ => None,
    }
}

impl State {
    /// A recipient that was stored; one that is named by its place in the configuration is from now on named by its address.
    pub(super) fn take_stored(&mut self, mut recipient: Recipient) {
        if let Some(name) = renamed(&recipient) {
            self.put(Shelf::Recipients, named(&recipient.project, &recipient.name), None);
            recipient.name = name;
            let bytes = record::encode_recipient(&recipient, |_| Vec::new());
            self.put(Shelf::Recipients, named(&recipient.project, &recipient.name), Some(bytes));
        }
        if recipient.lacks_secret() {
            recipient.trouble = format!("its secret {}", crate::alert::recipient::NO_SECRET);
        }
        self.recipients.insert((recipient.project.clone(), recipient.name.clone()), recipient);
    }
}

impl Service {
    /// What lets a mailbox end what is sent to it as this recipient, and nothing else: of a recipient who has another
    /// address since, it ends nothing.
    pub fn unsubscribe_token(&self, project: &Project, recipient: &str, mailbox: &str) -> String {
        self.access.sign(&format!("unsubscribe {project} {recipient} {mailbox}"))
    }

    /// The recipient of a token; takes as long for one that is none.
    fn of_token(&self, state: &State, project: &Project, name: &str, token: &str) -> Option<Recipient> {
        let found = state.recipient(project, name);
        let mailbox = match found.as_ref().map(|found| &found.address) {
            Some(Address::Mailbox(mailbox)) => Some(&**mailbox),
            _ => None,
        };
        let expected = self.unsubscribe_token(project, name, mailbox.unwrap_or_default());
        let is_same = bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), token.as_bytes()));
        let is_theirs = is_same && mailbox.is_some();
        found.filter(|_| is_theirs)
    }

    /// Whether a token is that of a recipient.
    pub fn is_unsubscribe_token(&self, project: &Project, recipient: &str, token: &str) -> bool {
        self.of_token(&self.alerts.state(), project, recipient, token).is_some()
    }

    /// A recipient wants no more.
    ///
    /// # Errors
    /// `NotFound` when there is none, or the token is not theirs; `Store` when it is not durable.
    pub fn unsubscribe(&self, project: &Project, recipient: &str, token: &str, now: Now) -> Result<(), Error> {
        let mut state = self.alerts.state();
        let found = self.of_token(&state, project, recipient, token);
        let found = found.ok_or_else(|| Error::NotFound { what: "recipient", name: recipient.to_owned() })?;
        if found.unsubscribed.is_some() {
            return Ok(());
        }
        let ended = Recipient { unsubscribed: Some(now.wall), ..found };
        let rows = state.outbox.ended(project, &ended.name, "the recipient unsubscribed", now.wall);
        let mut documents = vec![self.recipient_document(&ended)];
        let written = |row: &Row| document(Shelf::Outbox, row.id.to_string(), Some(record::encode_row(row)));
        documents.extend(rows.iter().map(written));
        let entry = Actor::service().entry("alert.unsubscribe", project.as_str(), recipient.to_owned());
        self.ledger.write(Change { documents, ..Change::default() }, &[entry], now.wall)?;
        state.recipients.insert((project.clone(), ended.name.clone()), ended);
        state.outbox.take(rows);
        Ok(())
    }
}
