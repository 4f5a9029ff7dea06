//! `highwater import` by the program itself: what it leaves behind, and what it names.
#![allow(clippy::unwrap_used)]

use highwater::import::trace::HEADER;

/// Imports a file by the program; returns whether it went well, and what it said.
fn import_file(folder: &std::path::Path, rows: &str, more: &[&str]) -> (bool, String, String) {
    let (file, store) = (folder.join("trace.csv"), folder.join("store.redb"));
    std::fs::write(&file, format!("{HEADER}\n{rows}\n")).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_highwater"));
    let output = command.arg("import").arg(&file).arg("--store").arg(&store).args(more).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_import_that_fails_leaves_no_store_that_was_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.redb");
    let (went_well, _, error) = import_file(folder.path(), "", &[]);
    assert!(!went_well && error.contains("no sessions"), "{error}");
    assert!(!store.exists());
    let row = "s1,w,tts,acme/new,1999-01-01T00:00:00Z,1999-01-01T00:00:05Z";
    assert!(import_file(folder.path(), row, &[]).0);
    let (went_well, _, error) = import_file(folder.path(), row, &[]);
    assert!(!went_well && error.contains("--replace"), "{error}");
    assert!(store.exists(), "one that was there stays");
}

#[test]
fn an_import_says_which_models_the_catalogue_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let times = "1999-01-01T00:00:00Z,1999-01-01T00:00:05Z";
    let rows = format!("s1,w,tts,acme/new,{times}\ns2,w,agent,,{times}\ns3,w,stt,deepgram/nova-3,{times}");
    let (_, table, _) = import_file(folder.path(), &rows, &[]);
    assert!(table.contains("not in the catalogue, and counted all the same: acme/new\n"), "{table}");
    let (_, json, _) = import_file(folder.path(), &rows, &["--json", "--replace"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["unknown_models"], serde_json::json!(["acme/new"]));
}
