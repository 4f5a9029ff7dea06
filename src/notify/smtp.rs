//! The mail server: connections that are protected as configured, kept for the next mail, and never waited for without an
//! end. What goes wrong is told in words that hold no password.

use std::{
    fs,
    future::Future,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt, Rset},
        extension::ClientId,
        response::Response,
    },
};
use tokio::time::timeout;

use crate::config::{Smtp, SmtpSecurity};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// After the last byte of a mail: who gives up while the server still takes it in would send it twice.
const TAKE_WITHIN: Duration = Duration::from_secs(120);
/// From its address to a connection that takes mails.
const READY_WITHIN: Duration = Duration::from_secs(50);
/// One that was kept says that it is still there.
const THERE_WITHIN: Duration = Duration::from_secs(5);
/// How long a mail waits for those before it to connect. All of these together are less than a message's lease.
const DOOR_WITHIN: Duration = Duration::from_secs(20);
/// Connections that are kept for the next mail: as many as there are mails on their way.
const MOST_IDLE: usize = 16;
/// Longest words of a server that are told, in bytes.
const MAX_WORDS: usize = 300;

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The server can't be used: for every mail it is the same.
    Server(String),
    /// Another mail has just found that the server can't be used, or still tries: this one was not.
    Waits(String),
    /// This mail may be taken another time.
    Later(String),
    /// This mail, or its recipient, is refused for good.
    Refused(String),
}

/// Sends mails.
pub struct Mailer {
    config: Smtp,
    hello: ClientId,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
    /// One mail connects at a time, so that what is wrong is found once.
    door: tokio::sync::Mutex<()>,
    /// Connections that could not be made.
    failures: AtomicU64,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("host", &self.config.host).finish_non_exhaustive()
    }
}

impl NotSent {
    pub fn words(&self) -> &str {
        match self {
            Self::Server(words) | Self::Waits(words) | Self::Later(words) | Self::Refused(words) => words,
        }
    }
}

/// The host of a mailbox.
pub fn host_of(mailbox: &str) -> &str {
    mailbox.rsplit_once('@').map_or("localhost", |(_, host)| host)
}

impl Mailer {
    pub fn new(config: Smtp) -> Self {
        let hello = ClientId::Domain(host_of(&config.from).to_owned());
        Self { config, hello, idle: Mutex::default(), door: tokio::sync::Mutex::default(), failures: AtomicU64::new(0) }
    }

    pub fn from(&self) -> &str {
        &self.config.from
    }

    /// Mails a minute, at most.
    pub fn per_minute(&self) -> usize {
        self.config.per_minute as usize
    }

    /// Sends one mail to one recipient; returns what the server said.
    ///
    /// # Errors
    /// Why it was not taken. When the connection broke after its last byte, nobody knows whether it was.
    pub async fn send(&self, to: &str, message: &[u8]) -> Result<String, NotSent> {
        let address = |text: &str| text.parse::<Address>().map_err(|_| NotSent::Refused("the address is none".into()));
        let (from, to) = (address(&self.config.from)?, address(to)?);
        let mut connection = self.connection().await?;
        let sent = send(&mut connection, from, to, message).await;
        match &sent {
            // The server is as it was before: the next mail may go the same way.
            Ok(_) => self.keep(connection),
            Err(NotSent::Refused(_)) if !connection.has_broken() => {
                if within(ANSWER_WITHIN, connection.command(Rset)).await.is_ok() {
                    self.keep(connection);
                }
            }
            Err(_) => drop(within(ANSWER_WITHIN, connection.quit()).await),
        }
        sent
    }

    /// A connection that was kept, or a new one. Where another mail could make none meanwhile, this one does not try.
    async fn connection(&self) -> Result<AsyncSmtpConnection, NotSent> {
        let Smtp { host, port, .. } = &self.config;
        let failures = self.failures.load(Ordering::Relaxed);
        if let Some(connection) = self.reuse().await {
            return Ok(connection);
        }
        let waits = || NotSent::Waits(format!("{host}:{port} could not be used for another mail just now"));
        let Ok(_door) = timeout(DOOR_WITHIN, self.door.lock()).await else { return Err(waits()) };
        if self.failures.load(Ordering::Relaxed) != failures {
            return Err(waits());
        }
        if let Some(connection) = self.reuse().await {
            return Ok(connection);
        }
        let connected = timeout(READY_WITHIN, self.connect()).await.unwrap_or_else(|_| {
            Err(NotSent::Server(format!("{host}:{port} is not ready within {} s", READY_WITHIN.as_secs())))
        });
        if connected.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        connected
    }

    /// A connection that was kept, if the server still has it.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            match timeout(THERE_WITHIN, connection.command(Rset)).await {
                Ok(Ok(_)) => return Some(connection),
                Ok(Err(_)) => {}
                // The way is gone, for the others, too.
                Err(_) => self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, NotSent> {
        let Smtp { host, port, security, user, password, .. } = &self.config;
        let server = |words: String| NotSent::Server(words);
        let from_first = if *security == SmtpSecurity::Tls { Some(self.tls()?) } else { None };
        let address = (host.as_str(), *port);
        let connect = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_WITHIN), &self.hello, from_first, None);
        // Its greeting is an answer, too.
        let mut connection = within(CONNECT_WITHIN + ANSWER_WITHIN, connect)
            .await
            .map_err(|failed| server(format!("{host}:{port} can't be reached: {}", failed.words)))?;
        if *security == SmtpSecurity::StartTls {
            if !connection.can_starttls() {
                drop(within(ANSWER_WITHIN, connection.quit()).await);
                return Err(server(format!("{host}:{port} offers no STARTTLS, and mails are not sent in plain text")));
            }
            let tls = self.tls()?;
            within(ANSWER_WITHIN, connection.starttls(tls, &self.hello))
                .await
                .map_err(|failed| server(format!("{host}:{port}: no TLS: {}", failed.words)))?;
        }
        if let (Some(user), Some(password)) = (user, password) {
            let password = String::from_utf8_lossy(password.expose()).into_owned();
            let credentials = Credentials::new(user.clone(), password);
            within(ANSWER_WITHIN, connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials))
                .await
                .map_err(|failed| server(format!("{host}:{port} does not let {user} in: {}", failed.words)))?;
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<TlsParameters, NotSent> {
        let server = |words: String| NotSent::Server(words);
        let mut builder = TlsParameters::builder(self.config.host.clone());
        if let Some(path) = &self.config.ca_file {
            let pem = fs::read(path).map_err(|error| server(format!("{}: {error}", path.display())))?;
            let ours = Certificate::from_pem(&pem);
            let ours = ours.map_err(|error| server(format!("{}: {error}", path.display())))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(ours);
        }
        builder.build_rustls().map_err(|error| server(format!("TLS can't be used: {error}")))
    }
}

/// What did not work.
struct Failed {
    words: String,
    is_permanent: bool,
}

impl From<Failed> for NotSent {
    fn from(failed: Failed) -> Self {
        match failed.is_permanent {
            true => Self::Refused(failed.words),
            false => Self::Later(failed.words),
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, Failed> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failed { words: words(&error), is_permanent: error.is_permanent() }),
        Err(_) => Err(Failed { words: format!("no answer within {} s", limit.as_secs()), is_permanent: false }),
    }
}

/// The transaction of one mail.
async fn send(
    connection: &mut AsyncSmtpConnection,
    from: Address,
    to: Address,
    message: &[u8],
) -> Result<String, NotSent> {
    let sender = within(ANSWER_WITHIN, connection.command(Mail::new(Some(from), Vec::new()))).await;
    // That the sender is refused says nothing of the recipient.
    sender.map_err(|failed| NotSent::Server(format!("the sender is refused: {}", failed.words)))?;
    within(ANSWER_WITHIN, connection.command(Rcpt::new(to, Vec::new()))).await?;
    within(ANSWER_WITHIN, connection.command(Data)).await?;
    let taken = within(TAKE_WITHIN, connection.message(message)).await?;
    Ok(said(&taken))
}

/// What a server said, on one line.
fn said(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    cut(&format!("{} {}", response.code(), lines.join(" ")))
}

/// What went wrong, and what is behind it.
fn words(error: &SmtpError) -> String {
    let mut words = without_address(&error.to_string());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = without_address(&error.to_string());
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    cut(&words)
}

/// Libraries say where they explain themselves to programmers: nobody who reads this is helped.
fn without_address(words: &str) -> String {
    let end = words.find(": https://docs.rs").unwrap_or(words.len());
    words[..end].to_owned()
}

fn cut(words: &str) -> String {
    let words: String = words.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    words[..words.floor_char_boundary(MAX_WORDS.min(words.len()))].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_told_without_addresses_for_programmers() {
        let said = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/x";
        assert_eq!(without_address(said), "peer closed connection without sending TLS close_notify");
        assert_eq!(without_address("550: see https://mail.example"), "550: see https://mail.example");
    }
}
