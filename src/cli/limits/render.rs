//! Limits, plans and catalogue as lines for people.

use jiff::tz::TimeZone;

use crate::{
    cli::{
        limits::Answer,
        moment,
        screen::{Line, Style},
        table::{Column, Table},
        target::Named,
        text,
    },
    model::Unit,
    proto::{CatalogueModel, Enforcement, EnforcementMode, Limit, Plan},
};

const LIMIT_COLUMNS: [Column; 8] = [
    Column::name("of", Column::ALWAYS, 20),
    Column::right("slots", Column::ALWAYS),
    Column::left("since", 60),
    Column::left("until", 90),
    Column::name("set by", 80, 8),
    Column::name("why", 70, 10),
    Column::name("ended by", 75, 8),
    Column::name("why", 65, 10),
];
const PLAN_COLUMNS: [Column; 3] =
    [Column::name("of", Column::ALWAYS, 20), Column::right("slots", Column::ALWAYS), Column::left("", 1)];
const CATALOGUE_COLUMNS: [Column; 6] = [
    Column::left("kind", Column::ALWAYS),
    Column::name("model", Column::ALWAYS, 24),
    Column::name("name", 90, 12),
    Column::left("counts", 80),
    Column::name("known tiers", 70, 16),
    Column::left("documented at", 10),
];

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, zone: &TimeZone) -> Vec<Line> {
    match answer {
        Answer::Limits { limits, .. } if limits.is_empty() => vec![
            format!("No limits are set for {project}.").into(),
            Line::of(Style::Dim, "Set one: highwater limits set --kind tts --model elevenlabs/eleven_turbo_v2_5 20"),
            Line::of(Style::Dim, "Or take a plan's: highwater limits plans, highwater limits apply-plan ID"),
        ],
        Answer::Limits { limits, history } => {
            let words = if *history { "Limits, with their history, of" } else { "Limits of" };
            titled(format!("{words} {project}"), limits, width, zone)
        }
        Answer::Set { limit, unknown_model } => {
            let mut lines = vec![one("set", limit.as_ref(), zone)];
            if *unknown_model {
                let words = "the catalogue does not know this model; it is counted and limited all the same";
                lines.push(Line::of(Style::Warning, words));
            }
            lines
        }
        Answer::Ended(limit) => vec![one("ended", limit.as_ref(), zone)],
        Answer::Chosen(Some(choice)) => vec![format!("{}: {}", place(project, choice), mode(choice)).into()],
        Answer::Chosen(None) => vec!["taken back: the wider choice counts".into()],
        Answer::Choices(choices) if choices.is_empty() => vec![
            format!("Nothing is enforced in {project}: limits are shown, and nobody is refused.").into(),
            Line::of(Style::Dim, "Enforce them: highwater limits enforce, with --kind and --model for one of them"),
        ],
        Answer::Choices(choices) => {
            choices.iter().map(|choice| format!("{}: {}", place(project, choice), mode(choice)).into()).collect()
        }
        Answer::Applied { plan, limits, ended, kept } => {
            let mut lines = titled(format!("{project} is on the plan {plan}"), limits, width, zone);
            if !ended.is_empty() {
                lines.push(Line::new());
                lines.extend(titled("Ended with the earlier plan".to_owned(), ended, width, zone));
            }
            if !kept.is_empty() {
                lines.push(Line::new());
                lines.extend(titled("Kept as set by hand".to_owned(), kept, width, zone));
            }
            lines
        }
        Answer::Plans(plans) => plans.iter().flat_map(|plan| of_plan(plan, width)).collect(),
        Answer::Catalogue(models) => catalogue(models, width),
    }
}

fn one(done: &str, limit: Option<&Limit>, zone: &TimeZone) -> Line {
    let Some(limit) = limit else { return format!("{done}.").into() };
    let named = Named::of(limit.target.as_ref());
    let until = time(limit.end_time.as_ref(), zone).map(|until| format!(" until {until}")).unwrap_or_default();
    let may = match limit.starts_per_minute {
        Some(starts) => format!("may start {} a minute", text::number(u64::from(starts))),
        None => format!("may hold {}", slots(limit.slots)),
    };
    let observed = if limit.enforced || done == "ended" { "" } else { "; observed, not enforced" };
    format!("{done}: {} {may}{until}{observed}", named.spelled()).into()
}

/// What a choice is for.
fn place(project: &str, choice: &Enforcement) -> String {
    match choice.target.as_ref() {
        None => project.to_owned(),
        target => Named::of(target).spelled(),
    }
}

fn mode(choice: &Enforcement) -> String {
    let kept = match choice.kept_percent {
        0 => String::new(),
        kept => format!(", {kept} % kept for each higher priority"),
    };
    match choice.mode() {
        EnforcementMode::Enforce => format!("enforced{kept}"),
        EnforcementMode::Observe | EnforcementMode::Unspecified => "observed".to_owned(),
    }
}

fn slots(slots: u32) -> String {
    let s = if slots == 1 { "" } else { "s" };
    format!("{} slot{s}", text::number(u64::from(slots)))
}

fn titled(title: String, limits: &[Limit], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut table = Table::new(&LIMIT_COLUMNS);
    for limit in limits {
        table.row([
            Line::from(Named::of(limit.target.as_ref()).spelled()),
            most(limit).into(),
            Line::of(Style::Dim, time(limit.start_time.as_ref(), zone).unwrap_or_default()),
            time(limit.end_time.as_ref(), zone).unwrap_or_default().into(),
            limit.set_by.as_str().into(),
            Line::of(Style::Dim, &limit.reason),
            limit.ended_by.as_str().into(),
            Line::of(Style::Dim, &limit.end_reason),
        ]);
    }
    let mut lines = vec![Line::of(Style::Heading, title)];
    lines.extend(table.lay_out(width));
    lines
}

/// Slots, or starts a minute.
fn most(limit: &Limit) -> String {
    match limit.starts_per_minute {
        Some(starts) => format!("{}/min", text::number(u64::from(starts))),
        None => text::number(u64::from(limit.slots)),
    }
}

fn time(time: Option<&prost_types::Timestamp>, zone: &TimeZone) -> Option<String> {
    time.and_then(moment::of_wire).map(|time| moment::full(time, zone))
}

fn of_plan(plan: &Plan, width: usize) -> Vec<Line> {
    let mut table = Table::new(&PLAN_COLUMNS);
    for limit in &plan.limits {
        let of = Named::of(limit.target.as_ref()).spelled();
        table.row([Line::from(of), text::number(u64::from(limit.slots)).into(), Line::new()]);
    }
    let mut lines = vec![
        Line::of(Style::Heading, &plan.display_name)
            .and(Style::Plain, format!("  {}", plan.id))
            .and(Style::Dim, format!("  {}", plan.source_url)),
    ];
    lines.extend(table.lay_out(width));
    lines.push(Line::new());
    lines
}

fn catalogue(models: &[CatalogueModel], width: usize) -> Vec<Line> {
    let mut table = Table::new(&CATALOGUE_COLUMNS);
    for model in models {
        let unit = u32::try_from(model.unit).ok().and_then(Unit::from_number);
        let kind = u32::try_from(model.kind).ok().and_then(crate::model::Kind::from_number);
        let tiers = model.tiers.iter().map(|tier| format!("{} {}", tier.name, tier.slots)).collect::<Vec<_>>();
        table.row([
            Line::from(kind.map_or("unknown", crate::model::Kind::as_str)),
            model.model.as_str().into(),
            model.display_name.as_str().into(),
            Line::of(Style::Dim, unit.map(|unit| format!("{unit}s")).unwrap_or_default()),
            tiers.join(", ").into(),
            Line::of(Style::Dim, &model.limit_url),
        ]);
    }
    table.lay_out(width)
}
