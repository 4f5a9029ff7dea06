//! What Redis is set to keep, and what that promises. A managed Redis often does not say: then nobody knows.

use std::collections::HashMap;

use super::RedisStore;
use crate::store::{Keeping, Promise, Result};

/// What one server says of itself.
#[derive(Clone, Debug, Default)]
struct Server {
    /// What `INFO` says, by name.
    info: HashMap<String, String>,
    /// What `CONFIG GET` says of the settings below; `None` where it is forbidden.
    settings: Option<HashMap<String, String>>,
}

const SETTINGS: [&str; 3] = ["appendfsync", "save", "min-replicas-to-write"];

/// Asks every server that holds a part of the store; the least promise is that of all.
pub fn ask(store: &RedisStore) -> Result<Keeping> {
    let infos: Vec<String> = store.link.ask_each(&redis::cmd("INFO"))?;
    let mut servers: Vec<Server> =
        infos.iter().map(|info| Server { info: read_info(info), settings: Some(HashMap::new()) }).collect();
    for setting in SETTINGS {
        let mut ask = redis::cmd("CONFIG");
        let answers: Option<Vec<HashMap<String, String>>> = store.link.ask_each(ask.arg("GET").arg(setting)).ok();
        match answers {
            Some(answers) if answers.len() == servers.len() && answers.iter().all(|answer| !answer.is_empty()) => {
                let with_answers = servers.iter_mut().zip(answers);
                with_answers
                    .for_each(|(server, answer)| server.settings.iter_mut().for_each(|all| all.extend(answer.clone())));
            }
            _ => servers.iter_mut().for_each(|server| server.settings = None),
        }
    }
    let mut replicated = true;
    if let Ok(mut writer) = store.writer() {
        let waits = servers.iter().all(|server| server.replicas() > 0 && server.least_replicas() > Some(0));
        replicated = writer.replicated;
        writer.replicas = u32::from(waits && !servers.is_empty());
    }
    let judged = servers.iter().map(|server| server.judge(servers.len(), replicated));
    let danger = servers.iter().find_map(Server::danger);
    let unheard = || Keeping::of(Promise::Unknown, "it says nothing of itself".to_owned());
    let least = judged.min_by_key(|keeping| keeping.promise).unwrap_or_else(unheard);
    Ok(Keeping { danger, lost: store.take_lost()?, ..least })
}

fn read_info(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Server {
    fn number(&self, name: &str) -> Option<u64> {
        self.info.get(name)?.parse().ok()
    }

    fn replicas(&self) -> u64 {
        self.number("connected_slaves").unwrap_or_default()
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// Replicas without which it takes no writes.
    fn least_replicas(&self) -> Option<u64> {
        self.setting("min-replicas-to-write")?.parse().ok()
    }

    /// What may go though nothing fails.
    fn danger(&self) -> Option<String> {
        let policy = self.info.get("maxmemory_policy").filter(|policy| *policy != "noeviction")?;
        (self.number("maxmemory") != Some(0)).then(|| {
            format!(
                "when it is full it drops what is stored (`maxmemory-policy` is {policy}): set it to noeviction, and then \
                 history waits instead"
            )
        })
    }

    /// What it promises, said of all `servers` that hold a part of the store: the one that promises least speaks for them.
    fn judge(&self, servers: usize, replicated: bool) -> Keeping {
        let alone = |one: &str, more: &str| match servers {
            1 => format!("one server{one}"),
            servers => format!("{servers} servers without replicas, {more}"),
        };
        let with = |replicas: u64| {
            let replicas = if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") };
            if servers == 1 { replicas } else { format!("{servers} servers, one of them with {replicas}") }
        };
        let (promise, words) = match (self.replicas(), self.number("aof_enabled"), &self.settings) {
            (0, None, _) => (Promise::Unknown, "it does not say whether it writes to a disk".to_owned()),
            (_, _, None) => {
                let words = "it does not tell its settings (CONFIG GET is forbidden): see what its provider promises";
                (Promise::Unknown, words.to_owned())
            }
            (0, Some(0), Some(_)) => {
                let snapshots = self.setting("save").is_some_and(|save| !save.is_empty());
                let lost = if snapshots { "what came after its last snapshot" } else { "everything" };
                let which = alone(" without `appendonly`", "one of them at least without `appendonly`");
                (Promise::None, format!("{which}: a restart loses {lost}{}", if servers == 1 { "" } else { " on it" }))
            }
            (0, Some(_), Some(_)) => match self.setting("appendfsync") {
                Some("always") => {
                    (Promise::Strict, alone(", each write on its disk", "each write on the disk of its own"))
                }
                Some("everysec") => {
                    let which = alone(", its disk a second behind", "the disk of each a second behind");
                    (Promise::Strict, format!("{which}: a failure takes up to two, which we write again"))
                }
                _ => {
                    let which = alone(" with `appendfsync no`", "one of them at least with `appendfsync no`");
                    (Promise::Bounded, format!("{which}: a power cut loses some seconds"))
                }
            },
            (replicas, _, Some(_)) if self.least_replicas() == Some(0) => {
                let words = "a failover loses what they do not have yet; set `min-replicas-to-write 1`";
                (Promise::Bounded, format!("{}: {words}", with(replicas)))
            }
            (replicas, _, Some(_)) if replicated => {
                (Promise::Strict, format!("{}, and each write waits for one of them", with(replicas)))
            }
            (replicas, _, Some(_)) => {
                (Promise::Bounded, format!("{}, and none had the last write within 200 ms", with(replicas)))
            }
        };
        Keeping::of(promise, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(info: &str, settings: Option<&[(&str, &str)]>, promise: Promise, words: &str) {
        check_of(1, info, settings, promise, words);
    }

    #[track_caller]
    fn check_of(servers: usize, info: &str, settings: Option<&[(&str, &str)]>, promise: Promise, words: &str) {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let server = Server { info: read_info(&info.replace(' ', "\r\n")), settings: settings.map(pairs) };
        let keeping = server.judge(servers, true);
        assert_eq!(keeping.promise, promise, "{keeping}");
        assert!(keeping.words.contains(words), "{keeping}");
    }

    #[test]
    fn settings_say_what_is_promised() {
        let none: Option<&[(&str, &str)]> = Some(&[("save", "")]);
        check("aof_enabled:0 connected_slaves:0", none, Promise::None, "loses everything");
        check("aof_enabled:0 connected_slaves:0", Some(&[("save", "60 1")]), Promise::None, "last snapshot");
        check("aof_enabled:1", Some(&[("appendfsync", "everysec")]), Promise::Strict, "a second behind");
        check("aof_enabled:1", Some(&[("appendfsync", "always")]), Promise::Strict, "each write");
        check("aof_enabled:1", Some(&[("appendfsync", "no")]), Promise::Bounded, "some seconds");
        check("aof_enabled:1", None, Promise::Unknown, "CONFIG GET is forbidden");
        check("redis_version:7", none, Promise::Unknown, "does not say");
        check("connected_slaves:2", Some(&[("min-replicas-to-write", "0")]), Promise::Bounded, "2 replicas");
        check("connected_slaves:2", Some(&[("min-replicas-to-write", "1")]), Promise::Strict, "waits for one");
    }

    #[test]
    fn what_several_servers_promise_is_said_of_all_of_them() {
        let every_second: Option<&[(&str, &str)]> = Some(&[("appendfsync", "everysec")]);
        check_of(1, "aof_enabled:1", every_second, Promise::Strict, "one server, its disk a second behind");
        let words = "3 servers without replicas, the disk of each a second behind";
        check_of(3, "aof_enabled:1", every_second, Promise::Strict, words);
        let words =
            "3 servers without replicas, one of them at least without `appendonly`: a restart loses everything on it";
        check_of(3, "aof_enabled:0", Some(&[("save", "")]), Promise::None, words);
        let waits: Option<&[(&str, &str)]> = Some(&[("min-replicas-to-write", "1")]);
        check_of(
            3,
            "connected_slaves:1",
            waits,
            Promise::Strict,
            "3 servers, one of them with 1 replica, and each write",
        );
    }

    #[test]
    fn eviction_is_a_danger_where_memory_has_an_end() {
        let danger = |info: &str| Server { info: read_info(&info.replace(' ', "\n")), settings: None }.danger();
        assert_eq!(danger("maxmemory:0 maxmemory_policy:allkeys-lru"), None);
        assert_eq!(danger("maxmemory:9 maxmemory_policy:noeviction"), None);
        assert!(danger("maxmemory:9 maxmemory_policy:volatile-ttl").is_some_and(|words| words.contains("noeviction")));
    }
}
