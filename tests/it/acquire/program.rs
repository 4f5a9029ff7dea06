//! The commands: a limit is set, enforced and asked against by hand.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{
    faults::process::PROGRAM,
    serving::{MODEL, Serving},
};

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

#[test]
fn a_limit_is_enforced_and_a_slot_asked_for_by_hand() {
    let serving = Serving::start();
    let of = ["--kind", "tts", "--model", MODEL];
    let with = |words: &[&'static str]| [words, &of[..]].concat();
    let set = json(&serving, &with(&["limits", "set", "1"]));
    assert_eq!((&set["limit"]["slots"], &set["limit"]["enforced"]), (&1.into(), &false.into()));
    let enforced = json(&serving, &with(&["limits", "enforce", "--keep", "10"]));
    assert_eq!(
        (&enforced["enforcement"]["mode"], &enforced["enforcement"]["kept_percent"]),
        (&"enforce".into(), &10.into())
    );
    let granted = json(&serving, &[&with(&["acquire", "--priority", "priority"])[..], &["--hold", "1ms"]].concat());
    assert_eq!((&granted["granted"], &granted["model"]), (&true.into(), &MODEL.into()));
    assert_eq!(serving.level(), 0, "it was given back");
    // One in ten of one slot is one: nobody but the most urgent has it.
    let refused = run(&serving, &with(&["acquire"]));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("model limit: 0 of 1 held, 1 kept for higher"), "{said}");
    let diverted = json(&serving, &[&with(&["acquire"])[..], &["--model", "elevenlabs/eleven_turbo_v2_5"]].concat());
    assert_eq!((&diverted["granted"], &diverted["diverted"]), (&true.into(), &true.into()));
    json(&serving, &with(&["limits", "set", "--per-minute", "0"]));
    let listed = json(&serving, &["limits"]);
    assert_eq!(listed["limits"][1]["starts_per_minute"], 0);
    json(&serving, &with(&["limits", "end", "--per-minute"]));
    json(&serving, &with(&["limits", "observe"]));
    json(&serving, &with(&["acquire"]));
    let listed = run(&serving, &["limits", "enforcement"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("observed"), "{listed:?}");
    json(&serving, &with(&["limits", "inherit"]));
    assert!(!run(&serving, &with(&["limits", "inherit"])).status.success(), "there is nothing to take back");
}
