//! The trace reader: rows of a session trace (CSV) one at a time, each taken or skipped with a reason that a person can
//! read. It is a function of the bytes alone, bounded in memory whatever they are, and never judges one row by another
//! (duplicates and overlaps are for the reader's user).

use std::io::{self, BufRead, BufReader, Read};

use crate::model::{Kind, Meter, Time, session::MAX_TEXT_ID_BYTES, text::is_unseen};

/// The first line of every trace.
pub const HEADER: &str = "session_id,worker_id,kind,model,connected_at,disconnected_at";
/// Longest line, without its end, in bytes: what is read into memory at most.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Longest name of a worker, in bytes, as in the contract.
const MAX_WORKER_BYTES: usize = 128;
/// Longest value of the other fields that is quoted in a reason, in bytes.
const MAX_FIELD_BYTES: usize = 256;
/// Fields of a row.
const FIELDS: usize = 6;

/// One session: the half-open interval `[connected, disconnected)`, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// Line in the file, from 1 (the header).
    pub line: u64,
    /// 1 to 128 bytes, without control characters.
    pub session_id: String,
    /// 1 to 128 bytes, without control characters.
    pub worker_id: String,
    pub kind: Kind,
    /// As written; [`Meter::new`] takes it. Empty for the connection kinds.
    pub model: String,
    pub connected: Time,
    pub disconnected: Time,
}

/// A row that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Line in the file, from 1 (the header).
    pub line: u64,
    pub reason: String,
}

/// What stands on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceItem {
    Row(TraceRow),
    Skipped(Skipped),
}

/// Why a file is not a trace, or can't be read further.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("the trace can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("the trace is empty; its first line must be `{HEADER}`")]
    Empty,
    #[error("the trace's first line is {found:?}; it must be `{HEADER}`")]
    Header { found: String },
}

/// Reads a trace line by line. A field may be quoted as in CSV; a quoted field can't hold the end of a line.
#[derive(Debug)]
pub struct TraceReader<R> {
    input: BufReader<R>,
    line: u64,
    buffer: Vec<u8>,
    failed: bool,
}

/// How a line was read.
enum Line {
    End,
    Whole,
    TooLong,
}

impl<R: Read> TraceReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the input can't be read, is empty, or does not begin with [`HEADER`].
    pub fn new(input: R) -> Result<Self, TraceError> {
        let mut reader = Self { input: BufReader::new(input), line: 0, buffer: Vec::new(), failed: false };
        let read = reader.next_line()?;
        if matches!(read, Line::End) {
            return Err(TraceError::Empty);
        }
        let first = reader.buffer.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&reader.buffer);
        if first != HEADER.as_bytes() {
            return Err(TraceError::Header { found: quotable(&String::from_utf8_lossy(first)) });
        }
        Ok(reader)
    }

    /// Reads the next line into the buffer, without its end. Of a line that is too long the rest is passed over.
    fn next_line(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        let most = MAX_LINE_BYTES as u64 + 2;
        let read = self.input.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        let ended = self.buffer.last() == Some(&b'\n');
        if ended {
            self.buffer.pop();
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if self.buffer.len() <= MAX_LINE_BYTES {
            return Ok(Line::Whole);
        }
        self.buffer.truncate(MAX_FIELD_BYTES);
        if !ended {
            self.input.skip_until(b'\n')?;
        }
        Ok(Line::TooLong)
    }

    fn parse(&self) -> Result<TraceRow, String> {
        let text = std::str::from_utf8(&self.buffer).map_err(|error| {
            format!("is not UTF-8 text: byte {} of the line can't be read", error.valid_up_to() + 1)
        })?;
        let fields = fields(text)?;
        let [session_id, worker_id, kind, model, connected, disconnected] = fields;
        name("session_id", &session_id, MAX_TEXT_ID_BYTES)?;
        name("worker_id", &worker_id, MAX_WORKER_BYTES)?;
        let kind: Kind = short("kind", &kind)?.parse()?;
        Meter::new(kind, short("model", &model)?, "", None).map_err(|error| error.to_string())?;
        let (connected, disconnected) = (time("connected_at", &connected)?, time("disconnected_at", &disconnected)?);
        if disconnected < connected {
            return Err("ends before it starts: disconnected_at is before connected_at".to_owned());
        }
        Ok(TraceRow { line: self.line, session_id, worker_id, kind, model, connected, disconnected })
    }

    fn advance(&mut self) -> io::Result<Option<TraceItem>> {
        loop {
            let parsed = match self.next_line()? {
                Line::End => return Ok(None),
                Line::Whole if self.buffer.is_empty() => continue,
                Line::Whole => self.parse(),
                Line::TooLong => Err(format!("is longer than {MAX_LINE_BYTES} bytes")),
            };
            return Ok(Some(match parsed {
                Ok(row) => TraceItem::Row(row),
                Err(reason) => TraceItem::Skipped(Skipped { line: self.line, reason }),
            }));
        }
    }
}

/// Every line but the header and empty ones. After an error nothing more comes.
impl<R: Read> Iterator for TraceReader<R> {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.advance()
            .map_err(|error| {
                self.failed = true;
                TraceError::Io(error)
            })
            .transpose()
    }
}

/// The fields of one line.
fn fields(line: &str) -> Result<[String; FIELDS], String> {
    let fields: Vec<String> = if line.contains('"') {
        // The line is one record, whatever stands in it: a carriage return ends none.
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
        let mut reader = builder.from_reader(line.as_bytes());
        let record = reader.records().next().transpose().map_err(|error| format!("is not CSV: {error}"))?;
        record.iter().flatten().map(str::to_owned).collect()
    } else {
        line.split(',').map(str::to_owned).collect()
    };
    fields.try_into().map_err(|fields: Vec<_>| format!("has {} fields; {FIELDS} are needed: {HEADER}", fields.len()))
}

fn name(field: &str, value: &str, most: usize) -> Result<(), String> {
    if value.is_empty() || value.len() > most {
        return Err(format!("{field} has {} bytes; 1 to {most} are allowed", value.len()));
    }
    if let Some(at) = value.chars().position(is_unseen) {
        return Err(format!("{field} has a control character, at {at}"));
    }
    Ok(())
}

fn short<'a>(field: &str, value: &'a str) -> Result<&'a str, String> {
    if value.len() > MAX_FIELD_BYTES {
        return Err(format!("{field} has {} bytes; at most {MAX_FIELD_BYTES} are read", value.len()));
    }
    Ok(value)
}

/// An RFC 3339 time as microseconds since the epoch; what is finer is cut off.
fn time(field: &str, value: &str) -> Result<Time, String> {
    let wanted = "it must be RFC 3339 from 1970 to 9999-12-30T22:00:00Z, such as 1999-01-01T00:00:02Z or 1999-01-01T02:00:02.5+02:00";
    let parsed: Option<jiff::Timestamp> = short(field, value)?.parse().ok();
    let micros = parsed.and_then(|at| u64::try_from(at.as_microsecond()).ok());
    micros.map(Time).ok_or_else(|| format!("{field} is {value:?}; {wanted}"))
}

/// The start of a text that a person is shown.
fn quotable(text: &str) -> String {
    match text.char_indices().nth(MAX_FIELD_BYTES / 2) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(rows: &str) -> Vec<TraceItem> {
        let text = format!("{HEADER}\n{rows}");
        TraceReader::new(text.as_bytes()).unwrap().map(Result::unwrap).collect()
    }

    #[track_caller]
    fn check_taken(row: &str, connected: u64, disconnected: u64) {
        let items = read(row);
        let [TraceItem::Row(row)] = &*items else { panic!("{items:?}") };
        assert_eq!((row.connected, row.disconnected), (Time(connected), Time(disconnected)));
    }

    #[track_caller]
    fn check_skipped(row: &str, words: &str) {
        let items = read(row);
        let [TraceItem::Skipped(skipped)] = &*items else { panic!("{items:?}") };
        assert_eq!(skipped.line, 2);
        assert!(skipped.reason.contains(words), "{}", skipped.reason);
    }

    #[test]
    fn times_with_fraction_and_offset_are_taken() {
        check_taken("s,w,tts,a/b,1970-01-01T00:00:01Z,1970-01-01T00:00:02.5Z", 1_000_000, 2_500_000);
        check_taken("s,w,tts,a/b,1970-01-01T02:00:01+02:00,1970-01-01T00:00:01.000001Z\r\n", 1_000_000, 1_000_001);
        check_taken("\"s\",w,agent,,1970-01-01T00:00:01Z,1970-01-01T00:00:01Z", 1_000_000, 1_000_000);
        check_taken("\n\ns,w,tts,a/b:voice,1970-01-01T00:00:00Z,1970-01-01T00:00:01Z\n\n", 0, 1_000_000);
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said() {
        let from = "1999-01-01T00:00:02Z";
        check_skipped("s,w,tts", "has 3 fields; 6 are needed");
        check_skipped(&format!("s,w,tts,a/b,{from},soon"), "disconnected_at is \"soon\"; it must be RFC 3339");
        check_skipped(&format!("s,w,tts,a/b,{from},1999-01-01T00:00:01Z"), "ends before it starts");
        check_skipped(&format!("s,w,tts,a/b,1969-01-01T00:00:00Z,{from}"), "from 1970 to 9999-12-30T22:00:00Z");
        check_skipped(&format!("s,w,tts,a/b,{from},9999-12-31T00:00:00Z"), "from 1970 to 9999-12-30T22:00:00Z");
        check_skipped(&format!("s,w,video,a/b,{from},{from}"), "kind \"video\" is not known");
        check_skipped(&format!("s,w,tts,sonic,{from},{from}"), "model: \"sonic\" is not provider/model");
        check_skipped(&format!("s,w,tts,,{from},{from}"), "model: has 0 bytes");
        check_skipped(&format!(",w,tts,a/b,{from},{from}"), "session_id has 0 bytes");
        check_skipped(&format!("s,{},tts,a/b,{from},{from}", "w".repeat(129)), "worker_id has 129 bytes");
        check_skipped(&format!("s,w,{},a/b,{from},{from}", "k".repeat(999)), "kind has 999 bytes");
        check_skipped(&format!("s\x1b[2J,w,tts,a/b,{from},{from}"), "session_id has a control character, at 1");
        check_skipped(&format!("s,w\u{202e}x,tts,a/b,{from},{from}"), "worker_id has a control character, at 1");
        check_skipped(&format!("s,w,tts,a/b,{from},{from}\r\"more"), "disconnected_at is");
        check_skipped(&"x".repeat(MAX_LINE_BYTES + 1), "is longer than 65536 bytes");
        check_skipped(&"x".repeat(MAX_LINE_BYTES * 3), "is longer than 65536 bytes");
    }

    #[test]
    fn after_a_bad_line_the_next_is_read() {
        let good = "s,w,tts,a/b,1970-01-01T00:00:01Z,1970-01-01T00:00:02Z";
        let mut bytes = format!("{HEADER}\n").into_bytes();
        bytes.extend(b"\xff\xfe\n");
        bytes.extend(vec![b'x'; MAX_LINE_BYTES * 2]);
        bytes.extend(format!("\n\"open\n{good}").into_bytes());
        let items: Vec<_> = TraceReader::new(&*bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(items.len(), 4);
        assert!(matches!(&items[0], TraceItem::Skipped(s) if s.line == 2 && s.reason.contains("byte 1")));
        assert!(matches!(&items[3], TraceItem::Row(row) if row.line == 5 && row.session_id == "s"));
    }

    #[test]
    fn a_file_without_the_header_is_refused() {
        let error = |text: &str| TraceReader::new(text.as_bytes()).unwrap_err().to_string();
        assert!(error("").contains("is empty; its first line must be `session_id,worker_id,"));
        assert!(error("a,b\n1,2").contains("first line is \"a,b\"; it must be `session_id"));
        assert!(error(&"y".repeat(MAX_LINE_BYTES * 2)).len() < 400);
        assert!(TraceReader::new(format!("\u{feff}{HEADER}\r\n").as_bytes()).is_ok());
    }
}
