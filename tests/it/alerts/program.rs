//! The real program and its log: a password that is wrong is told where operators look, and never in words of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{self, Command, Stdio},
};

use highwater::proto::{
    CreateProjectRequest, GetStatusRequest, SendTestMessageRequest, SetRecipientRequest,
    admin_service_client::AdminServiceClient, alert_service_client::AlertServiceClient,
    quota_service_client::QuotaServiceClient,
};

use super::{killed::settings, mail_server::MailServer, tls};
use crate::{
    doors,
    faults::process::{PROGRAM, Process},
    redis_server::free_port,
    serving::channel,
};

const PASSWORD: &str = "correct-horse-battery";

/// A program that is killed when it is dropped.
struct Child(process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn holds_password(bytes: &[u8]) -> bool {
    let encoded = base64(PASSWORD.as_bytes());
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    found(PASSWORD.as_bytes()) || found(encoded.trim_end_matches('=').as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[tokio::test]
async fn a_wrong_password_is_told_to_operators_and_is_in_no_log() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let (pem, options) = tls(directory.path());
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let _server = MailServer::with(port, &options, &[]);
    let log = directory.path().join("log");
    let store = directory.path().join("store.redb");
    let child = Command::new(PROGRAM)
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log", "trace", "--smtp-host", "127.0.0.1"])
        .args(["--smtp-port", &port.to_string(), "--smtp-user", "highwater", "--smtp-from", "highwater@hw.example"])
        .arg("--smtp-ca-file")
        .arg(&pem)
        .arg("--store")
        .arg(&store)
        .env("HIGHWATER_SMTP_PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut child = Child(child);
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address: std::net::SocketAddr = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    let channel = channel(address).await.unwrap();
    let mut alerts = AlertServiceClient::new(channel.clone());
    let project = CreateProjectRequest { project: "demo".to_owned() };
    AdminServiceClient::new(channel.clone()).create_project(project).await.unwrap();
    let recipient = highwater::proto::Recipient {
        name: "ops".to_owned(),
        address: Some(highwater::proto::recipient::Address::Mailbox("ops@x.example".to_owned())),
        enabled: true,
        least_severity: highwater::proto::Severity::Info.into(),
        ..Default::default()
    };
    let request = SetRecipientRequest { project: "demo".to_owned(), recipient: Some(recipient) };
    alerts.set_recipient(request).await.unwrap();
    let request = SendTestMessageRequest { project: "demo".to_owned(), recipient_name: "ops".to_owned() };
    let tested = alerts.send_test_message(request).await.unwrap().into_inner();
    assert!(!tested.taken && tested.answer.contains("does not let highwater in"), "{tested:?}");
    assert!(tested.answer.contains("535"), "what the server said: {tested:?}");
    let status = QuotaServiceClient::new(channel).get_status(GetStatusRequest {}).await.unwrap().into_inner();
    let shown = format!("{status:?}");
    assert!(shown.contains("does not let highwater in"), "{shown}");
    let metrics = doors::page(address, "/metrics").await;
    drop(child);
    let logged = fs::read(&log).unwrap();
    assert!(String::from_utf8_lossy(&logged).contains("does not let highwater in"), "operators read it in the log");
    for (what, bytes) in [
        ("the log", logged),
        ("the status", shown.into_bytes()),
        ("the answer", format!("{tested:?}").into_bytes()),
        ("the metrics", metrics.into_bytes()),
        ("the store", fs::read(Path::new(&store)).unwrap()),
    ] {
        assert!(!holds_password(&bytes), "{what} holds the password");
    }
}

/// Runs a command of alerts against a service; what it printed, and whether it did what it was told.
fn run(address: std::net::SocketAddr, words: &str) -> (bool, String) {
    let server = format!("http://{address}");
    let output = Command::new(PROGRAM)
        .args(["alerts", "--server", &server, "--project", "demo"])
        .args(words.split(' '))
        .env("COLUMNS", "200")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn check(address: std::net::SocketAddr, words: &str, expected: &[&str]) {
    let (done, said) = run(address, words);
    assert!(done, "{words}: {said}");
    for expected in expected {
        assert!(said.contains(expected), "{words}: {expected:?} is not in {said}");
    }
}

#[test]
fn rules_and_recipients_are_set_by_the_command_line() {
    let server = MailServer::start(&["refuse-bad"]);
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(server.port);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let service = Process::start(&directory.path().join("store.redb"), "127.0.0.1:0", &settings);
    let at = service.address;
    let url = format!("http://{at}");
    let made = Command::new(PROGRAM).args(["projects", "create", "demo", "--server", &url]).status().unwrap();
    assert!(made.success());
    check(at, "rules", &["approaching", "80 %", "at-limit"]);
    check(at, "rules set near --from 85% --for 5m --severity critical", &["near", "85 %", "80 %", "critical"]);
    check(
        at,
        "rules set ours --of approaching --from 12 --ends-below 9 --kind-only tts",
        &["ours", "approaching", "tts", "12 slots", "9 slots", "never"],
    );
    check(at, "rules set ours --repeat 1h --ends-after 90s", &["1 h", "tts", "1 min 30 s"]);
    let json = [
        "\"alert\": \"approaching\"",
        "\"only_kind\": \"tts\"",
        "\"repeat_seconds\": 3600",
        "\"ends_after_seconds\": 90",
    ];
    check(at, "rules --json", &json);
    check(at, "rules set slots --of approaching --from 12", &["slots", "11 slots"]);
    check(at, "rules set ours --off", &["12 slots", "no"]);
    check(at, "rules preview near --from 95%", &["0 times", "0 meters and pools"]);
    check(at, "rules remove near", &["90 %"]);
    check(at, "recipients", &["Nobody is told of demo"]);
    check(at, "recipients set ops --mail ops@x.example --quiet 22:00-07:00 --zone Europe/Berlin", &["ops@x.example"]);
    check(at, "recipients set bad --mail bad@x.example --least critical", &["bad@x.example", "critical"]);
    check(at, "test-mail ops", &["taken", "250"]);
    assert_eq!(server.taken().len(), 1);
    assert_eq!(server.taken()[0].header("Subject"), Some("[demo] test mail"));
    check(at, "test ops", &["taken"]);
    for (wrong, expected) in [
        ("test-mail bad", "550): 5.1.1 there is nobody of that name"),
        ("test-mail nobody", "nobody"),
        ("rules set new --from 80%", "--of"),
        ("snooze level-0 --until 2020-01-01", "until"),
        ("rules set ours --from 5 --ends-below 9", "clear"),
        ("recipients set new", "--mail"),
        ("recipients set new --mail a,b@x", "mailbox"),
        ("recipients set ops --quiet 7-8", "22:00-07:00"),
    ] {
        let (done, said) = run(at, wrong);
        assert!(!done && said.contains(expected), "{wrong}: {said}");
    }
    check(at, "recipients remove bad", &["ops"]);
    check(at, "recipients --json", &["\"recipients\"", "ops@x.example"]);
}
