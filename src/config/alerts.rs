//! What is configured of alerts: who is told when nobody else is, where links lead, where webhooks may go, and the mail
//! server.

use std::{fs, net::IpAddr, path::PathBuf};

use axum::http::Uri;

use crate::{
    access::Secret,
    alert::Address,
    config::{build::Values, parse, raw::Origin, setting::SMTP_PASSWORD_VARIABLE},
};

/// Longest password of a mail server, in bytes.
const MAX_PASSWORD_BYTES: u64 = 1_024;
/// Most messages a minute: faster than any relay takes them.
const MOST_A_MINUTE: u64 = 100_000;
/// Most mailboxes that the configuration names.
const MOST_MAILBOXES: usize = 100;

/// What alerts are told by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertsConfig {
    /// Mailboxes that are told of the service, and of projects that have nobody of their own.
    pub recipients: Vec<String>,
    /// What links begin with, without a slash at the end.
    pub link: Option<String>,
    /// Private networks that webhooks may go to.
    pub webhook_networks: Vec<Network>,
    /// `None` when no mail is sent.
    pub smtp: Option<Smtp>,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// STARTTLS, and nothing is sent where the server has none.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: for a server on the same machine.
    Plain,
}

/// The mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    pub user: Option<String>,
    pub password: Option<Secret<Vec<u8>>>,
    /// The mailbox that mails are from.
    pub from: String,
    /// PEM file of the certificates that vouch for the server, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Messages a minute.
    pub per_minute: u32,
}

/// The settings, each right by itself.
pub(super) struct Typed {
    recipients: Vec<String>,
    link: Option<String>,
    webhook_networks: Vec<Network>,
    host: Option<String>,
    port: u16,
    security: SmtpSecurity,
    user: Option<String>,
    password: Option<Secret<Vec<u8>>>,
    from: Option<String>,
    ca_file: Option<PathBuf>,
    per_minute: u32,
}

impl Network {
    /// Whether an address is one of them.
    pub fn holds(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let kept = u32::from(self.bits);
            kept == 0 || (one ^ other) >> (width - kept) == 0
        };
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl Typed {
    pub(super) fn take(values: &mut Values<'_>) -> Self {
        Self {
            recipients: values.take("alerts.recipients", mailboxes),
            link: values.take("alerts.link", link),
            webhook_networks: values.take("alerts.webhook_networks", networks),
            host: values.take("smtp.host", host),
            port: values.take("smtp.port", parse::number(1..=u64::from(u16::MAX))),
            security: values.take("smtp.security", security),
            user: values.take("smtp.user", parse::optional_text),
            password: values.take("smtp.password_file", password_file),
            from: values.take("smtp.from", mailbox),
            ca_file: values.take("smtp.ca_file", parse::optional_path),
            per_minute: values.take("smtp.per_minute", parse::number(1..=MOST_A_MINUTE)),
        }
    }

    /// What must hold between them; a password in the variable comes before one in a file.
    pub(super) fn check(self, password: Option<&Secret<Vec<u8>>>, values: &mut Values<'_>) -> AlertsConfig {
        let password = password.cloned().or(self.password);
        let Self { recipients, link, webhook_networks, host, port, security, user, from, ca_file, per_minute, .. } =
            self;
        let need = |values: &mut Values<'_>, key: &str, problem: &str| {
            let origin = values.origin(key).unwrap_or(Origin::Variable(SMTP_PASSWORD_VARIABLE.to_owned()));
            values.mistake(origin, key, problem);
        };
        if host.is_some() && from.is_none() && !values.is_wrong("smtp.from") {
            need(values, "smtp.host", "needs `smtp.from` beside it: the mailbox that mails are from");
        }
        if user.is_some() && password.is_none() && !values.is_wrong("smtp.password_file") {
            let problem = format!(
                "has no password: name the file that holds it in `smtp.password_file`, or set {SMTP_PASSWORD_VARIABLE}"
            );
            need(values, "smtp.user", &problem);
        }
        let sends_password = user.is_some() && security == SmtpSecurity::Plain;
        let is_local = host.as_deref().is_some_and(|host| ["localhost", "127.0.0.1", "::1"].contains(&host));
        if sends_password && !is_local {
            need(values, "smtp.security", "a password is not sent in plain text: write starttls or tls");
        }
        if host.is_none() && !recipients.is_empty() && !values.is_wrong("smtp.host") {
            need(values, "alerts.recipients", "is of no use without `smtp.host`");
        }
        let smtp = match (host, from) {
            (Some(host), Some(from)) => Some(Smtp { host, port, security, user, password, from, ca_file, per_minute }),
            _ => None,
        };
        AlertsConfig { recipients, link, webhook_networks, smtp }
    }
}

fn mailbox(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    Address::Mailbox(text.to_owned()).check().map(|()| Some(text.to_owned())).map_err(|why| format!("{text:?} {why}"))
}

fn mailboxes(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let found: Vec<String> = parts.map(mailbox).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    match found.len() > MOST_MAILBOXES {
        true => Err(format!("names {} mailboxes; {MOST_MAILBOXES} are the most", found.len())),
        false => Ok(found),
    }
}

/// What links begin with.
fn link(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || "this is not where people find the page; write it as https://highwater.example.com".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http" | "https") if has_host && uri.query().is_none() => Ok(Some(text.trim_end_matches('/').to_owned())),
        _ => Err(wrong()),
    }
}

fn networks(text: &str) -> Result<Vec<Network>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(network).collect()
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("{text:?} is not a network; write it as 10.0.0.0/8");
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
    Ok(Network { address, bits })
}

fn host(text: &str) -> Result<Option<String>, String> {
    match text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte)) {
        true => Ok((!text.is_empty()).then(|| text.to_owned())),
        false => Err(format!("{text:?} is not the name or address of a mail server")),
    }
}

fn security(text: &str) -> Result<SmtpSecurity, String> {
    match text {
        "starttls" => Ok(SmtpSecurity::StartTls),
        "tls" => Ok(SmtpSecurity::Tls),
        "none" => Ok(SmtpSecurity::Plain),
        _ => Err(format!("{text:?} is not a way of protection; write starttls, tls or none")),
    }
}

/// The password in a file; a line end after it is not a part of it. What was read is never told.
fn password_file(path: &str) -> Result<Option<Secret<Vec<u8>>>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    let size = fs::metadata(path).map_err(|error| format!("{path} can't be read: {}", error.kind()))?.len();
    if size > MAX_PASSWORD_BYTES {
        return Err(format!("{path} has {size} bytes; a password has at most {MAX_PASSWORD_BYTES}"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {}", error.kind()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{path} is empty; it is to hold the password of the mail server")),
        password => Ok(Some(password.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, RawConfig};

    fn build(text: &str, password: Option<&str>) -> Result<Config, String> {
        let raw = RawConfig { smtp_password: password.map(Secret::from), ..RawConfig::default() };
        Config::build(&raw, Some((Path::new("h.toml"), text))).map_err(|mistakes| mistakes.to_string())
    }

    #[track_caller]
    fn wrong(text: &str, words: &[&str]) {
        let mistakes = build(text, None).unwrap_err();
        words.iter().for_each(|word| assert!(mistakes.contains(word), "{word}: {mistakes}"));
    }

    #[test]
    fn a_mail_server_with_a_password_that_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "hush file\n").unwrap();
        let text = format!(
            "[alerts]\nrecipients = 'a@x.example, b@x.example'\nlink = 'https://hw.example/'\n\
             [smtp]\nhost = 'mail.x.example'\nuser = 'hw'\nfrom = 'hw@x.example'\npassword_file = '{}'\n",
            path.display()
        );
        for (variable, expected) in [(None, "hush file"), (Some("hush"), "hush")] {
            let config = build(&text, variable).unwrap();
            let smtp = config.alerts.smtp.clone().unwrap();
            assert_eq!((smtp.port, smtp.security, smtp.password), (587, SmtpSecurity::StartTls, Some(expected.into())));
            assert_eq!(config.alerts.recipients, ["a@x.example", "b@x.example"]);
            assert_eq!(config.alerts.link.as_deref(), Some("https://hw.example"));
            assert!(!config.describe().contains("hush") && !format!("{config:?}").contains("hush"));
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        wrong("[smtp]\nhost = 'm'\n", &["h.toml:2: smtp.host: needs `smtp.from`"]);
        wrong("[smtp]\nhost = 'm'\nfrom = 'a@b'\nuser = 'u'\n", &["smtp.user: has no password"]);
        wrong("[alerts]\nrecipients = 'a@b'\n", &["alerts.recipients: is of no use without `smtp.host`"]);
        wrong("[alerts]\nrecipients = 'a'\nlink = 'x'\nwebhook_networks = '10.0.0.0/33'\n", &["has 3 mistakes"]);
        wrong("[smtp]\nhost = 'a b'\nsecurity = 'ssl'\nport = 0\nfrom = '<a@b>'\n", &["has 4 mistakes"]);
        let plain = "[smtp]\nhost = 'm'\nfrom = 'a@b'\nuser = 'u'\nsecurity = 'none'\n";
        assert!(build(plain, Some("p")).unwrap_err().contains("a password is not sent in plain text"));
        assert!(build(&plain.replace("'m'", "'localhost'"), Some("p")).is_ok());
    }

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        let holds = |of: &str, address: &str| network(of).unwrap().holds(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1/32", "127.0.0.1") && !holds("127.0.0.1/32", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fdab::1") && !holds("::1/128", "::2"));
    }
}
