//! The command: a chain is set, read, pinned, drained, ended and deleted by hand.

use std::process::{Command, Output};

use serde_json::Value;

use super::{MODEL, TURBO};
use crate::{faults::process::PROGRAM, serving::Serving};

fn run(serving: &Serving, arguments: &[&str]) -> Output {
    let server = format!("http://{}", serving.address);
    Command::new(PROGRAM).args(arguments).args(["--server", &server]).env_remove("HIGHWATER_KEY").output().unwrap()
}

#[track_caller]
fn json(serving: &Serving, arguments: &[&str]) -> Value {
    let done = run(serving, &[arguments, &["--json"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[track_caller]
fn told(serving: &Serving, arguments: &[&str]) -> String {
    let done = run(serving, arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_chain_is_set_pinned_and_deleted_by_hand() {
    let serving = Serving::start();
    let set = ["chains", "set", "agents", "--kind", "tts", TURBO, "cartesia/sonic-3=direct", "--dwell", "1min"];
    let made = json(&serving, &set);
    assert_eq!((&made["chain"]["models"][1]["account"], &made["before"]), (&"direct".into(), &Value::Null));
    assert_eq!((&made["chain"]["fill_percent"], &made["chain"]["dwell_seconds"]), (&90.into(), &60.0.into()));
    let pinned = json(&serving, &["chains", "pin", "agents", TURBO, "--until", "2h", "--reason", "launch"]);
    assert_eq!((&pinned["override"]["action"], &pinned["override"]["model"]), (&"pin".into(), &TURBO.into()));
    let drained =
        told(&serving, &["chains", "drain", "agents", "cartesia/sonic-3=direct", "--until", "2h", "--reason", "x"]);
    assert!(drained.starts_with("new sessions of agents pass over cartesia/sonic-3 until "), "{drained}");
    let listed = told(&serving, &["chains"]);
    assert!(listed.contains("agents  tts, leaves at 90 %, returns at 70 %, stays 1 min"), "{listed}");
    assert!(listed.contains("pinned until") && listed.contains("cartesia/sonic-3 (direct, generations)"), "{listed}");
    let ended = json(&serving, &["chains", "end", "agents", TURBO]);
    assert_eq!(ended["ended"]["reason"], "launch");

    let late = run(&serving, &["chains", "pin", "agents", TURBO, "--until", "2020-01-01", "--reason", "x"]);
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(late.status.code() == Some(5) && said.contains("end_time: is not in the future"), "{said}");
    let zero = run(&serving, &["chains", "set", "agents", "--kind", "tts", MODEL, "--fill", "0"]);
    assert_eq!(zero.status.code(), Some(2), "0 is no default");
    let missing = run(&serving, &["chains", "delete", "others"]);
    assert_eq!(missing.status.code(), Some(4));

    let changed = told(&serving, &["chains", "set", "agents", "--kind", "tts", TURBO, "--no-thresholds"]);
    assert!(changed.starts_with("changed: agents\n"), "{changed}");
    let back =
        "highwater chains set agents --kind tts elevenlabs/eleven_turbo_v2_5 cartesia/sonic-3=direct --dwell 60s";
    assert!(changed.contains(back) && changed.contains("ended with the change: drain of"), "{changed}");
    let words: Vec<_> = back.split(' ').skip(1).collect();
    json(&serving, &words);
    assert_eq!(json(&serving, &["chains", "list"])["chains"][0]["models"].as_array().unwrap().len(), 2);
    assert_eq!(json(&serving, &["chains", "delete", "agents"])["deleted"]["name"], "agents");
    assert!(told(&serving, &["chains"]).contains("has no chains"));
}
