//! `highwater audit`: what was changed, when and by whom, and whether the log that says so is whole.

use std::io::{Write as _, stdout};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    cli::{
        connect::{PAGE_SIZE, ProjectArgs, Server},
        error::CliError,
        moment,
        output::{self, Rfc3339},
        screen::{Line, Screen, Style},
        table::{Column, Table},
        text,
    },
    proto::{AuditRow, ListAuditRowsRequest, VerifyAuditRequest, VerifyAuditResponse},
};

#[derive(Args, Debug)]
pub struct AuditArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// Changes of all projects, and those of none
    #[arg(long)]
    all_projects: bool,
    /// Most rows that are listed, the newest first
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    max: usize,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// Follow the chain of hashes through all rows
    Verify,
}

const COLUMNS: [Column; 6] = [
    Column::left("when", Column::ALWAYS),
    Column::left("by", Column::ALWAYS),
    Column::left("from", 50),
    Column::left("what", Column::ALWAYS),
    Column::name("of", 90, 12),
    Column::name("to", 80, 16),
];

#[derive(Debug, Serialize)]
struct RowOut<'r> {
    seq: u64,
    time: Option<Rfc3339>,
    actor: &'r str,
    role: &'r str,
    address: &'r str,
    action: &'r str,
    project: &'r str,
    object: &'r str,
    before: &'r str,
    after: &'r str,
    request_id: &'r str,
    previous_hash: &'r str,
    hash: &'r str,
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, the log is not whole, or the output can't be written.
pub async fn run(mut args: AuditArgs) -> Result<(), CliError> {
    if let Some(Action::Verify) = args.action {
        return verify(&args.project.server.connect()?, args.json).await;
    }
    let server = args.project.connect().await?;
    let rows = list(&server, &args).await?;
    if args.json {
        let rows: Vec<_> = rows.iter().map(RowOut::from).collect();
        return output::print(&serde_json::json!({ "rows": rows }), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &lines(&args.project.project, &rows, screen.width))?;
    Ok(out.flush()?)
}

async fn list(server: &Server, args: &AuditArgs) -> Result<Vec<AuditRow>, CliError> {
    let mut request = ListAuditRowsRequest {
        project: args.project.project.clone(),
        all_projects: args.all_projects,
        ..Default::default()
    };
    let mut rows = Vec::new();
    while rows.len() < args.max {
        request.page_size = i32::try_from(args.max - rows.len()).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        let page = server.answer(server.admin().list_audit_rows(request.clone())).await?;
        rows.extend(page.rows);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(rows)
}

async fn verify(server: &Server, json: bool) -> Result<(), CliError> {
    let VerifyAuditResponse { rows, problem, head_seq, head_hash } =
        server.answer(server.admin().verify_audit(VerifyAuditRequest {})).await?;
    let is_whole = problem.is_empty();
    if json {
        let head = (rows > 0).then(|| serde_json::json!({ "seq": head_seq, "hash": head_hash }));
        output::print(&serde_json::json!({ "rows": rows, "whole": is_whole, "problem": problem, "head": head }), true)?;
    } else if is_whole {
        let head = if rows > 0 { format!("; the last is {head_seq}, {head_hash}") } else { String::new() };
        crate::cli::screen::say(&format!("the audit log is whole: {} rows{head}", text::number(rows)))?;
    }
    match is_whole {
        true => Ok(()),
        false => Err(CliError::Failed {
            message: format!("the audit log is not whole: {problem}"),
            hint: Some(
                "somebody changed the store by hand: nothing that the log says from there on is certain".to_owned(),
            ),
        }),
    }
}

impl<'r> From<&'r AuditRow> for RowOut<'r> {
    fn from(row: &'r AuditRow) -> Self {
        Self {
            seq: row.seq,
            time: output::time(row.time.as_ref()),
            actor: &row.actor,
            role: &row.role,
            address: &row.address,
            action: &row.action,
            project: &row.project,
            object: &row.object,
            before: &row.before,
            after: &row.after,
            request_id: &row.request_id,
            previous_hash: &row.previous_hash,
            hash: &row.hash,
        }
    }
}

fn lines(project: &str, rows: &[AuditRow], width: usize) -> Vec<Line> {
    if rows.is_empty() {
        return vec![Line::of(Style::Plain, format!("Nothing was changed in {project} yet."))];
    }
    let zone = moment::zone();
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let when = row.time.as_ref().and_then(moment::of_wire).map(|time| moment::full(time, &zone));
        let by = if row.role.is_empty() { row.actor.clone() } else { format!("{} ({})", row.actor, row.role) };
        let cells = [
            when.unwrap_or_default(),
            by,
            row.address.clone(),
            row.action.clone(),
            row.object.clone(),
            row.after.clone(),
        ];
        table.row(cells.map(|cell| Line::from(text::line(&cell))));
    }
    table.lay_out(width)
}
