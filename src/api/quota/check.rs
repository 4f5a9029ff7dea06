//! What requests for quotas say, checked field by field.

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::{
    api::convert::{self, Checked},
    error::FieldProblem,
    model::{
        Catalogue, Hour, Incarnation, Key, Kind, Minute, Project, SessionId, Target, Tick, Time,
        limit::MAX_REASON_BYTES,
        session::{ID_BYTES, MAX_TEXT_ID_BYTES},
        time::{MICROS_PER_SECOND, MINUTES_PER_HOUR, SECONDS_PER_MINUTE},
    },
    proto::{
        self, GetDistributionRequest, GetHeatMapRequest, GetHistoryRequest, ListAnnotationsRequest,
        ListSessionsRequest, ReleaseSessionRequest, get_history_request::Column,
    },
    query::{
        Detail, Place, SessionFilter, Wanted, Window,
        history::{MOST_STEPS, WIDEST_STEP, WindowError},
    },
};

const MOST_TARGETS: usize = 100;
const MOST_PERCENTILES: usize = 20;
const MOST_LEVELS: usize = 100;
/// Longest worker id, in bytes.
const MAX_WORKER_BYTES: usize = 128;
/// Percentiles when none is asked for.
const DEFAULT_PERCENTILES: [f64; 4] = [50.0, 95.0, 99.0, 99.9];
/// Minutes of a window when its start is left out: seven days.
const DEFAULT_MINUTES: u32 = 7 * 24 * 60;
/// Most minutes of a heat map: four weeks, each hour of the week four times.
const MOST_HEAT_MINUTES: u32 = 4 * DEFAULT_MINUTES;
/// Last minute that a window may end with: the year 9999, beyond which there are no timestamps.
const LAST_MINUTE: u32 = 4_223_371_680;
/// Bytes of a session's place: whether it comes after the silent ones, since, session and incarnation.
pub const PLACE_BYTES: usize = 1 + 8 + 2 * ID_BYTES;

/// The columns of a history that are wanted beside peak and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub peak_second: bool,
    pub last: bool,
    pub sessions: bool,
    pub unmet: bool,
    pub covered: bool,
    pub limit: bool,
    pub lowest_peak: bool,
}

impl Columns {
    /// What is to be read for them.
    pub const fn detail(&self) -> Detail {
        if self.peak_second || self.last || self.sessions || self.unmet || self.covered {
            Detail::All
        } else {
            Detail::Peaks
        }
    }
}

pub fn kinds_of_project(project: &str, kinds: &[i32]) -> Checked<(Project, Vec<Kind>)> {
    Ok((convert::project(project)?, self::kinds(kinds)?))
}

pub fn kinds(kinds: &[i32]) -> Checked<Vec<Kind>> {
    let kind = |(nth, kind): (usize, &i32)| {
        convert::kind(*kind).map_err(|problem| FieldProblem::new(format!("kinds[{nth}]"), problem.problem))
    };
    kinds.iter().enumerate().map(kind).collect()
}

pub fn targets(catalogue: &Catalogue, request: &GetHistoryRequest) -> Checked<(Project, Vec<Target>)> {
    let project = convert::project(&request.project)?;
    let targets = targets_of(catalogue, &project, &request.targets, 1)?;
    Ok((project, targets))
}

fn targets_of(catalogue: &Catalogue, project: &Project, named: &[proto::Target], least: usize) -> Checked<Vec<Target>> {
    let count = named.len();
    if count < least || count > MOST_TARGETS {
        return Err(FieldProblem::new("targets", format!("are {count}; {least} to {MOST_TARGETS} are needed")));
    }
    let target = |(nth, target): (usize, &proto::Target)| {
        convert::target(catalogue, project, target).map_err(|problem| problem.within(format_args!("targets[{nth}]")))
    };
    named.iter().enumerate().map(target).collect()
}

pub fn columns(asked: &[i32]) -> Checked<Columns> {
    let mut columns = Columns::default();
    for (nth, column) in asked.iter().enumerate() {
        let wanted = match Column::try_from(*column) {
            Ok(Column::PeakSecond) => &mut columns.peak_second,
            Ok(Column::Last) => &mut columns.last,
            Ok(Column::Sessions) => &mut columns.sessions,
            Ok(Column::Unmet) => &mut columns.unmet,
            Ok(Column::Covered) => &mut columns.covered,
            Ok(Column::Limit) => &mut columns.limit,
            Ok(Column::LowestPeak) => &mut columns.lowest_peak,
            Ok(Column::Unspecified) | Err(_) => {
                let problem = format!("is {column}; a column from 1 to 7 is needed");
                return Err(FieldProblem::new(format!("columns[{nth}]"), problem));
            }
        };
        *wanted = true;
    }
    Ok(columns)
}

/// The window of a history; `now` is the current second.
pub fn window(request: &GetHistoryRequest, now: Tick) -> Checked<Window> {
    let width = match request.step {
        None => 1,
        Some(step) => width(convert::duration("step", step)?.as_micros())?,
    };
    let minutes = minutes(request.start_time, request.end_time, now)?;
    Window::new(minutes, width).map_err(|error| match error {
        WindowError::Width => FieldProblem::new("step", STEP),
        WindowError::Empty => not_before_end(),
        WindowError::TooMany(steps) => {
            FieldProblem::new("start_time", format!("is {steps} steps before the end; at most {MOST_STEPS} are given"))
        }
    })
}

const STEP: &str = "must be whole minutes that divide 24 h, from 1 min to 24 h";

fn width(micros: u128) -> Checked<u32> {
    let minute = u128::from(SECONDS_PER_MINUTE * MICROS_PER_SECOND);
    let width = u32::try_from(micros / minute).ok().filter(|width| (1..=WIDEST_STEP).contains(width));
    width.filter(|_| micros.is_multiple_of(minute)).ok_or_else(|| FieldProblem::new("step", STEP))
}

fn not_before_end() -> FieldProblem {
    FieldProblem::new("start_time", "is not before the end")
}

/// The minutes from a start to an end: seven days, to the end of the current minute, where nothing is said.
fn minutes(
    start: Option<prost_types::Timestamp>,
    end: Option<prost_types::Timestamp>,
    now: Tick,
) -> Checked<Range<Minute>> {
    let end = match end {
        None => now.minute().next(),
        Some(end) => {
            let at = convert::time("end_time", end)?;
            // Rounded up: the last microsecond of the minute before belongs to it.
            minute("end_time", Time(at.0.saturating_add(SECONDS_PER_MINUTE * MICROS_PER_SECOND - 1)))?
        }
    };
    let start = match start {
        None => Minute(end.0.saturating_sub(DEFAULT_MINUTES)),
        Some(start) => minute("start_time", convert::time("start_time", start)?)?,
    };
    if start >= end { Err(not_before_end()) } else { Ok(start..end) }
}

fn minute(field: &'static str, at: Time) -> Checked<Minute> {
    let minute = at.0 / (SECONDS_PER_MINUTE * MICROS_PER_SECOND);
    let minute = u32::try_from(minute).ok().filter(|minute| *minute <= LAST_MINUTE);
    minute.map(Minute).ok_or_else(|| FieldProblem::new(field, "is after the year 9999"))
}

/// The key, the hours and what is wanted of a distribution; `now` is the current second.
pub fn distribution(
    catalogue: &Catalogue,
    request: GetDistributionRequest,
    now: Tick,
) -> Checked<(Key, Range<Hour>, Wanted)> {
    let project = convert::project(&request.project)?;
    let target = required_target(catalogue, &project, request.target.as_ref())?;
    let minutes = minutes(request.start_time, request.end_time, now)?;
    let hours = minutes.start.hour()..Hour(minutes.end.0.div_ceil(MINUTES_PER_HOUR));
    let count = hours.end.0 - hours.start.0;
    if count > MOST_STEPS {
        let problem = format!("is {count} hours before the end; at most {MOST_STEPS} are looked at");
        return Err(FieldProblem::new("start_time", problem));
    }
    let wanted = Wanted { percentiles: percentiles(request.percentiles)?, levels: request.levels };
    if wanted.levels.len() > MOST_LEVELS {
        let problem = format!("are {}; at most {MOST_LEVELS} are answered", wanted.levels.len());
        return Err(FieldProblem::new("levels", problem));
    }
    Ok((Key { project, target }, hours, wanted))
}

/// The key, the minutes and the time zone of a heat map; `now` is the current second.
pub fn heat_map(
    catalogue: &Catalogue,
    request: &GetHeatMapRequest,
    now: Tick,
) -> Checked<(Key, Range<Minute>, TimeZone)> {
    let project = convert::project(&request.project)?;
    let target = required_target(catalogue, &project, request.target.as_ref())?;
    let zone = convert::time_zone(&request.time_zone)?;
    let minutes = minutes(request.start_time, request.end_time, now)?;
    let count = minutes.end.0 - minutes.start.0;
    if count > MOST_HEAT_MINUTES {
        let problem = format!("is {count} minutes before the end; at most {MOST_HEAT_MINUTES}, 28 days, are folded");
        return Err(FieldProblem::new("start_time", problem));
    }
    Ok((Key { project, target }, minutes, zone))
}

fn percentiles(asked: Vec<f64>) -> Checked<Vec<f64>> {
    if asked.is_empty() {
        return Ok(DEFAULT_PERCENTILES.to_vec());
    }
    if asked.len() > MOST_PERCENTILES {
        let problem = format!("are {}; at most {MOST_PERCENTILES} are answered", asked.len());
        return Err(FieldProblem::new("percentiles", problem));
    }
    // Not a number is not in the range either.
    match asked.iter().position(|percent| !(*percent > 0.0 && *percent <= 100.0)) {
        None => Ok(asked),
        Some(nth) => {
            let problem = format!("is {}; above 0 to 100 is needed", asked[nth]);
            Err(FieldProblem::new(format!("percentiles[{nth}]"), problem))
        }
    }
}

/// A target that must be there.
pub fn required_target(catalogue: &Catalogue, project: &Project, target: Option<&proto::Target>) -> Checked<Target> {
    let target = target.ok_or_else(|| FieldProblem::new("target", "is needed: a meter or a pool"))?;
    convert::target(catalogue, project, target).map_err(|problem| problem.within("target"))
}

pub fn sessions(catalogue: &Catalogue, request: ListSessionsRequest) -> Checked<(Project, SessionFilter)> {
    let project = convert::project(&request.project)?;
    let target = match &request.target {
        None => None,
        target => Some(required_target(catalogue, &project, target.as_ref())?),
    };
    convert::text("worker_id", &request.worker_id, 0, MAX_WORKER_BYTES)?;
    let worker = Some(request.worker_id).filter(|worker| !worker.is_empty());
    Ok((project, SessionFilter { target, worker, silent_first: request.silent_first }))
}

/// The project, the targets and the window of a list of annotations.
pub fn annotations(
    catalogue: &Catalogue,
    request: &ListAnnotationsRequest,
    now: Time,
) -> Checked<(Project, Vec<Target>, Range<Time>)> {
    let project = convert::project(&request.project)?;
    let targets = targets_of(catalogue, &project, &request.targets, 0)?;
    let end = request.end_time.map_or(Ok(now), |end| convert::time("end_time", end))?;
    let week = u64::from(DEFAULT_MINUTES) * SECONDS_PER_MINUTE * MICROS_PER_SECOND;
    let start =
        request.start_time.map_or(Ok(Time(end.0.saturating_sub(week))), |start| convert::time("start_time", start))?;
    if start >= end { Err(not_before_end()) } else { Ok((project, targets, start..end)) }
}

/// Whose session is to be released, and the ids that its name may stand for: a list gives a text where there is one, and
/// else the id in hex.
pub fn release(request: &ReleaseSessionRequest) -> Checked<(Project, Incarnation, Vec<SessionId>)> {
    let project = convert::project(&request.project)?;
    let named = convert::text("session_id", &request.session_id, 1, MAX_TEXT_ID_BYTES)?;
    let incarnation = unhex(&request.incarnation).map(Incarnation).ok_or_else(|| {
        FieldProblem::new("incarnation", format!("is not {} hex digits, as lists give it", 2 * ID_BYTES))
    })?;
    convert::text("reason", &request.reason, 1, MAX_REASON_BYTES)?;
    let ids = [Some(SessionId::of_text(named.as_bytes())), unhex(named).map(SessionId)];
    Ok((project, incarnation, ids.into_iter().flatten().collect()))
}

fn unhex(text: &str) -> Option<[u8; ID_BYTES]> {
    let is_hex = text.len() == 2 * ID_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    Some(id.to_be_bytes())
}

/// The place that a token of the list of sessions holds.
pub fn place(bytes: [u8; PLACE_BYTES]) -> Place {
    let part = |from: usize| -> [u8; ID_BYTES] { std::array::from_fn(|at| bytes[from + at]) };
    let since = u64::from_be_bytes(std::array::from_fn(|at| bytes[1 + at]));
    let (id, incarnation) = (SessionId(part(9)), Incarnation(part(9 + ID_BYTES)));
    Place { after_silent: bytes[0] != 0, since: Time(since), id, incarnation }
}

/// The bytes of a place.
pub fn place_bytes(place: &Place) -> Vec<u8> {
    [&[u8::from(place.after_silent)], &place.since.0.to_be_bytes()[..], &place.id.0, &place.incarnation.0].concat()
}
