//! Between the contract and the nouns: what a message says is checked here, field by field, and never anywhere else.
//! Every problem names its field as seen from the message it is in; the caller puts the path before it.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{
    error::FieldProblem,
    model::{
        Catalogue, Incarnation, Kind, Labels, Meter, Outcome, Project, SessionId, Target, Time, Unit, key,
        session::{ID_BYTES, MAX_LABEL_BYTES, MAX_TEXT_ID_BYTES},
        text::is_unseen,
        time::MICROS_PER_SECOND,
    },
    proto,
};

/// What a conversion gives, or the field that is wrong.
pub type Checked<T> = Result<T, FieldProblem>;

const NANOS_PER_MICRO: u64 = 1_000;
/// Longest name of a time zone, in bytes; the longest that there is has half of them.
const MAX_ZONE_BYTES: usize = 64;
/// The oldest that an event or a session may be said to be, in days: none lasts a year, and a clock that is wrong, or a
/// unit that is, must not become a session's duration.
const MAX_AGE_DAYS: u64 = 366;
const MAX_AGE_MICROS: u64 = MAX_AGE_DAYS * 24 * 3_600 * MICROS_PER_SECOND;

/// A project that is read; `default` when the name is empty.
pub fn project(name: &str) -> Checked<Project> {
    Ok(Project::new(name)?)
}

/// A project that is reported for: not the one that stands for all.
pub fn reported_project(name: &str) -> Checked<Project> {
    let project = project(name)?;
    if project.is_across() {
        return Err(FieldProblem::new("project", "`-` stands for all projects: nothing can be reported for it"));
    }
    Ok(project)
}

pub fn kind(number: i32) -> Checked<Kind> {
    let known = u32::try_from(number).ok().and_then(Kind::from_number);
    known.ok_or_else(|| FieldProblem::new("kind", format!("is {number}; a kind from 1 to 9 is needed")))
}

/// The unit that is said, or that of the catalogue.
fn unit(catalogue: &Catalogue, number: i32, kind: Kind, model: &str, account: &str) -> Checked<Unit> {
    match u32::try_from(number) {
        Ok(0) => Ok(catalogue.resolve_unit(kind, model, account)),
        Ok(said) if said != Unit::Stream as u32 && matches!(account, "" | key::DEFAULT_ACCOUNT) => {
            let problem = "the account `livekit` counts streams; leave it out, or name the account whose key is used";
            Err(FieldProblem::new("unit", problem))
        }
        said => said.ok().and_then(Unit::from_number).ok_or_else(|| {
            FieldProblem::new("unit", format!("is {number}; a unit from 1 to 3 is needed, or 0 for the catalogue's"))
        }),
    }
}

/// A meter as it is counted: suffix stripped, account and unit filled in.
pub fn meter(catalogue: &Catalogue, meter: &proto::Meter) -> Checked<Meter> {
    let kind = kind(meter.kind)?;
    let unit = unit(catalogue, meter.unit, kind, &meter.model, &meter.account)?;
    Ok(Meter::new(kind, &meter.model, &meter.account, Some(unit))?)
}

/// A meter that must be there.
pub fn required_meter(catalogue: &Catalogue, named: Option<&proto::Meter>) -> Checked<Meter> {
    let named = named.ok_or_else(|| FieldProblem::new("meter", "is needed"))?;
    meter(catalogue, named).map_err(|problem| problem.within("meter"))
}

/// A target of a project: in `-` only models across projects are counted, elsewhere only meters and kinds.
pub fn target(catalogue: &Catalogue, project: &Project, target: &proto::Target) -> Checked<Target> {
    use proto::target::Target as Named;
    let named = target.target.as_ref().ok_or_else(|| FieldProblem::new("target", "a meter or a pool is needed"))?;
    match named {
        Named::Meter(_) if project.is_across() => {
            Err(FieldProblem::new("meter", "the project `-` has no meters, only pools that name a model"))
        }
        Named::Meter(named) => meter(catalogue, named).map(Target::Meter).map_err(|problem| problem.within("meter")),
        Named::Pool(named) => pool(catalogue, project, named).map_err(|problem| problem.within("pool")),
    }
}

fn pool(catalogue: &Catalogue, project: &Project, pool: &proto::Pool) -> Checked<Target> {
    let kind = kind(pool.kind)?;
    if project.is_across() {
        let unit = unit(catalogue, pool.unit, kind, &pool.model, &pool.account)?;
        return Ok(Target::ModelPool(Meter::new(kind, &pool.model, &pool.account, Some(unit))?));
    }
    if !pool.model.is_empty() {
        return Err(FieldProblem::new("model", "only pools of the project `-` name a model; leave it empty"));
    }
    if pool.unit != 0 {
        return Err(FieldProblem::new("unit", "only pools of the project `-` have a unit; leave it out"));
    }
    Ok(Target::KindPool { kind, account: key::account(&pool.account)? })
}

/// How a session ended; `ok` when nothing is said.
pub fn outcome(number: i32) -> Checked<Outcome> {
    match u32::try_from(number).ok().map(|number| (number, Outcome::from_number(number))) {
        Some((0, _)) => Ok(Outcome::Ok),
        Some((_, Some(Outcome::Lost))) => {
            Err(FieldProblem::new("outcome", "`lost` is set by the service alone; say how it ended"))
        }
        Some((_, Some(outcome))) => Ok(outcome),
        _ => Err(FieldProblem::new("outcome", format!("is {number}; 0 to 9 are known"))),
    }
}

/// A text of `least` to `most` bytes without control characters.
pub fn text<'t>(field: &'static str, text: &'t str, least: usize, most: usize) -> Checked<&'t str> {
    if text.len() < least || text.len() > most {
        let problem = format!("has {} bytes; {least} to {most} are allowed", text.len());
        return Err(FieldProblem::new(field, problem));
    }
    match text.chars().position(is_unseen) {
        None => Ok(text),
        Some(at) => Err(FieldProblem::new(field, format!("has a control character, at {at}"))),
    }
}

/// Whether it can be taken for how long ago something was, in microseconds.
pub const fn is_age(micros: u64) -> bool {
    micros <= MAX_AGE_MICROS
}

/// How long ago something was.
pub fn age(field: impl Into<String>, micros: u64) -> Checked<Duration> {
    if !is_age(micros) {
        let problem = format!("is {micros} microseconds; at most {MAX_AGE_DAYS} days are taken");
        return Err(FieldProblem::new(field, problem));
    }
    Ok(Duration::from_micros(micros))
}

/// What a session is for; `None` when nothing is said.
pub fn labels(labels: Option<&proto::Labels>) -> Checked<Option<Box<Labels>>> {
    let Some(labels) = labels else { return Ok(None) };
    let labels = Labels {
        room: text("room", &labels.room, 0, MAX_LABEL_BYTES)?.into(),
        job: text("job", &labels.job, 0, MAX_LABEL_BYTES)?.into(),
        text_id: "".into(),
    };
    Ok((!labels.is_empty()).then(|| Box::new(labels)))
}

/// A session's id, and the text when it is one: 16 bytes are an id, anything else is text.
pub fn session_id(bytes: &[u8]) -> Checked<(SessionId, Option<&str>)> {
    const FIELD: &str = "session_id";
    if let Ok(id) = <[u8; ID_BYTES]>::try_from(bytes) {
        return Ok((SessionId(id), None));
    }
    let needed = "16 bytes are needed, or a text";
    let id = str::from_utf8(bytes)
        .map_err(|_| FieldProblem::new(FIELD, format!("has {} bytes that are no text; {needed}", bytes.len())))?;
    text(FIELD, id, 1, MAX_TEXT_ID_BYTES)?;
    Ok((SessionId::of_text(bytes), Some(id)))
}

/// The labels with the text that the session is named by.
pub fn with_text_id(labels: Option<Box<Labels>>, text_id: Option<&str>) -> Option<Box<Labels>> {
    let Some(text_id) = text_id else { return labels };
    let labels = labels.map_or_else(Labels::default, |labels| *labels);
    Some(Box::new(Labels { text_id: text_id.into(), ..labels }))
}

pub fn incarnation(field: &'static str, bytes: &[u8]) -> Checked<Incarnation> {
    let id = <[u8; ID_BYTES]>::try_from(bytes);
    let problem = || FieldProblem::new(field, format!("has {} bytes; {ID_BYTES} are needed", bytes.len()));
    id.map(Incarnation).map_err(|_| problem())
}

/// A time zone by its IANA name; UTC when it is empty.
pub fn time_zone(name: &str) -> Checked<TimeZone> {
    const FIELD: &str = "time_zone";
    text(FIELD, name, 0, MAX_ZONE_BYTES)?;
    match name {
        // The usual one needs no look at the machine's time zones.
        "" | "UTC" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| {
            let problem =
                format!("{name:?} is not known; an IANA name such as Europe/Berlin is needed, or none for UTC");
            FieldProblem::new(FIELD, problem)
        }),
    }
}

/// A duration that is not negative.
pub fn duration(field: &'static str, duration: prost_types::Duration) -> Checked<Duration> {
    let problem = || FieldProblem::new(field, "is negative or no duration");
    let seconds = u64::try_from(duration.seconds).map_err(|_| problem())?;
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(problem)?;
    Ok(Duration::new(seconds, nanos))
}

/// An instant from the Unix epoch on.
pub fn time(field: &'static str, at: prost_types::Timestamp) -> Checked<Time> {
    let problem = || FieldProblem::new(field, "is before 1970 or no time");
    let seconds = u64::try_from(at.seconds).map_err(|_| problem())?;
    let nanos = u64::try_from(at.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(problem)?;
    let micros = seconds.checked_mul(MICROS_PER_SECOND).ok_or_else(problem)?;
    Ok(Time(micros.saturating_add(nanos / NANOS_PER_MICRO)))
}

pub fn to_timestamp(at: Time) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.0 / MICROS_PER_SECOND).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.0 % MICROS_PER_SECOND * NANOS_PER_MICRO).unwrap_or(0),
    }
}

pub fn to_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

pub fn to_meter(meter: &Meter) -> proto::Meter {
    proto::Meter {
        kind: meter.kind as i32,
        model: meter.model.to_string(),
        account: meter.account.to_string(),
        unit: meter.unit as i32,
    }
}

pub fn to_target(target: &Target) -> proto::Target {
    use proto::target::Target as Named;
    let named = match target {
        Target::Meter(meter) => Named::Meter(to_meter(meter)),
        Target::KindPool { kind, account } => {
            Named::Pool(proto::Pool { kind: *kind as i32, account: account.to_string(), ..Default::default() })
        }
        Target::ModelPool(meter) => Named::Pool(proto::Pool {
            kind: meter.kind as i32,
            account: meter.account.to_string(),
            model: meter.model.to_string(),
            unit: meter.unit as i32,
        }),
    };
    proto::Target { target: Some(named) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn wrong<T: std::fmt::Debug>(checked: Checked<T>, field: &str, words: &str) {
        let problem = checked.unwrap_err();
        assert_eq!(problem.field, field);
        assert!(problem.problem.contains(words), "{}", problem.problem);
    }

    #[test]
    fn ids_are_bytes_or_text() {
        assert_eq!(session_id(&[7; 16]).unwrap(), (SessionId([7; 16]), None));
        assert_eq!(session_id(b"call-1").unwrap(), (SessionId::of_text(b"call-1"), Some("call-1")));
        wrong(session_id(b""), "session_id", "0 bytes");
        wrong(session_id(&[b'x'; 129]), "session_id", "129 bytes");
        wrong(session_id(&[0xff; 15]), "session_id", "no text");
        wrong(session_id(b"a\nb"), "session_id", "control character, at 1");
        wrong(session_id("a\u{202e}b".as_bytes()), "session_id", "control character, at 1");
        wrong(age("age_us", u64::MAX), "age_us", "at most 366 days");
        let mixed = prost_types::Duration { seconds: 10, nanos: -1 };
        wrong(duration("lease", mixed), "lease", "no duration");
    }

    #[test]
    fn meters_get_the_unit_of_the_catalogue() {
        let catalogue = Catalogue::builtin();
        let named = proto::Meter { kind: 3, model: "elevenlabs/eleven_v3:x".into(), account: "direct".into(), unit: 0 };
        let counted = meter(&catalogue, &named).unwrap();
        assert_eq!((&*counted.model, counted.unit), ("elevenlabs/eleven_v3", Unit::Generation));
        assert_eq!(meter(&catalogue, &to_meter(&counted)).unwrap(), counted);
        wrong(meter(&catalogue, &proto::Meter { kind: 0, ..named.clone() }), "kind", "is 0");
        wrong(meter(&catalogue, &proto::Meter { unit: -1, ..named.clone() }), "unit", "is -1");
        wrong(meter(&catalogue, &proto::Meter { unit: 3, account: String::new(), ..named.clone() }), "unit", "streams");
        wrong(
            required_meter(&catalogue, Some(&proto::Meter { model: "x".into(), ..named })),
            "meter.model",
            "provider/model",
        );
        wrong(required_meter(&catalogue, None), "meter", "is needed");
    }

    #[test]
    fn targets_are_those_that_the_project_has() {
        let catalogue = Catalogue::builtin();
        let (mine, across) = (Project::new("mine").unwrap(), Project::across());
        let sonic = Meter::new(Kind::Tts, "cartesia/sonic-3", "", None).unwrap();
        let kind_pool = Target::KindPool { kind: Kind::Tts, account: "livekit".into() };
        for (project, of) in [
            (&mine, Target::Meter(sonic.clone())),
            (&mine, kind_pool.clone()),
            (&across, Target::ModelPool(sonic.clone())),
        ] {
            assert_eq!(target(&catalogue, project, &to_target(&of)).unwrap(), of);
        }
        wrong(target(&catalogue, &mine, &to_target(&Target::ModelPool(sonic.clone()))), "pool.model", "leave it empty");
        wrong(target(&catalogue, &across, &to_target(&Target::Meter(sonic))), "meter", "no meters");
        wrong(target(&catalogue, &across, &to_target(&kind_pool)), "pool.model", "0 bytes");
    }

    #[test]
    fn lost_is_not_for_workers_to_say() {
        assert_eq!(outcome(0), Ok(Outcome::Ok));
        assert_eq!(outcome(9), Ok(Outcome::Other));
        wrong(outcome(10), "outcome", "service alone");
        wrong(outcome(-1), "outcome", "is -1");
    }

    #[test]
    fn time_zones_are_known_by_their_iana_name() {
        assert_eq!(time_zone(""), Ok(TimeZone::UTC));
        assert_eq!(
            time_zone("Europe/Berlin").map(|zone| zone.iana_name().map(str::to_owned)),
            Ok(Some("Europe/Berlin".into()))
        );
        for wrong_name in ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Berl\0in", &"x".repeat(65)] {
            wrong(time_zone(wrong_name), "time_zone", "");
        }
    }

    #[test]
    fn absurd_times_are_refused() {
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(time("end_time", to_timestamp(Time(1_234_567))), Ok(Time(1_234_567)));
        wrong(time("end_time", at(-1, 0)), "end_time", "1970");
        wrong(time("end_time", at(i64::MAX, 0)), "end_time", "no time");
        wrong(time("end_time", at(0, 1_000_000_000)), "end_time", "no time");
        wrong(duration("lease", prost_types::Duration { seconds: -1, nanos: 0 }), "lease", "negative");
    }
}
