//! Keys for people, and as JSON.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    access::Role,
    cli::{
        keys::{Answer, has_ended, of_wire, role},
        moment,
        output::{self, Rfc3339},
        screen::{Line, Style},
        table::{Column, Table},
        text,
    },
    proto::ApiKey,
};

const COLUMNS: [Column; 7] = [
    Column::left("key", Column::ALWAYS),
    Column::left("role", Column::ALWAYS),
    Column::name("name", 90, 8),
    Column::name("project", 80, 8),
    Column::left("made", 50),
    Column::left("good until", 70),
    Column::left("last used", 60),
];

/// A key as JSON.
#[derive(Debug, Serialize)]
pub struct KeyOut {
    id: String,
    name: String,
    project: String,
    role: &'static str,
    livekit: bool,
    created: Option<Rfc3339>,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Rfc3339>,
    #[serde(skip_serializing_if = "String::is_empty")]
    replaced_by: String,
}

/// An answer as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Out {
    Made { key: Box<KeyOut>, token: String },
    Key { key: Box<KeyOut> },
    Keys { keys: Vec<KeyOut> },
    Rotated { key: Box<KeyOut>, token: String, replaced: Box<KeyOut> },
    Caller { key: String, role: &'static str, project: String, expires: Option<Rfc3339> },
    Reset { removed: usize },
}

impl From<&ApiKey> for KeyOut {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.display_name.clone(),
            project: key.project.clone(),
            role: role(key),
            livekit: key.livekit,
            created: output::time(key.create_time.as_ref()),
            created_by: key.created_by.clone(),
            expires: output::time(key.expire_time.as_ref()),
            revoked: output::time(key.revoke_time.as_ref()),
            last_used: output::time(key.last_use_time.as_ref()),
            replaced_by: key.replaced_by.clone(),
        }
    }
}

pub fn json(answer: &Answer) -> Out {
    match answer {
        Answer::Made { key, token } => Out::Made { key: Box::new(key.into()), token: token.clone() },
        Answer::Registered(key) | Answer::Changed(key) | Answer::Revoked(key) => Out::Key { key: Box::new(key.into()) },
        Answer::Listed(keys) => Out::Keys { keys: keys.iter().map(KeyOut::from).collect() },
        Answer::Rotated { key, token, replaced } => Out::Rotated {
            key: Box::new((&**key).into()),
            token: token.clone(),
            replaced: Box::new((&**replaced).into()),
        },
        Answer::Caller(caller) => Out::Caller {
            key: caller.key_id.clone(),
            role: caller_role(caller.role),
            project: caller.project.clone(),
            expires: output::time(caller.expire_time.as_ref()),
        },
        Answer::Reset(removed) => Out::Reset { removed: *removed },
    }
}

fn caller_role(number: i32) -> &'static str {
    u32::try_from(number).ok().and_then(Role::from_number).map_or("?", Role::as_str)
}

/// What is said beside a key that is printed this once.
pub fn beside(answer: &Answer) -> String {
    let zone = moment::zone();
    let (key, more) = match answer {
        Answer::Made { key, .. } => (key, String::new()),
        Answer::Rotated { key, replaced, .. } => {
            let until = time(replaced.expire_time.as_ref(), &zone);
            (&**key, format!("it takes the place of {}, which is good until {until}\n", replaced.id))
        }
        _ => return String::new(),
    };
    let until = match of_wire(key.expire_time.as_ref()) {
        Some(until) => format!("until {}", moment::full(until, &zone)),
        None => "until it is revoked".to_owned(),
    };
    text::lines(&format!(
        "made key {}: {} of {}, good {until}\n{more}it is shown this once; give it with HIGHWATER_KEY, --key-file or --key\n",
        key.id,
        role(key),
        key.project
    )) + "\n"
}

/// What was found or done.
pub fn lines(project: &str, answer: &Answer, width: usize, zone: &TimeZone) -> Vec<Line> {
    match answer {
        Answer::Made { .. } | Answer::Rotated { .. } => Vec::new(),
        Answer::Listed(keys) if keys.is_empty() => vec![
            format!("No keys are good for {project}.").into(),
            Line::of(Style::Dim, "Make one: highwater keys create --role worker"),
        ],
        Answer::Listed(keys) => table(keys, width, zone),
        Answer::Registered(key) => {
            vec![format!("registered: tokens of {} may report for {}", key.id, key.project).into()]
        }
        Answer::Changed(key) => vec![
            format!(
                "changed: {} is called {:?}, good until {}",
                key.id,
                key.display_name,
                time(key.expire_time.as_ref(), zone)
            )
            .into(),
        ],
        Answer::Revoked(key) => {
            let at = time(key.revoke_time.as_ref(), zone);
            vec![format!("revoked: {} since {at}; streams that it opened end within 5 s", key.id).into()]
        }
        Answer::Caller(caller) => {
            let key = if caller.key_id.is_empty() { "nobody needs a key here" } else { &caller.key_id };
            let until = of_wire(caller.expire_time.as_ref());
            let until = until.map(|until| format!(", good until {}", moment::full(until, zone))).unwrap_or_default();
            vec![format!("{key}: {} of {}{until}", caller_role(caller.role), caller.project).into()]
        }
        Answer::Reset(removed) => vec![
            format!("removed {removed} keys: none is good any more").into(),
            Line::of(Style::Dim, "Make the first new one: highwater keys create --role operator --store PATH"),
        ],
    }
}

fn table(keys: &[ApiKey], width: usize, zone: &TimeZone) -> Vec<Line> {
    let mut table = Table::new(&COLUMNS);
    for key in keys {
        let style = if has_ended(key) { Style::Dim } else { Style::Plain };
        let until = match (&key.revoke_time, &key.expire_time) {
            (Some(revoked), _) => format!("revoked {}", time(Some(revoked), zone)),
            (None, expires) => time(expires.as_ref(), zone),
        };
        let kind = if key.livekit { "worker (LiveKit)" } else { role(key) };
        let last_used = of_wire(key.last_use_time.as_ref()).map(|used| moment::full(used, zone));
        let cells = [
            key.id.clone(),
            kind.to_owned(),
            key.display_name.clone(),
            key.project.clone(),
            time(key.create_time.as_ref(), zone),
            until,
            last_used.unwrap_or_else(|| "never".to_owned()),
        ];
        table.row(cells.map(|cell| Line::of(style, text::line(&cell))));
    }
    table.lay_out(width)
}

fn time(time: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    of_wire(time).map_or_else(|| "no end".to_owned(), |time| moment::full(time, zone))
}
