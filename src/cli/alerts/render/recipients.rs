//! Who is told, for people and as JSON.

use serde::Serialize;

use crate::{
    cli::{
        alerts::render::severity,
        screen::{Line, Style},
        table::{Column, Table},
        text,
    },
    proto::{
        Recipient,
        recipient::{Address, QuietHours},
    },
};

const RECIPIENTS: [Column; 5] = [
    Column::name("recipient", Column::ALWAYS, 12),
    Column::name("address", Column::ALWAYS, 16),
    Column::left("told from", 60),
    Column::left("quiet", 90),
    Column::name("trouble", 80, 16),
];

#[derive(Debug, Serialize)]
pub struct RecipientOut {
    name: String,
    address: String,
    enabled: bool,
    least_severity: &'static str,
    quiet_hours: Option<QuietHoursOut>,
    unsubscribed: bool,
    trouble: String,
}

#[derive(Debug, Serialize)]
struct QuietHoursOut {
    /// `22:00`; the end is not in them.
    from: String,
    to: String,
    time_zone: String,
    critical_too: bool,
}

impl From<&Recipient> for RecipientOut {
    fn from(recipient: &Recipient) -> Self {
        Self {
            name: recipient.name.clone(),
            address: address(recipient),
            enabled: recipient.enabled,
            least_severity: severity(recipient.least_severity()),
            quiet_hours: recipient.quiet_hours.as_ref().map(QuietHoursOut::from),
            unsubscribed: recipient.unsubscribe_time.is_some(),
            trouble: recipient.trouble.clone(),
        }
    }
}

impl From<&QuietHours> for QuietHoursOut {
    fn from(hours: &QuietHours) -> Self {
        Self {
            from: clock(hours.from_minute),
            to: clock(hours.to_minute),
            time_zone: hours.time_zone.clone(),
            critical_too: hours.critical_too,
        }
    }
}

/// Who is told of a project.
pub fn of_recipients(recipients: &[Recipient], width: usize) -> Vec<Line> {
    let mut table = Table::new(&RECIPIENTS);
    for recipient in recipients {
        let trouble = match (recipient.enabled, recipient.unsubscribe_time.is_some()) {
            (_, true) => "unsubscribed".to_owned(),
            (false, _) => "not in use".to_owned(),
            _ => text::line(&recipient.trouble),
        };
        table.row([
            Line::from(recipient.name.as_str()),
            address(recipient).into(),
            severity(recipient.least_severity()).into(),
            recipient.quiet_hours.as_ref().map_or_else(String::new, quiet).into(),
            Line::of(Style::Warning, trouble),
        ]);
    }
    table.lay_out(width)
}

fn address(recipient: &Recipient) -> String {
    match &recipient.address {
        Some(Address::Mailbox(mailbox)) => mailbox.clone(),
        Some(Address::Webhook(webhook)) => webhook.url.clone(),
        None => String::new(),
    }
}

/// `22:00-07:00 Europe/Berlin`, as `--quiet` and `--zone` take it.
fn quiet(hours: &QuietHours) -> String {
    let critical = if hours.critical_too { ", critical too" } else { "" };
    format!("{}-{} {}{critical}", clock(hours.from_minute), clock(hours.to_minute), text::line(&hours.time_zone))
}

/// A minute of the day.
fn clock(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_told_as_they_are_typed() {
        let hours =
            QuietHours { from_minute: 1_320, to_minute: 450, time_zone: "Europe/Berlin".into(), critical_too: false };
        assert_eq!(quiet(&hours), "22:00-07:30 Europe/Berlin");
        assert_eq!(quiet(&QuietHours { critical_too: true, ..hours }), "22:00-07:30 Europe/Berlin, critical too");
    }
}
