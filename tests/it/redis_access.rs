//! Who may what in Redis: the access control list of the docs is enough, on one server and on a cluster, and TLS is spoken
//! with whom the file vouches for.

use std::{fs, process::Command};

use highwater::{
    config::{RedisOptions, StorePlace, place::RedisAddress},
    model::{Hour, KeyId},
    store::{Change, EmbeddedStore, Promise, RedisStore, Second, Store, migrate},
};

use crate::{
    offline::audit_rows,
    redis_server::{Cluster, RETENTION, Redis, address, options},
    store_contract::{frame, key_hour, keys},
};

/// The list of docs/redis.md.
fn access_list() -> Vec<String> {
    let docs = fs::read_to_string("docs/redis.md").unwrap();
    let from = docs.find("ACL SETUSER").unwrap();
    let rules = docs[from..].split("```").next().unwrap().replace("\\\n", " ");
    rules.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_user_of_the_docs_may_do_what_is_needed_and_no_more() {
    let redis = Redis::start();
    let rules = access_list();
    redis.ask::<String>(&rules.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let password = redis.path().join("password");
    fs::write(&password, "wrong\n").unwrap();
    let user =
        RedisOptions { user: Some("highwater".to_owned()), password_file: Some(password.clone()), ..options("hw:") };
    let open = |options: &RedisOptions| RedisStore::open(&redis.address(), options, &RETENTION);
    let refused = open(&user).unwrap_err().to_string();
    assert!(refused.contains("does not let us in") && !refused.contains("wrong"), "{refused}");
    fs::write(&password, "PASSWORD\n").unwrap();
    let store = open(&user).unwrap();
    store.commit(&Second { new_keys: keys(), frames: vec![frame(7)], ..Second::default() }).unwrap();
    store.fold(Hour(0), &[(KeyId(1), key_hour(3))]).unwrap();
    store.change(&Change { audit: audit_rows(2), ..Change::default() }).unwrap();
    store.retain(Hour(1), Hour(1)).unwrap();
    store.drop_audit(1).unwrap();
    assert_eq!(store.keeping().unwrap().promise, Promise::Strict);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    drop(store);
    let forbidden = open(&RedisOptions { prefix: "other:".to_owned(), ..user.clone() }).unwrap_err().to_string();
    assert!(forbidden.contains("access control list"), "{forbidden}");
    // A provider that tells no settings.
    redis.ask::<String>(&["ACL", "SETUSER", "highwater", "-config|get"]).unwrap();
    assert_eq!(open(&user).unwrap().keeping().unwrap().promise, Promise::Unknown);
}

#[test]
fn the_user_of_the_docs_may_do_the_same_on_a_cluster_and_replace_a_store() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "PASSWORD\n").unwrap();
    let rules = access_list();
    for node in &cluster.nodes {
        node.ask::<String>(&rules.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }
    let user = RedisOptions { user: Some("highwater".to_owned()), password_file: Some(password), ..options("hw:") };
    let open = || RedisStore::open(&cluster.address(), &user, &RETENTION).unwrap();
    let store = open();
    store.commit(&Second { new_keys: keys(), frames: vec![frame(7)], ..Second::default() }).unwrap();
    store.fold(Hour(0), &keys().iter().map(|(id, _)| (*id, key_hour(3))).collect::<Vec<_>>()).unwrap();
    store.change(&Change { audit: audit_rows(1), ..Change::default() }).unwrap();
    store.retain(Hour(0), Hour(0)).unwrap();
    assert_eq!(store.keeping().unwrap().promise, Promise::Strict);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    drop(store);
    let there = || -> Vec<String> {
        let of_node = |node: &Redis| node.ask::<Vec<String>>(&["KEYS", "hw:*"]).unwrap();
        cluster.nodes.iter().flat_map(of_node).collect()
    };
    assert!(there().len() > 10);
    // As `migrate --replace` does.
    let file = folder.path().join("store.redb");
    EmbeddedStore::open(&file).unwrap().put_hours(&keys()[..1], &[]).unwrap();
    let (from, to) = (StorePlace::File(file), StorePlace::Redis(cluster.address()));
    let copied = migrate::migrate(&from, &to, &user, true, &mut |_| Ok(()), &mut |_, _, _| {}).unwrap();
    assert_eq!((copied.report.keys, copied.report.hours), (1, 0));
    RedisStore::clear(&cluster.address(), &user).unwrap();
    assert_eq!(there(), Vec::<String>::new());
}

/// A server that speaks TLS alone, and who vouches for it.
fn by_tls() -> (Redis, RedisAddress, RedisOptions) {
    let folder = tempfile::tempdir().unwrap().keep();
    let path = |name: &str| folder.join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tls_port = crate::redis_server::free_port();
    let redis = Redis::with(&[
        &format!("--tls-port {tls_port}"),
        &format!("--tls-cert-file {}", path("cert.pem")),
        &format!("--tls-key-file {}", path("key.pem")),
        "--tls-auth-clients no",
    ]);
    let options = RedisOptions { ca_file: Some(path("cert.pem").into()), ..options("hw:") };
    (redis, address(&format!("rediss://localhost:{tls_port}")), options)
}

#[test]
fn tls_is_spoken_with_whom_the_file_vouches_for() {
    let (_redis, address, trusting) = by_tls();
    let store = RedisStore::open(&address, &trusting, &RETENTION).unwrap();
    store.commit(&Second { new_keys: keys(), ..Second::default() }).unwrap();
    drop(store);
    let error = RedisStore::open(&address, &options("hw:"), &RETENTION).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("certificate") || error.contains("UnknownIssuer"), "{error}");
}
