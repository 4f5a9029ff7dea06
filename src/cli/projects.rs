//! `highwater projects`: which there are, making one before anything is reported for it, and deleting one.

use std::io::{Write as _, stdout};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    cli::{
        connect::{PAGE_SIZE, Server, ServerArgs, all_pages},
        error::CliError,
        moment,
        output::{self, Rfc3339},
        screen::{Line, Screen, say},
        table::{Column, Table},
        text,
    },
    proto::{AdminServiceListProjectsRequest, CreateProjectRequest, DeleteProjectRequest, Project},
};

#[derive(Args, Debug)]
pub struct ProjectsArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print one object
    #[arg(long, global = true)]
    pub json: bool,
    /// List, when nothing is said
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The projects that there are
    List,
    /// Make a project
    Create {
        /// Its name, 1 to 64 of a-z, 0-9 and -
        name: String,
    },
    /// Delete a project with all that is kept of it: keys, limits, history, live sessions
    Delete {
        /// Its name
        name: String,
        /// The name again, since it can't be undone
        #[arg(long, value_name = "NAME")]
        confirm: String,
    },
}

const COLUMNS: [Column; 5] = [
    Column::name("project", Column::ALWAYS, 12),
    Column::right("meters and pools", 80),
    Column::right("keys", 90),
    Column::left("made", 60),
    Column::left("by", 50),
];

#[derive(Debug, Serialize)]
struct ProjectOut {
    name: String,
    meters_and_pools: u32,
    keys: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Rfc3339>,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
}

impl From<&Project> for ProjectOut {
    fn from(project: &Project) -> Self {
        Self {
            name: project.name.clone(),
            meters_and_pools: project.key_count,
            keys: project.api_key_count,
            created: output::time(project.create_time.as_ref()),
            created_by: project.created_by.clone(),
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached or refuses, or the output can't be written.
pub async fn run(args: ProjectsArgs) -> Result<(), CliError> {
    let server = args.server.connect()?;
    let projects = match args.action.unwrap_or(Action::List) {
        Action::List => list(&server).await?,
        Action::Create { name } => {
            let request = CreateProjectRequest { project: name };
            server.answer(server.admin().create_project(request)).await?.project.into_iter().collect()
        }
        Action::Delete { name, confirm } if name != confirm => {
            return Err(CliError::Usage(format!("--confirm {confirm} is not {name}: nothing was deleted")));
        }
        Action::Delete { name, .. } => return delete(&server, name, args.json).await,
    };
    if args.json {
        let projects: Vec<_> = projects.iter().map(ProjectOut::from).collect();
        return output::print(&serde_json::json!({ "projects": projects }), true);
    }
    let screen = Screen::of_stdout();
    let mut out = stdout().lock();
    screen.write(&mut out, &lines(&projects, screen.width))?;
    Ok(out.flush()?)
}

async fn delete(server: &Server, name: String, json: bool) -> Result<(), CliError> {
    let request = DeleteProjectRequest { project: name.clone() };
    let deleted = server.answer(server.admin().delete_project(request)).await?;
    if json {
        let (keys, hours) = (deleted.keys, deleted.hours);
        let deleted = serde_json::json!({
            "project": name, "api_keys": deleted.api_keys, "meters_and_pools": keys, "hours": hours
        });
        return output::print(&deleted, true);
    }
    say(&format!(
        "deleted {name}: {} keys, {} meters and pools, {} hours of history",
        text::number(deleted.api_keys.into()),
        text::number(deleted.keys.into()),
        text::number(deleted.hours),
    ))
}

async fn list(server: &Server) -> Result<Vec<Project>, CliError> {
    let pages = all_pages(async |page_token| {
        let request = AdminServiceListProjectsRequest { page_size: PAGE_SIZE, page_token };
        let page = server.answer(server.admin().list_projects(request)).await?;
        Ok((page.projects, page.next_page_token))
    });
    pages.await
}

fn lines(projects: &[Project], width: usize) -> Vec<Line> {
    if projects.is_empty() {
        return vec!["There is no project yet: nothing was reported, and none was made.".into()];
    }
    let zone = moment::zone();
    let mut table = Table::new(&COLUMNS);
    for project in projects {
        let made = project.create_time.as_ref().and_then(moment::of_wire).map(|made| moment::full(made, &zone));
        let cells = [
            project.name.clone(),
            text::number(project.key_count.into()),
            text::number(project.api_key_count.into()),
            made.unwrap_or_default(),
            project.created_by.clone(),
        ];
        table.row(cells.map(|cell| Line::from(text::line(&cell))));
    }
    table.lay_out(width)
}
