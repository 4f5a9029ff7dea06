//! `highwater import` and `check-config` by the program itself: what they leave behind, and what they name.
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
fn what_is_skipped_is_told_also_when_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "s1,w,tts,x/y,2026-11-20 00:05:00,2026-11-20 00:06:00\ns2,w,tts,x/y,never,2026-11-20T00:06:00Z";
    let (went_well, _, error) = import_file(folder.path(), rows, &[]);
    assert!(!went_well && error.contains("no sessions to import\n2 rows were skipped:\n  line 2: "), "{error}");
    assert!(error.contains("\n  line 3: "), "{error}");
    let (went_well, json, _) = import_file(folder.path(), rows, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(!went_well && json["skipped"].as_array().unwrap().len() == 2 && json["meters"] == serde_json::json!([]));
    // Also where a date refuses the whole.
    let rows = format!(
        "{rows}\ns3,w,tts,x/y,1999-01-01T00:00:00Z,1999-01-01T00:00:05Z\ns4,w,tts,x/y,2026-11-20T00:00:00Z,2026-11-20T00:00:05Z"
    );
    let (_, _, error) = import_file(folder.path(), &rows, &[]);
    assert!(error.contains("(line 4) to") && error.contains("(line 5)") && error.contains("\n  line 2: "), "{error}");
}

#[test]
fn an_import_of_old_times_says_that_a_service_drops_them() {
    let folder = tempfile::tempdir().unwrap();
    let row = "s1,w,tts,acme/new,1999-01-01T00:00:00Z,1999-01-01T00:00:05Z";
    let words = "it ended before what a service keeps (8 days of minutes, 13 months of hours)";
    let (_, table, _) = import_file(folder.path(), row, &[]);
    assert!(table.contains(words) && table.contains("--shift auto"), "{table}");
    let (_, table, _) = import_file(folder.path(), row, &["--shift", "auto", "--replace"]);
    assert!(!table.contains("it ended before"), "{table}");
}

#[test]
fn a_trace_of_thousands_of_workers_and_models_takes_little_memory_and_says_what_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("trace.csv"), folder.path().join("store.redb"));
    let row = |nth| format!("s{nth},w{nth},llm,acme/m{nth},2026-11-20T00:00:00Z,2026-11-20T00:00:01Z\n");
    std::fs::write(&file, format!("{HEADER}\n{}", (0..6_000).map(row).collect::<String>())).unwrap();
    // 1 GB of addresses; what each worker knew of each model was more.
    let script = r#"ulimit -v 1000000; exec "$0" import "$1" --store "$2""#;
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_highwater")])
        .args([&file, &store])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("the project has 6000 meters now: a service takes no new one from 1000 on"), "{told}");
    assert!(told.contains(", and 5980 more"), "{told}");
}

#[test]
fn every_file_that_a_configuration_names_is_looked_at_before_anything_begins() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        |name: &str| if name.is_empty() { String::new() } else { folder.path().join(name).display().to_string() };
    std::fs::create_dir(path("plans")).unwrap();
    std::fs::write(path("plans/mine.toml"), "garbage").unwrap();
    std::fs::write(path("catalogue.toml"), "[[model]]\nname = 1\n").unwrap();
    std::fs::write(path("no.crt"), "no certificate").unwrap();
    let run = |command: &str, certificate: &str, plans: &str, catalogue: &str| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_highwater"));
        program.args([command, "--listen", "127.0.0.1:0", "--store", &path("store.redb")]);
        program.args(["--tls-certificate", &path(certificate), "--tls-key", &path(certificate)]);
        program.args(["--plans", &path(plans), "--catalogue", &path(catalogue)]);
        let output = program.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for command in ["check-config", "serve"] {
        let (code, error) = run(command, "nowhere.crt", "nowhere", "nowhere.toml");
        for flag in ["--tls-certificate", "--tls-key", "--plans", "--catalogue"] {
            assert!(error.contains(&format!("{flag}: {}", path("nowhere"))), "{command}: {error}");
        }
        assert_eq!(code, Some(5), "{error}");
        let (code, error) = run(command, "nowhere.crt", "plans", "catalogue.toml");
        assert!(error.contains("mine.toml") && error.contains("catalogue.toml: "), "{command}: {error}");
        assert_eq!(code, Some(5), "{error}");
        let (code, error) = run(command, "no.crt", "", "");
        assert_eq!(code, Some(5), "{error}");
    }
    assert!(!folder.path().join("store.redb").exists(), "nothing was begun");
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
