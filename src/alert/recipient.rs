//! Who is told, and when they would rather not be.

use std::{fmt, sync::Arc};

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};

use crate::{
    alert::Severity,
    model::{Project, Time},
};

/// Most recipients that a project has.
pub const MOST_RECIPIENTS: usize = 10_000;
/// Longest name of a recipient, in bytes.
pub const MAX_RECIPIENT_NAME_BYTES: usize = 64;
/// Longest address of a mailbox, in bytes: what SMTP takes.
pub const MAX_MAILBOX_BYTES: usize = 254;
/// Longest URL of a webhook, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// What is wrong with a webhook that can't be signed.
pub const NO_SECRET: &str = "is needed to sign what is sent: a new one of 24 to 64 bytes; a webhook of the form standard is \
                             told nothing unsigned, and one whose secret was kept under another key file needs it anew";
const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_HOUR: u16 = 60;

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookForm {
    /// The facts, signed as Standard Webhooks.
    #[default]
    Standard,
    /// A message for Slack.
    Slack,
    /// Alerts for Alertmanager's API v2.
    Alertmanager,
}

/// Where a recipient is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    Mailbox(String),
    Webhook {
        url: String,
        form: WebhookForm,
        /// What it is signed with; never shown again.
        secret: Vec<u8>,
    },
}

/// When a recipient is not disturbed, by the clock of a zone; over midnight where it ends before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes of the day, 0 to 1,439.
    pub from: u16,
    pub to: u16,
    pub zone: TimeZone,
    /// Critical alerts wait, too.
    pub critical_too: bool,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Unique in the project.
    pub name: Arc<str>,
    /// `-` for those who are told of the service and of models across all projects.
    pub project: Project,
    pub address: Address,
    pub enabled: bool,
    /// What is less bad is not told.
    pub least: Severity,
    pub quiet: Option<QuietHours>,
    /// When they said that they want no more.
    pub unsubscribed: Option<Time>,
    /// Why the mail server, or the webhook, would not have it last time; empty when it does.
    pub trouble: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "Mailbox({mailbox:?})"),
            // The URL of a webhook is often its secret.
            Self::Webhook { form, .. } => write!(f, "Webhook({form:?})"),
        }
    }
}

impl WebhookForm {
    pub const ALL: [Self; 3] = [Self::Standard, Self::Slack, Self::Alertmanager];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
        }
    }
}

impl Address {
    /// # Errors
    /// When it is not the address of one mailbox, or no URL of a webhook; what would be right.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Mailbox(mailbox) => check_mailbox(mailbox),
            Self::Webhook { url, .. } => {
                let is_http = url.starts_with("https://") || url.starts_with("http://");
                match is_http && url.len() <= MAX_URL_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic()) {
                    true => Ok(()),
                    false => Err(format!("is not http:// or https:// and at most {MAX_URL_BYTES} printable bytes")),
                }
            }
        }
    }
}

fn check_mailbox(mailbox: &str) -> Result<(), String> {
    let wrong = || Err("is not the address of one mailbox, such as ops@example.com".to_owned());
    let Some((local, host)) = mailbox.rsplit_once('@') else { return wrong() };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&byte);
    let host_ok = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_one = !local.is_empty() && local.len() <= 64 && local.bytes().all(plain);
    let has_host =
        !host.is_empty() && host.bytes().all(host_ok) && !host.starts_with(['.', '-']) && !host.ends_with('.');
    if is_one && has_host && mailbox.len() <= MAX_MAILBOX_BYTES { Ok(()) } else { wrong() }
}

impl Recipient {
    /// # Errors
    /// When a field is wrong: which, and what is.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let name_ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if self.name.is_empty() || self.name.len() > MAX_RECIPIENT_NAME_BYTES || !self.name.bytes().all(name_ok) {
            return Err(("name", format!("is not 1 to {MAX_RECIPIENT_NAME_BYTES} bytes of [a-z0-9._-]")));
        }
        if let Some(quiet) = &self.quiet
            && (quiet.from >= MINUTES_PER_DAY || quiet.to >= MINUTES_PER_DAY)
        {
            return Err(("quiet_hours", format!("is not of minutes from 0 to {}", MINUTES_PER_DAY - 1)));
        }
        self.address.check().map_err(|problem| ("address", problem))
    }

    /// Whether something so bad is told to them at all.
    pub fn wants(&self, severity: Severity) -> bool {
        self.is_told() && severity >= self.least
    }

    /// Whether what is sent to them is to be signed, and there is nothing to sign it with.
    pub fn lacks_secret(&self) -> bool {
        matches!(&self.address, Address::Webhook { form: WebhookForm::Standard, secret, .. } if secret.is_empty())
    }

    /// Whether anything is told to them.
    pub fn is_told(&self) -> bool {
        self.enabled && self.unsubscribed.is_none()
    }

    /// Until when it waits; `None` when it need not.
    pub fn quiet_until(&self, severity: Severity, at: Time) -> Option<Time> {
        let quiet = self.quiet.as_ref().filter(|quiet| quiet.critical_too || severity < Severity::Critical)?;
        quiet.until(at)
    }
}

impl QuietHours {
    /// When they end, if they are at an instant. Where the clock is put forward over the end, they end with that.
    pub fn until(&self, at: Time) -> Option<Time> {
        let micros = i64::try_from(at.0).ok()?;
        let zoned = Timestamp::from_microsecond(micros).ok()?.to_zoned(self.zone.clone());
        let now = zoned.hour() as u16 * MINUTES_PER_HOUR + zoned.minute() as u16;
        let (is_quiet, days) = match self.from <= self.to {
            true => (self.from <= now && now < self.to, 0),
            false => (now >= self.from || now < self.to, i32::from(now >= self.from)),
        };
        if !is_quiet {
            return None;
        }
        let time = civil::time((self.to / MINUTES_PER_HOUR) as i8, (self.to % MINUTES_PER_HOUR) as i8, 0, 0);
        let end = zoned.date().checked_add(days.days()).ok()?.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        u64::try_from(end.timestamp().as_microsecond()).ok().map(Time).filter(|end| *end > at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time(text.parse::<Timestamp>().unwrap().as_microsecond().try_into().unwrap())
    }

    #[track_caller]
    fn check((from, to): (u16, u16), at: &str, expected: Option<&str>) {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let quiet = QuietHours { from: from * 60, to: to * 60, zone, critical_too: false };
        assert_eq!(quiet.until(time(at)), expected.map(time), "{at}");
    }

    #[test]
    fn quiet_hours_are_of_the_zones_clock() {
        check((22, 7), "2026-01-10T20:59:59Z", None);
        check((22, 7), "2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z"));
        check((22, 7), "2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z"));
        check((22, 7), "2026-01-11T06:00:00Z", None);
        check((1, 5), "2026-07-01T00:30:00Z", Some("2026-07-01T03:00:00Z"));
        // The night in which the clock is put forward is an hour shorter, and the one in which it is put back longer.
        check((22, 7), "2026-03-28T22:00:00Z", Some("2026-03-29T05:00:00Z"));
        check((22, 7), "2026-10-24T22:00:00Z", Some("2026-10-25T06:00:00Z"));
        // The end is an hour that the clock leaves out.
        check((1, 2), "2026-03-29T00:30:00Z", Some("2026-03-29T01:00:00Z"));
        check((9, 9), "2026-01-10T08:00:00Z", None);
    }

    #[test]
    fn addresses_are_of_one_mailbox() {
        for right in ["ops@example.com", "a.b+c@x-y.example", "o'neil@localhost"] {
            assert_eq!(check_mailbox(right), Ok(()), "{right}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for wrong in [
            "",
            "ops",
            "@x",
            "a@",
            "a b@x",
            "a@x\r\nBcc: b@y",
            "a,b@x",
            "<a@x>",
            "a@x,b@y",
            "\"a\"@x",
            "ä@x",
            "a@[::1]",
            &long,
        ] {
            assert!(check_mailbox(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_webhook_is_never_shown_with_its_url() {
        let address =
            Address::Webhook { url: "https://hooks/secret".into(), form: WebhookForm::Slack, secret: b"hush".to_vec() };
        assert_eq!(format!("{address:?}"), "Webhook(Slack)");
        assert_eq!(address.check(), Ok(()));
        let file = Address::Webhook { url: "file:///etc/passwd".into(), form: WebhookForm::Slack, secret: vec![] };
        assert!(file.check().is_err());
    }
}
