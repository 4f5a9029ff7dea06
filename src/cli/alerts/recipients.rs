//! `highwater alerts recipients`: who is told, changed field by field.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};

use crate::{
    alert::Severity,
    cli::{alerts::Answer, connect::Server, error::CliError},
    proto::{
        DeleteRecipientRequest, ListRecipientsRequest, Recipient, SetRecipientRequest,
        recipient::{Address, QuietHours, Webhook, webhook::Form},
    },
};

#[derive(Args, Debug)]
pub struct RecipientsArgs {
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Who is told of the project
    List,
    /// Change who is told, or add somebody; what is not said stays
    Set {
        /// Name of the recipient
        recipient: String,
        #[command(flatten)]
        change: Box<ChangeArgs>,
    },
    /// Remove a recipient; what waits for them is given up
    Remove {
        /// Name of the recipient
        recipient: String,
    },
}

#[derive(Args, Debug)]
struct ChangeArgs {
    /// A mailbox
    #[arg(long, value_name = "MAILBOX", conflicts_with = "webhook")]
    mail: Option<String>,
    /// A webhook
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// What the webhook is sent: standard, slack or alertmanager
    #[arg(long, value_name = "FORM", value_parser = form)]
    form: Option<Form>,
    /// File with what the webhook is signed with: 24 to 64 bytes, or `whsec_` and its base64
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// What is less bad is not told: info, warning or critical
    #[arg(long, value_name = "SEVERITY")]
    least: Option<Severity>,
    /// When they are not disturbed, such as 22:00-07:00; never for never
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    quiet: Option<Hours>,
    /// Time zone of --quiet, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", requires = "quiet")]
    zone: Option<String>,
    /// In quiet hours critical alerts wait, too
    #[arg(long, requires = "quiet")]
    quiet_for_critical: bool,
    /// They are told
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// They are not told
    #[arg(long)]
    off: bool,
}

/// Minutes of the day, from the first to the one after the last; `None` for never.
#[derive(Clone, Copy, Debug)]
struct Hours(Option<(u32, u32)>);

fn form(typed: &str) -> Result<Form, String> {
    match typed {
        "standard" => Ok(Form::Standard),
        "slack" => Ok(Form::Slack),
        "alertmanager" => Ok(Form::Alertmanager),
        _ => Err("is none of standard, slack and alertmanager".to_owned()),
    }
}

fn hours(typed: &str) -> Result<Hours, String> {
    if typed == "never" {
        return Ok(Hours(None));
    }
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let hours = typed.split_once('-').and_then(|(from, to)| minute(from).zip(minute(to)));
    hours.map(|hours| Hours(Some(hours))).ok_or_else(|| "is neither hours such as 22:00-07:00 nor never".to_owned())
}

impl ChangeArgs {
    /// A recipient as they are after the change.
    fn apply(self, name: &str, before: Option<Recipient>) -> Result<Recipient, CliError> {
        let mut recipient = before.unwrap_or_else(|| fresh(name));
        if let Some(mailbox) = self.mail {
            recipient.address = Some(Address::Mailbox(mailbox));
        }
        let mut webhook = match (&recipient.address, self.webhook) {
            (Some(Address::Webhook(webhook)), url) => {
                Some(Webhook { url: url.unwrap_or_else(|| webhook.url.clone()), ..webhook.clone() })
            }
            (_, Some(url)) => Some(Webhook { url, ..Webhook::default() }),
            (_, None) => None,
        };
        if let Some(webhook) = &mut webhook {
            webhook.form = self.form.map_or(webhook.form, i32::from);
            if let Some(path) = self.secret_file {
                let failed = |error| CliError::failed(format!("{}: {error}", path.display()));
                webhook.secret = fs::read_to_string(&path).map_err(failed)?.trim().to_owned();
            }
            recipient.address = Some(Address::Webhook(webhook.clone()));
        } else if self.form.is_some() || self.secret_file.is_some() {
            return Err(CliError::Usage(format!("{name} is no webhook: --form and --secret-file are of a --webhook")));
        }
        if recipient.address.is_none() {
            return Err(CliError::Usage(format!("there is no recipient {name}: say where, by --mail or --webhook")));
        }
        recipient.least_severity = self.least.map_or(recipient.least_severity, |least| least as i32);
        if let Some(Hours(quiet)) = self.quiet {
            let hours = |(from_minute, to_minute)| QuietHours {
                from_minute,
                to_minute,
                time_zone: self.zone.unwrap_or_default(),
                critical_too: self.quiet_for_critical,
            };
            recipient.quiet_hours = quiet.map(hours);
        }
        recipient.enabled = if self.on || self.off { self.on } else { recipient.enabled };
        Ok(recipient)
    }
}

fn fresh(name: &str) -> Recipient {
    let least_severity = Severity::Info as i32;
    Recipient { name: name.to_owned(), enabled: true, least_severity, ..Recipient::default() }
}

/// Does what was asked.
pub(super) async fn run(server: &Server, project: &str, args: RecipientsArgs) -> Result<Answer, CliError> {
    let mut calls = server.alerts();
    let project = project.to_owned();
    let listed = async || {
        let request = ListRecipientsRequest { project: project.clone() };
        Ok::<_, CliError>(server.answer(server.alerts().list_recipients(request)).await?.recipients)
    };
    Ok(match args.action.unwrap_or(Action::List) {
        Action::List => Answer::Recipients(listed().await?),
        Action::Set { recipient: name, change } => {
            let before = listed().await?.into_iter().find(|there| there.name == name && !there.configured);
            let recipient = Some(change.apply(&name, before)?);
            let request = SetRecipientRequest { project: project.clone(), recipient };
            Answer::Recipients(server.answer(calls.set_recipient(request)).await?.recipient.into_iter().collect())
        }
        Action::Remove { recipient } => {
            let request = DeleteRecipientRequest { project: project.clone(), recipient_name: recipient };
            server.answer(calls.delete_recipient(request)).await?;
            Answer::Recipients(listed().await?)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        change: ChangeArgs,
    }

    fn change(typed: &[&str], before: Option<Recipient>) -> Result<Recipient, CliError> {
        Typed::try_parse_from([&["x"], typed].concat()).unwrap().change.apply("ops", before)
    }

    #[test]
    fn what_is_not_said_of_a_recipient_stays() {
        let added = change(&["--mail", "ops@x.example", "--quiet", "22:00-07:30", "--zone", "Europe/Berlin"], None);
        let added = added.unwrap();
        let quiet = added.quiet_hours.clone().unwrap();
        assert_eq!((quiet.from_minute, quiet.to_minute, &*quiet.time_zone), (1_320, 450, "Europe/Berlin"));
        let changed = change(&["--least", "critical", "--quiet", "never"], Some(added.clone())).unwrap();
        assert_eq!(changed.address, added.address);
        assert_eq!((changed.quiet_hours, changed.least_severity), (None, Severity::Critical as i32));
    }

    #[test]
    fn a_webhook_keeps_its_form_and_its_address() {
        let added = change(&["--webhook", "https://hooks.example/a", "--form", "slack"], None).unwrap();
        let changed = change(&["--off"], Some(added.clone())).unwrap();
        assert_eq!(changed, Recipient { enabled: false, ..added });
        assert!(change(&["--form", "slack", "--mail", "a@b"], None).is_err());
        assert!(change(&[], None).is_err());
        assert!(hours("22-7").is_err() && hours("24:00-01:00").is_err());
    }
}
