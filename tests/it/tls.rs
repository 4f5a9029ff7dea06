//! TLS: who is let in, that certificates change without a restart, and what is told when they can't.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use highwater::{
    access::Role,
    client::{ClientTls, WorkerClient, WorkerConfig, channel_with},
    config::{ClientCertificates, Config},
    model::{Outcome, SessionId},
    proto::{GetStatusRequest, quota_service_client::QuotaServiceClient},
    service::guard::Why,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Status};

use crate::{
    access::{bearer, key, new_key},
    faults::process::{PROGRAM, Process},
    serving::{SOON, Serving, config, meter},
};

/// A year in which certificates of the tests end, unless a test says otherwise.
const FAR: i32 = 2_100;

/// Who vouches for others.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    fn vouch(&self, names: &[&str], uri: Option<&str>, ends: i32) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().copied().map(str::to_owned).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        params.not_after = date_time_ymd(ends, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// The files of a service that speaks TLS, and who vouches for it and for its clients.
pub struct Scene {
    folder: TempDir,
    authority: Authority,
    clients: Authority,
}

impl Scene {
    pub fn new() -> Self {
        let scene =
            Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new(), clients: Authority::new() };
        scene.renew(FAR);
        fs::write(scene.path("clients.crt"), scene.clients.pem()).unwrap();
        fs::write(scene.path("ca.crt"), scene.authority.pem()).unwrap();
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Who vouches for the service.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// Puts a new pair in place.
    fn renew(&self, ends: i32) {
        let (certificate, key) = self.authority.vouch(&["localhost", "127.0.0.1"], None, ends);
        fs::write(self.path("service.crt"), certificate).unwrap();
        fs::write(self.path("service.key"), key).unwrap();
    }

    fn config(&self, clients: ClientCertificates) -> Config {
        let mut config = config();
        config.tls.certificate = Some(self.path("service.crt"));
        config.tls.key = Some(self.path("service.key"));
        config.tls.client_ca = Some(self.path("clients.crt"));
        config.tls.client_certificates = clients;
        config
    }

    fn trusting(&self) -> ClientTls {
        ClientTls { ca: Some(self.authority.pem().into_bytes()), identity: None }
    }

    fn showing(&self, by: &Authority) -> ClientTls {
        self.showing_one_of(by, "spiffe://example/agents")
    }

    fn showing_one_of(&self, by: &Authority, uri: &str) -> ClientTls {
        let (certificate, key) = by.vouch(&["agents.example"], Some(uri), FAR);
        ClientTls { identity: Some((certificate.into_bytes(), key.into_bytes())), ..self.trusting() }
    }
}

async fn status_of(address: SocketAddr, tls: &ClientTls) -> Result<Vec<String>, Status> {
    let channel = channel_with(&format!("https://{address}"), tls).unwrap();
    let answer = QuotaServiceClient::new(channel).get_status(GetStatusRequest {}).await?;
    Ok(answer.into_inner().degraded)
}

#[tokio::test]
async fn a_worker_reports_over_tls_and_plain_text_is_turned_away() {
    let scene = Scene::new();
    let serving = Serving::with(scene.config(ClientCertificates::Off));
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}", serving.address.port());
        let channel = channel_with(&url, &scene.trusting()).unwrap();
        let worker = WorkerClient::attach(channel, WorkerConfig::new("default", host));
        let handle = worker.meter(meter(crate::serving::MODEL));
        worker.open(SessionId([7; 16]), handle, None);
        timeout(SOON, worker.flushed()).await.unwrap().unwrap();
        serving.until_level(1).await;
        worker.goodbye(Outcome::Ok, SOON).await.unwrap();
    }
    // The machine's own roots do not vouch for it, and nobody speaks to it without TLS.
    assert_eq!(status_of(serving.address, &ClientTls::default()).await.unwrap_err().code(), Code::Unavailable);
    let plain = crate::serving::channel(serving.address).await.unwrap();
    assert!(QuotaServiceClient::new(plain).get_status(GetStatusRequest {}).await.is_err());
    assert!(serving.service.guard.counted(Why::Handshake) >= 2);
}

#[tokio::test]
async fn clients_show_a_certificate_where_they_must_and_a_right_one_where_they_do() {
    let scene = Scene::new();
    let stranger = Authority::new();
    for (wanted, without, with, with_a_strangers) in [
        (ClientCertificates::Off, true, true, true),
        (ClientCertificates::Optional, true, true, false),
        (ClientCertificates::Required, false, true, false),
    ] {
        let serving = Serving::with(scene.config(wanted));
        let is_let_in = async |tls: ClientTls| status_of(serving.address, &tls).await.is_ok();
        assert_eq!(is_let_in(scene.trusting()).await, without, "{wanted:?}, without one");
        assert_eq!(is_let_in(scene.showing(&scene.clients)).await, with, "{wanted:?}, with one");
        assert_eq!(is_let_in(scene.showing(&stranger)).await, with_a_strangers, "{wanted:?}, with a stranger's");
    }
}

#[tokio::test]
async fn a_certificate_that_names_projects_is_for_their_credentials_alone() {
    let scene = Scene::new();
    let mut config = scene.config(ClientCertificates::Optional);
    config.dev = false;
    let serving = Serving::with(config);
    let key_of = |role, of: &str| key(&serving, new_key(role, of)).1;
    let (own, other) = (key_of(Role::Viewer, "acme"), key_of(Role::Viewer, "other"));
    let operator = key_of(Role::Operator, "acme");
    let asked = async |tls: &ClientTls, token: &str| {
        let channel = channel_with(&format!("https://{}", serving.address), tls).unwrap();
        QuotaServiceClient::with_interceptor(channel, bearer(token)).get_status(GetStatusRequest {}).await.map(drop)
    };
    let bound = scene.showing_one_of(&scene.clients, "highwater://project/acme");
    asked(&bound, &own).await.unwrap();
    for token in [&other, &operator] {
        let refused = asked(&bound, token).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("is for credentials of the project acme"), "{refused:?}");
    }
    // One that names none, or none at all, leaves it to the credential; and it does not stand for one.
    for tls in [scene.showing(&scene.clients), scene.trusting()] {
        for token in [&own, &other, &operator] {
            asked(&tls, token).await.unwrap();
        }
    }
    assert_eq!(asked(&bound, "hw_none").await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_new_pair_is_used_without_a_restart_and_a_broken_one_is_told_of() {
    let scene = Scene::new();
    let mut serving = Serving::with(scene.config(ClientCertificates::Off));
    let told = async |expected: &str| {
        let waited = timeout(SOON, async {
            while !serving.service.health.warnings().iter().any(|warning| warning.contains(expected)) {
                sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "{expected} is not in {:?}", serving.service.health.warnings());
    };
    let open = channel_with(&format!("https://{}", serving.address), &scene.trusting()).unwrap();
    let mut open = QuotaServiceClient::new(open);
    open.get_status(GetStatusRequest {}).await.unwrap();

    // Half a pair, and what is no certificate at all: the pair before goes on.
    let key = fs::read(scene.path("service.key")).unwrap();
    fs::write(scene.path("service.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    told("do not go together").await;
    status_of(serving.address, &scene.trusting()).await.unwrap();
    fs::write(scene.path("service.key"), key).unwrap();
    fs::write(scene.path("service.crt"), "no certificate").unwrap();
    told("holds no certificate").await;
    status_of(serving.address, &scene.trusting()).await.unwrap();
    assert!(serving.service.health.degraded().is_empty(), "it serves as before");

    // One that another vouches for, and that has ended, too.
    let other = Authority::new();
    let (certificate, key) = other.vouch(&["127.0.0.1"], None, 2_020);
    fs::write(scene.path("service.key"), key).unwrap();
    fs::write(scene.path("service.crt"), certificate).unwrap();
    told("certificate: has ended").await;
    assert!(status_of(serving.address, &scene.trusting()).await.is_err());
    // What was open goes on; what is right is in use soon.
    open.get_status(GetStatusRequest {}).await.unwrap();
    scene.renew(FAR);
    let started = Instant::now();
    while status_of(serving.address, &scene.trusting()).await.is_err() {
        assert!(started.elapsed() < SOON, "{:?}", serving.service.health.warnings());
        sleep(Duration::from_millis(50)).await;
    }
    assert!(serving.service.health.warnings().is_empty());
    serving.stop();
    serving.stopped().await;
}

#[tokio::test]
async fn a_connection_that_does_not_agree_on_tls_is_closed() {
    let scene = Scene::new();
    let serving = Serving::with(scene.config(ClientCertificates::Off));
    let mut silent = TcpStream::connect(serving.address).await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, silent.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    // It is closed a moment before that is counted.
    let counted = timeout(SOON, async {
        while serving.service.guard.counted(Why::HandshakeTime) != 1 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    counted.await.unwrap();
}

#[tokio::test]
async fn the_command_line_reaches_a_service_that_speaks_tls() {
    let scene = Scene::new();
    let (certificate, key) = scene.clients.vouch(&["person.example"], None, FAR);
    fs::write(scene.path("own.crt"), certificate).unwrap();
    fs::write(scene.path("own.key"), key).unwrap();
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    let settings = [
        ["--tls-certificate", &path("service.crt")],
        ["--tls-key", &path("service.key")],
        ["--tls-client-ca", &path("clients.crt")],
        ["--tls-client-certificates", "required"],
    ];
    let service = Process::start(&scene.path("store.redb"), "127.0.0.1:0", settings.as_flattened());
    let status = |more: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["status", "--server", &format!("https://{}", service.address)]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let own = ["--ca", &path("ca.crt"), "--cert", &path("own.crt"), "--cert-key", &path("own.key")];
    let (code, said) = status(&own);
    assert!(code == Some(0) && said.contains("state             ok"), "{said}");
    for (shown, what) in [(&own[..2], "a certificate of its own"), (&own[2..], "trust in the service's")] {
        let (code, said) = status(shown);
        assert_eq!(code, Some(3), "without {what}: {said}");
    }
    let (code, said) = status(&["--ca", "/nowhere/ca.crt"]);
    assert!(code == Some(2) && said.contains("/nowhere/ca.crt can't be read"), "{said}");
}

#[test]
fn a_service_without_its_certificate_does_not_start() {
    let scene = Scene::new();
    let output = Command::new(PROGRAM)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--tls-certificate",
            "/nowhere/a.crt",
            "--tls-key",
            "/nowhere/a.key",
        ])
        .arg("--store")
        .arg(scene.path("store.redb"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/nowhere/a.crt can't be read"), "{said}");
}

#[test]
fn http_2_has_what_stands_against_floods() {
    let lock = include_str!("../../Cargo.lock");
    let version = lock.split("[[package]]").find_map(|package| {
        let version = package.trim().strip_prefix("name = \"h2\"\nversion = \"")?;
        Some(version.split('"').next().unwrap().split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>())
    });
    // Rapid reset 0.3.24 and 0.4.2, CONTINUATION 0.4.4, empty and small DATA frames 0.4.16 to 0.4.18.
    assert!(version.as_deref() >= Some(&[0, 4, 18]), "h2 {version:?}");
}
