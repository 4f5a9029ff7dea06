//! `highwater alerts`: what fires and fired, the rules, who is told; snoozing and seeing, and whether mails arrive.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        connect::{MAX_PAGES, PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment, output,
        screen::{Line, Screen},
    },
    proto::{
        AcknowledgeAlertRequest, Alert, AlertRule, ListAlertsRequest, PreviewAlertRuleResponse, Recipient,
        SendTestMessageRequest, SendTestMessageResponse, SnoozeAlertRequest,
    },
};

mod recipients;
mod render;
mod rules;

#[derive(Args, Debug)]
pub struct AlertsArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What is pending, fires, or is over, the newest first
    List(ListArgs),
    /// What is watched, from which level on, and for how long: list, set, remove, preview
    Rules(rules::RulesArgs),
    /// Who is told: list, set, remove
    Recipients(recipients::RecipientsArgs),
    /// Tell nothing of an alert until a time; what then still fires is told
    Snooze {
        /// Name of the alert, as `alerts list` gives it
        alert: String,
        /// Until when: a time or a date; without it, the snooze ends
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Who does it
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
    },
    /// Say that somebody has seen an alert: it is not told again, unless it gets worse
    Acknowledge {
        /// Name of the alert, as `alerts list` gives it
        alert: String,
        /// Who has
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
    },
    /// Send a recipient a message now, and say what the server answered
    #[command(visible_alias = "test")]
    TestMail {
        /// Name of the recipient, as `alerts recipients` gives it
        recipient: String,
    },
}

#[derive(Args, Debug, Default)]
struct ListArgs {
    /// Only those that fire
    #[arg(long)]
    firing: bool,
    /// Those of all projects and of the service, for operators
    #[arg(long)]
    all_projects: bool,
}

/// What a command found or did.
enum Answer {
    Alerts(Vec<Alert>),
    Rules(Vec<AlertRule>),
    Preview(PreviewAlertRuleResponse),
    Recipients(Vec<Recipient>),
    Tested(SendTestMessageResponse),
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, a test message is not taken, or the output can't be written.
pub async fn run(mut args: AlertsArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let project = args.project.project;
    let mut calls = server.alerts();
    let answer = match args.action.unwrap_or_else(|| Action::List(ListArgs::default())) {
        Action::List(list_args) => Answer::Alerts(list(&server, &project, &list_args).await?),
        Action::Rules(args) => rules::run(&server, &project, args).await?,
        Action::Recipients(args) => recipients::run(&server, &project, args).await?,
        Action::Snooze { alert, until, by } => {
            let until = until.map(|typed| moment::parse_ahead(&typed, moment::now(), &moment::zone())).transpose();
            let until = until.map_err(|problem| CliError::Usage(format!("--until: {problem}")))?.map(moment::to_wire);
            let request = SnoozeAlertRequest { project: project.clone(), alert, until, set_by: by };
            Answer::Alerts(server.answer(calls.snooze_alert(request)).await?.alert.into_iter().collect())
        }
        Action::Acknowledge { alert, by } => {
            let request = AcknowledgeAlertRequest { project: project.clone(), alert, set_by: by, take_back: false };
            Answer::Alerts(server.answer(calls.acknowledge_alert(request)).await?.alert.into_iter().collect())
        }
        Action::TestMail { recipient } => {
            let request = SendTestMessageRequest { project: project.clone(), recipient_name: recipient };
            Answer::Tested(server.answer(calls.send_test_message(request)).await?)
        }
    };
    if args.json {
        output::print(&render::json(&answer), true)?;
    } else {
        let screen = Screen::of_stdout();
        let lines: Vec<Line> = render::lines(&project, &answer, screen.width, &moment::zone());
        let mut out = stdout().lock();
        screen.write(&mut out, &lines)?;
        out.flush()?;
    }
    match answer {
        Answer::Tested(tested) if !tested.taken => Err(CliError::failed("the message was not taken")),
        _ => Ok(()),
    }
}

async fn list(server: &Server, project: &str, args: &ListArgs) -> Result<Vec<Alert>, CliError> {
    let mut request = ListAlertsRequest {
        project: project.to_owned(),
        all_projects: args.all_projects,
        firing: args.firing,
        page_size: PAGE_SIZE,
        ..Default::default()
    };
    let mut alerts = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = server.answer(server.alerts().list_alerts(request.clone())).await?;
        alerts.extend(page.alerts);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(alerts)
}
