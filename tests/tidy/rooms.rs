//! The layering as data: which module may name which, and what the core may not name.

/// A module at the top of `src/` and the ones it may name.
pub struct Room {
    pub name: &'static str,
    /// True where only plain functions of (state, event, now) live: no runtime, no network, no clock, no file.
    pub core: bool,
    may_use: &'static [&'static str],
}

impl Room {
    pub fn find(name: &str) -> Option<&'static Self> {
        ROOMS.iter().find(|room| room.name == name)
    }

    pub fn may_use(&self, used: &Self) -> bool {
        let allowed = |&name: &&str| name == used.name || (name == CORE && used.core);
        used.name == self.name || self.may_use.iter().any(allowed)
    }
}

const fn core(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, core: true, may_use }
}

const fn shell(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, core: false, may_use }
}

/// Stands for every core module.
const CORE: &str = "(core)";

/// The modules in the order of the data's way, which is the order of the layout in `src/lib.rs` too. A module may name
/// those in its row; rooms that are not built yet are kept.
pub const ROOMS: &[Room] = &[
    shell("proto", &[]),
    core("model", &[]),
    core("access", &["model"]),
    core("limit", &["model"]),
    core("live", &["model", "limit"]),
    core("livekit", &["model", "access", "limit", "live"]),
    core("rollup", &["model", "limit", "live"]),
    core("history", &["model", "limit", "rollup"]),
    core("route", &["model", "limit", "live"]),
    core("alert", &["model", "limit", "rollup", "history"]),
    core("foresee", &["model", "limit", "rollup", "history"]),
    core("sim", &["model"]),
    shell("error", &["model"]),
    shell("config", &["model", "access", "alert", "livekit", "error"]),
    shell("telemetry", &["error", "config"]),
    shell("store", &[CORE, "error", "config"]),
    shell("service", &[CORE, "error", "config", "store"]),
    shell("query", &[CORE, "error", "store", "service"]),
    shell("livekit_lists", &[CORE, "error", "config", "store", "service"]),
    shell("notify", &[CORE, "error", "config", "store", "service", "query"]),
    shell("metrics", &[CORE, "error", "config", "service"]),
    shell("import", &[CORE, "error", "config", "store", "service", "query"]),
    shell("api", &[CORE, "proto", "error", "config", "telemetry", "store", "service", "query", "notify"]),
    shell("http", &[CORE, "proto", "error", "config", "telemetry", "store", "service", "query", "metrics", "api"]),
    shell(
        "app",
        &[
            CORE,
            "proto",
            "error",
            "config",
            "telemetry",
            "store",
            "service",
            "livekit_lists",
            "notify",
            "query",
            "api",
            "http",
        ],
    ),
    shell("client", &[CORE, "proto", "error"]),
    shell("demo", &[CORE, "proto", "error", "config", "store", "service", "import", "app", "client"]),
    shell(
        "cli",
        &[
            CORE,
            "proto",
            "error",
            "config",
            "telemetry",
            "store",
            "service",
            "query",
            "import",
            "api",
            "http",
            "app",
            "client",
            "demo",
        ],
    ),
    shell("main", &["error", "config", "telemetry", "app", "cli"]),
];

/// What the core may not name, and where it belongs.
pub const NOT_IN_CORE: &[(&str, &str)] = &[
    ("tokio", "tasks and channels belong to app.rs"),
    ("tonic", "gRPC belongs to api/"),
    ("axum", "HTTP belongs to http/"),
    ("redb", "the embedded store belongs to store/"),
    ("redis", "the store in Redis belongs to store/"),
    ("std::fs", "files belong to store/, import and cli/"),
    ("std::net", "sockets belong to app.rs"),
    ("std::env", "the environment belongs to config.rs"),
    ("SystemTime", "take `now` as an argument"),
    ("Instant::now", "take `now` as an argument"),
    ("Timestamp::now", "take `now` as an argument"),
    ("println!", "return what is to be said; cli/ prints it"),
    ("eprintln!", "return what is to be said; cli/ prints it"),
];
