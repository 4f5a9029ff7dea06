//! The program itself, from a store without a key to a service on which a worker reports, as README's "On a network" says;
//! and that no secret is in what it logs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    thread::JoinHandle,
};

use highwater::{
    client::{self, WorkerClient, WorkerConfig},
    model::Outcome,
    proto::{GetCallerRequest, admin_service_client::AdminServiceClient},
};

use crate::{
    access::{LIVEKIT_KEY, LIVEKIT_SECRET, bearer},
    faults::process::PROGRAM,
    serving::{MODEL, SOON, meter},
};

/// A service whose log is kept.
struct Logged {
    child: Child,
    address: SocketAddr,
    log: Option<JoinHandle<String>>,
}

fn read(mut log: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    })
}

impl Logged {
    fn start(store: &Path, settings: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--store"]).arg(store).args(settings);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = read(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { address: address.parse().unwrap(), child, log: Some(log) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it as an orchestrator does, and gives its log.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn highwater(args: &[&str], key: Option<&str>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("HIGHWATER_KEY").env_remove("HIGHWATER_KEY_FILE").env_remove("HIGHWATER_SERVER");
    if let Some(key) = key {
        command.env("HIGHWATER_KEY", key);
    }
    command.output().unwrap()
}

/// Two sessions of one worker.
const TRACE: &str = "session_id,worker_id,kind,model,connected_at,disconnected_at\n\
    a,w1,stt,deepgram/nova-3,2026-01-01T00:00:01Z,2026-01-01T00:00:03Z\n\
    b,w1,stt,deepgram/nova-3,2026-01-01T00:00:02Z,2026-01-01T00:00:04Z\n";

#[track_caller]
fn done(output: Output) -> String {
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    out
}

#[tokio::test]
async fn from_a_new_store_to_a_worker_on_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store.redb");
    let store_text = store.to_str().unwrap();
    let operator = done(highwater(&["keys", "create", "--store", store_text, "--role", "operator"], None));
    let operator = operator.trim();
    assert!(
        operator.starts_with("hwm_operator_") && !operator.contains(char::is_whitespace),
        "the key alone: {operator}"
    );
    let key_file = dir.path().join("store.redb.key");
    let master = fs::read_to_string(&key_file).unwrap();

    let service = Logged::start(&store, &[]);
    let url = service.url();
    let ask = |args: &[&str], key: Option<&str>| highwater(&[args, &["--server", &url]].concat(), key);

    let refused = ask(&["status"], None);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("a credential is needed") && words.contains("HIGHWATER_KEY"), "{words}");

    let made = done(ask(&["keys", "create", "--role", "worker", "--project", "acme", "--json"], Some(operator)));
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let worker = made["token"].as_str().unwrap();
    let secret_file = dir.path().join("livekit-secret");
    fs::write(&secret_file, LIVEKIT_SECRET).unwrap();
    let secret_file = secret_file.to_str().unwrap();
    let register = ["keys", "register-livekit", LIVEKIT_KEY, "--secret-file", secret_file, "--project", "acme"];
    assert!(done(ask(&register, Some(operator))).contains("may report for acme"));

    let config = WorkerConfig { credential: bearer(worker).0, ..WorkerConfig::new("", "agent-1") };
    let client = WorkerClient::attach(client::channel(&url).unwrap(), config);
    client.attached().await.unwrap();
    client.open("call-1", client.meter(meter(MODEL)), None);
    client.flushed_within(SOON).await.unwrap();
    let quotas = done(ask(&["quotas", "--project", "acme"], Some(operator)));
    assert!(quotas.contains("sonic-3") || quotas.to_lowercase().contains("sonic"), "{quotas}");
    let refused = ask(&["quotas"], Some(worker));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("worker may not do this") && words.contains("whoami"), "{words}");
    assert!(done(ask(&["keys", "whoami"], Some(worker))).contains("worker of acme"));
    // What is on the command line comes before a variable, which an empty one is as none.
    let worker_file = dir.path().join("worker.key");
    fs::write(&worker_file, worker).unwrap();
    let by_file = ["keys", "whoami", "--key-file", worker_file.to_str().unwrap()];
    for variable in ["", operator] {
        assert!(done(ask(&by_file, Some(variable))).contains("worker of acme"));
    }
    let trace = dir.path().join("trace.csv");
    fs::write(&trace, TRACE).unwrap();
    let replayed = ask(&["replay", trace.to_str().unwrap(), "--speed", "1000"], Some(worker));
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));

    // A client that does not mark its key as one that must not be kept.
    let mut plain = AdminServiceClient::connect(url.clone()).await.unwrap();
    let mut request = tonic::Request::new(GetCallerRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {worker}").parse().unwrap());
    assert_eq!(plain.get_caller(request).await.unwrap().into_inner().project, "acme");

    let listed = done(ask(&["keys", "list", "--project", "acme"], Some(operator)));
    assert!(listed.contains(LIVEKIT_KEY) && listed.contains("worker (LiveKit)"), "{listed}");
    let id = made["key"]["id"].as_str().unwrap();
    assert!(done(ask(&["keys", "revoke", id], Some(operator))).contains("revoked"));
    let mut status = client.watch_status();
    let told = tokio::time::timeout(SOON, async {
        while !matches!(*status.borrow_and_update(), client::ClientStatus::Failed { .. }) {
            status.changed().await.unwrap();
        }
    });
    told.await.expect("the worker is told that its key was revoked");
    assert!(client.goodbye(Outcome::Ok, SOON).await.is_err());

    assert!(done(ask(&["projects", "create", "beside"], Some(operator))).contains("beside"));
    assert!(done(ask(&["projects", "--json"], Some(operator))).contains("\"beside\""));
    let audit = done(ask(&["audit", "--all-projects"], Some(operator)));
    for action in ["key.create", "livekit_key.register", "key.revoke", "project.create"] {
        assert!(audit.contains(action), "{audit}");
    }
    assert!(done(ask(&["audit", "verify"], Some(operator))).contains("the audit log is whole: 5 rows"));
    let wrong = operator.replace("operator", "editor");
    assert!(!ask(&["keys", "list"], Some(&wrong)).status.success());

    let log = service.stop();
    assert!(log.contains("a credential was refused"), "it logs at trace");
    let secret = |key: &str| key.split('_').nth(3).unwrap().to_owned();
    for (what, hidden) in [
        ("the operator's key", secret(operator)),
        ("the worker's key", secret(worker)),
        ("LiveKit's secret", LIVEKIT_SECRET.to_owned()),
        ("the key file", master.trim().to_owned()),
    ] {
        assert!(!log.contains(&hidden), "{what} is in the log");
        let stored = fs::read(&store).unwrap();
        assert!(!stored.windows(hidden.len()).any(|part| part == hidden.as_bytes()), "{what} is in the store");
    }

    // Another start knows the keys; with another key file it does not start, and says what to do.
    let again = Logged::start(&store, &[]);
    let args = ["keys", "whoami", "--server", &again.url()];
    assert!(done(highwater(&args, Some(operator))).contains("operator of default"));
    again.stop();
    fs::remove_file(&key_file).unwrap();
    let lost = highwater(&["serve", "--listen", "127.0.0.1:0", "--store", store_text], None);
    let words = String::from_utf8(lost.stderr).unwrap();
    assert!(!lost.status.success() && words.contains("highwater keys reset"), "{words}");
    assert!(done(highwater(&["keys", "reset", "--store", store_text], None)).contains("removed 3 keys"));
    let new = done(highwater(&["keys", "create", "--store", store_text, "--role", "operator"], None));
    assert!(new.starts_with("hwm_operator_"));
}

#[test]
fn without_keys_it_listens_on_loopback_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store.redb");
    let args = ["serve", "--dev", "--listen", "0.0.0.0:0", "--store", store.to_str().unwrap()];
    let refused = highwater(&args, None);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && words.contains("a loopback address"), "{words}");
    assert!(!store.exists());
}
