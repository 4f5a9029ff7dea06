//! The trace reader: whatever the bytes, every line that is not empty is a row or a skip with a reason, in order; a row is
//! sound, and written again it is read as it was; and it does not matter in which pieces the bytes come.

#![no_main]

use std::io::{Cursor, Read, Result};

use highwater::{
    import::{
        Gathered,
        report::time_text,
        trace::{HEADER, MAX_LINE_BYTES, TraceError, TraceItem, TraceReader, TraceRow},
    },
    model::{Meter, session::MAX_TEXT_ID_BYTES},
};
use libfuzzer_sys::fuzz_target;

/// Longest reason, in bytes: a field that is quoted in it has at most 256, each shown as at most 10.
const MAX_REASON_BYTES: usize = 3_000;

fuzz_target!(|data: &[u8]| {
    match TraceReader::new(data) {
        Ok(reader) => check(data, reader),
        Err(error) => {
            assert!(!matches!(error, TraceError::Io(_)) && error.to_string().len() < MAX_REASON_BYTES);
            let with_header = [HEADER.as_bytes(), b"\n", data].concat();
            check(&with_header, TraceReader::new(&*with_header).expect("its header is there"));
        }
    }
});

fn check(bytes: &[u8], reader: TraceReader<&[u8]>) {
    let items: Vec<_> = reader.map(|item| item.expect("bytes in memory can be read")).collect();
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let expected: Vec<_> = (1_u64..).zip(lines).skip(1).filter(|(_, line)| !line.is_empty()).collect();
    assert_eq!(items.len(), expected.len(), "each line is an item");
    for (item, (number, line)) in items.iter().zip(expected) {
        match item {
            TraceItem::Row(row) => {
                assert_eq!(row.line, number);
                check_row(row, line);
            }
            TraceItem::Skipped(skipped) => {
                assert_eq!(skipped.line, number);
                assert!(!skipped.reason.is_empty() && skipped.reason.len() < MAX_REASON_BYTES);
            }
        }
    }
    let pieces = Pieces { bytes: Cursor::new(bytes), most: 1 + bytes.len() % 7 };
    let again = TraceReader::new(pieces).expect("the header was read before");
    assert!(again.map(|item| item.expect("bytes in memory can be read")).eq(items.iter().cloned()));

    let mut trace = Gathered::default();
    items.into_iter().for_each(|item| trace.take(item));
    assert!(trace.sessions.iter().all(|session| session.connected < session.disconnected));
}

fn check_row(row: &TraceRow, line: &[u8]) {
    assert!(line.len() <= MAX_LINE_BYTES);
    assert!((1..=MAX_TEXT_ID_BYTES).contains(&row.session_id.len()) && !row.worker_id.is_empty());
    assert!(row.connected <= row.disconnected);
    assert!(!row.session_id.chars().chain(row.worker_id.chars()).any(char::is_control), "it would reach a terminal");
    Meter::new(row.kind, &row.model, "", None).expect("a row that is taken names a meter");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let (kind, connected, disconnected) = (row.kind, time_text(row.connected), time_text(row.disconnected));
    let (session, worker, model) = (quoted(&row.session_id), quoted(&row.worker_id), quoted(&row.model));
    let text = format!("{HEADER}\n{session},{worker},{kind},{model},{connected},{disconnected}");
    let again: Vec<_> = TraceReader::new(text.as_bytes()).expect("its header is there").flatten().collect();
    assert_eq!(again, [TraceItem::Row(TraceRow { line: 2, ..row.clone() })], "{text}");
}

/// Bytes that come a few at a time.
struct Pieces<'a> {
    bytes: Cursor<&'a [u8]>,
    most: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let most = into.len().min(self.most);
        self.bytes.read(&mut into[..most])
    }
}
