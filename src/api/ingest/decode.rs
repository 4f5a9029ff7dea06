//! From batches and snapshots to events. All of a message is checked before any of it is used; of a column batch nothing
//! is allocated a row, labels aside.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{convert, ingest::handles::Handles},
    error::{Error, FieldProblem},
    live::{Meter, Said as Event, snapshot::Live as LiveSession},
    model::{Labels, Outcome, SessionId, session::ID_BYTES},
    proto::{
        self, ColumnBatch, EventBatch, SnapshotChunk,
        event_batch::{SessionView, What},
    },
};

/// Checks a batch's number and size; `size` is the column that counts its events.
fn check_batch(path: &str, seq: u64, size: &str, events: usize, most: usize) -> Result<(), Error> {
    if seq == 0 {
        return Err(Error::invalid(format!("{path}.seq"), "is 0; batches are numbered from 1"));
    }
    if events > most {
        return Err(Error::Bound { name: "batch_events", most: most as u64 });
    }
    if events == 0 {
        return Err(Error::invalid(format!("{path}.{size}"), "is empty; a batch has at least one event"));
    }
    Ok(())
}

/// The events of a batch that names them one by one.
pub fn events<'h>(batch: &EventBatch, handles: &'h Handles, most: usize) -> Result<Vec<Event<'h>>, Error> {
    check_batch("events", batch.seq, "events", batch.len(), most)?;
    let mut events = Vec::with_capacity(batch.len());
    for (nth, event) in batch.views().enumerate() {
        let wrong = |problem: FieldProblem| problem.within(format_args!("events.events[{nth}]"));
        let event = event.map_err(|error| undecodable("event", &error)).map_err(wrong)?;
        let age = convert::age("age_us", event.age_us).map_err(wrong)?;
        let event = match &event.what {
            Some(What::Connect(said)) => connect(said, age, handles).map_err(|wrong| wrong.within("connect")),
            Some(What::Disconnect(said)) => disconnect(said, age, handles).map_err(|wrong| wrong.within("disconnect")),
            None => Err(FieldProblem::new("event", "a connect or a disconnect is needed")),
        };
        events.push(event.map_err(wrong)?);
    }
    Ok(events)
}

fn undecodable(field: &'static str, error: &prost::DecodeError) -> FieldProblem {
    FieldProblem::new(field, format!("can't be decoded: {error}"))
}

fn connect<'h>(said: &SessionView<'_>, age: Duration, handles: &'h Handles) -> Result<Event<'h>, FieldProblem> {
    let (id, text_id) = convert::session_id(said.session_id)?;
    let meter = handles.meter(said.handle)?;
    let labels = said.labels().map_err(|error| undecodable("labels", &error))?;
    let labels = convert::labels(labels.as_ref()).map_err(|problem| problem.within("labels"))?;
    Ok(Event::Open { id, meter, age, labels: convert::with_text_id(labels, text_id) })
}

fn disconnect<'h>(said: &SessionView<'_>, age: Duration, handles: &'h Handles) -> Result<Event<'h>, FieldProblem> {
    let (id, _) = convert::session_id(said.session_id)?;
    let outcome = convert::outcome(said.outcome)?;
    let meter = if said.handle == 0 { None } else { Some(handles.meter(said.handle)?) };
    Ok(Event::Close { id, outcome, age, meter })
}

/// Columns that batches and snapshots share, checked to be of one length.
struct Columns<'m> {
    path: &'static str,
    ids: &'m [[u8; ID_BYTES]],
    handles: &'m [u32],
    ages_us: &'m [u64],
    label_refs: &'m [u32],
    labels: Vec<Option<Box<Labels>>>,
}

impl<'m> Columns<'m> {
    fn new(
        path: &'static str,
        rows: usize,
        ids: &'m [u8],
        handles: &'m [u32],
        ages_us: &'m [u64],
        label_refs: &'m [u32],
        labels: &[proto::Labels],
    ) -> Result<Self, FieldProblem> {
        let wrong = |field: &str, problem: String| Err(FieldProblem::new(format!("{path}.{field}"), problem));
        let (ids, rest) = ids.as_chunks::<ID_BYTES>();
        if ids.len() != rows || !rest.is_empty() {
            let bytes = ids.len() * ID_BYTES + rest.len();
            return wrong("session_ids", format!("has {bytes} bytes; {ID_BYTES} for each of {rows} rows are needed"));
        }
        if handles.len() != rows {
            return wrong("handles", format!("has {} values; one for each of {rows} rows is needed", handles.len()));
        }
        for (field, values) in [("ages_us", ages_us.len()), ("label_refs", label_refs.len())] {
            if values != 0 && values != rows {
                return wrong(field, format!("has {values} values; none, or one for each of {rows} rows, are needed"));
            }
        }
        if let Some(row) = ages_us.iter().position(|age| !convert::is_age(*age)) {
            convert::age(format!("{path}.ages_us[{row}]"), ages_us[row])?;
        }
        if labels.len() > rows {
            return wrong("labels", format!("has {} values for {rows} rows", labels.len()));
        }
        let mut checked = Vec::with_capacity(labels.len());
        for (nth, labels) in labels.iter().enumerate() {
            let labels = convert::labels(Some(labels));
            checked.push(labels.map_err(|problem| problem.within(format_args!("{path}.labels[{nth}]")))?);
        }
        Ok(Self { path, ids, handles, ages_us, label_refs, labels: checked })
    }

    fn wrong(&self, column: &str, row: usize, problem: String) -> FieldProblem {
        FieldProblem::new(format!("{}.{column}[{row}]", self.path), problem)
    }

    fn id(&self, row: usize) -> SessionId {
        SessionId(self.ids[row])
    }

    fn age(&self, row: usize) -> Duration {
        Duration::from_micros(self.ages_us.get(row).copied().unwrap_or(0))
    }

    fn meter<'h>(&self, row: usize, handles: &'h Handles) -> Result<&'h Arc<Meter>, FieldProblem> {
        let handle = self.handles[row];
        handles.meter(handle).map_err(|problem| self.wrong("handles", row, problem.problem))
    }

    fn labels(&self, row: usize) -> Result<Option<Box<Labels>>, FieldProblem> {
        let place = self.label_refs.get(row).copied().unwrap_or(0) as usize;
        let Some(place) = place.checked_sub(1) else { return Ok(None) };
        let problem = || format!("is {}; there are {} labels", place + 1, self.labels.len());
        self.labels.get(place).cloned().ok_or_else(|| self.wrong("label_refs", row, problem()))
    }
}

/// The events of a batch in columns.
pub fn columns<'h>(batch: &ColumnBatch, handles: &'h Handles, most: usize) -> Result<Vec<Event<'h>>, Error> {
    let rows = batch.outcomes.len();
    check_batch("columns", batch.seq, "outcomes", rows, most)?;
    let columns = Columns::new(
        "columns",
        rows,
        &batch.session_ids,
        &batch.handles,
        &batch.ages_us,
        &batch.label_refs,
        &batch.labels,
    )?;
    let mut events = Vec::with_capacity(rows);
    for (row, number) in batch.outcomes.iter().enumerate() {
        let (id, age) = (columns.id(row), columns.age(row));
        events.push(match Outcome::from_number(u32::from(*number)) {
            None if *number == 0 => {
                let meter = columns.meter(row, handles)?;
                Event::Open { id, meter, age, labels: columns.labels(row)? }
            }
            None | Some(Outcome::Lost) => {
                let problem = format!("is {number}; 0 for a connect, 1 to 9 for a disconnect");
                return Err(columns.wrong("outcomes", row, problem).into());
            }
            Some(outcome) => {
                let meter = if columns.handles[row] == 0 { None } else { Some(columns.meter(row, handles)?) };
                Event::Close { id, outcome, age, meter }
            }
        });
    }
    Ok(events)
}

/// The sessions of a chunk of a snapshot.
pub fn snapshot(chunk: &SnapshotChunk, handles: &Handles) -> Result<Vec<LiveSession>, Error> {
    let rows = chunk.handles.len();
    let columns = Columns::new(
        "snapshot",
        rows,
        &chunk.session_ids,
        &chunk.handles,
        &chunk.ages_us,
        &chunk.label_refs,
        &chunk.labels,
    )?;
    let mut sessions = Vec::with_capacity(rows);
    for row in 0..rows {
        sessions.push(LiveSession {
            id: columns.id(row),
            meter: columns.meter(row, handles)?.clone(),
            age: columns.age(row),
            labels: columns.labels(row)?,
        });
    }
    Ok(sessions)
}
