//! Every metric and every label that there is. A name is written here and nowhere else (`tests/tidy.rs`); what each is for
//! is in `docs/metrics.md`, which a test compares with this list.

use prometheus::proto::MetricType;

/// Defines the metrics: type, name, help.
macro_rules! metrics {
    ($($variant:ident $form:ident $name:literal $help:literal)+) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Name { $($variant),+ }

        impl Name {
            /// Every metric, in the order of the page.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }

            pub const fn form(self) -> MetricType {
                match self { $(Self::$variant => MetricType::$form),+ }
            }
        }
    };
}

metrics! {
    SessionsActive GAUGE "highwater_sessions_active"
        "Slots of a meter that are held now. No sample where nobody knows, nor while the service settles."
    SessionsPeak GAUGE "highwater_sessions_peak"
        "Highest level of a meter in the last two fixed windows of 15 s and the second in progress; exact."
    SessionsLimit GAUGE "highwater_sessions_limit"
        "Slots that the limit in force allows a meter. No sample without a limit."
    SessionsCoverage GAUGE "highwater_sessions_coverage"
        "How the level of a meter is known: 1 in full, 0.5 in part, 0 not at all."
    SessionsOpened COUNTER "highwater_sessions_opened_total"
        "Sessions of a meter that were opened since the process started."
    SessionsClosed COUNTER "highwater_sessions_closed_total"
        "Sessions of a meter that ended since the process started, by outcome."

    SessionsRefused COUNTER "highwater_sessions_refused_total"
        "Callers that asked a meter for a slot and were turned away since the process started: unmet demand."
    SessionsDiverted COUNTER "highwater_sessions_diverted_total"
        "Callers that asked a meter for a slot and were given one of another since the process started: unmet demand."
    ProviderUp GAUGE "highwater_provider_up"
        "How the provider of a meter's model does by the outcomes of its sessions: 1 well, 0.5 it is tried again, 0 it is down."
    LearnedCeiling GAUGE "highwater_sessions_learned_ceiling"
        "Slots that the provider of a meter's model seems to allow. No sample where that is not less than the limit."

    KindPoolActive GAUGE "highwater_kind_pool_sessions_active"
        "Slots of a kind and account in a project that are held now. No sample where nobody knows."
    KindPoolPeak GAUGE "highwater_kind_pool_sessions_peak"
        "Highest level of a kind and account in a project, over the same windows; exact, not a sum of peaks."
    KindPoolLimit GAUGE "highwater_kind_pool_sessions_limit"
        "Slots that the limit in force allows a kind and account in a project."
    KindPoolCoverage GAUGE "highwater_kind_pool_sessions_coverage"
        "How the level of a kind and account in a project is known: 1, 0.5 or 0."

    ModelPoolActive GAUGE "highwater_model_pool_sessions_active"
        "Slots of a model across all projects that are held now. No sample where nobody knows."
    ModelPoolPeak GAUGE "highwater_model_pool_sessions_peak"
        "Highest level of a model across all projects, over the same windows; exact, not a sum of peaks."
    ModelPoolLimit GAUGE "highwater_model_pool_sessions_limit"
        "Slots that the limit in force allows a model across all projects."
    ModelPoolCoverage GAUGE "highwater_model_pool_sessions_coverage"
        "How the level of a model across all projects is known: 1, 0.5 or 0."

    Meters GAUGE "highwater_meters"
        "Meters that were ever reported, those of no use any more included."
    Workers GAUGE "highwater_workers"
        "Workers that hold a book now, by how they are heard."
    Waiting GAUGE "highwater_waiting"
        "Callers that wait for a slot now, of all projects."
    RoutesVersions COUNTER "highwater_routes_versions_total"
        "Versions of routes that were made since the process started, of all projects."
    Connections GAUGE "highwater_connections"
        "Connections that are open now."

    TurnedAway COUNTER "highwater_turned_away_total"
        "Connections, calls and reports that were turned away or held back so that others are served well, by reason."

    IngestStreams COUNTER "highwater_ingest_streams_total"
        "Streams of workers that were taken after their hello."
    IngestBatches COUNTER "highwater_ingest_batches_total"
        "Batches, snapshots and unary reports that were applied, by form."
    IngestEvents COUNTER "highwater_ingest_events_total"
        "Events that were applied: those that changed something, and those that repeated what was known."
    IngestLateEvents COUNTER "highwater_ingest_late_events_total"
        "Late events: taken into seconds that had passed, or dropped by history because they were too late for it."
    IngestRefused COUNTER "highwater_ingest_refused_total"
        "Reports that were refused because a bound was reached, by the bound."
    IngestSnapshotsAsked COUNTER "highwater_ingest_snapshots_asked_total"
        "How often a worker was asked for all that it holds, by reason."

    DurableAge GAUGE "highwater_durable_age_seconds"
        "Age of the last second whose history is durable; since the start while none is."
    FramesWaiting GAUGE "highwater_frames_waiting"
        "Frames (seconds of history) that the store has not taken yet."
    FramesDropped COUNTER "highwater_frames_dropped_total"
        "Frames that were dropped because the store did not take them in time: gaps of history."
    RollupOpen GAUGE "highwater_rollup_open_seconds"
        "Seconds of history since the beginning of the oldest hour that is not folded yet."
    StoreUp GAUGE "highwater_store_up"
        "1 when the last write to the store was done, 0 when it failed."
    StoreCommit SUMMARY "highwater_store_commit_seconds"
        "Time that commits to the store took, and how many there were."
    StoreErrors COUNTER "highwater_store_errors_total"
        "Seconds in which the store failed."
    Settling GAUGE "highwater_settling"
        "1 while the service learns after a restart what its workers hold."
    Degraded GAUGE "highwater_degraded"
        "1 where something is wrong with a part of the service, as /readyz says in words."
    Warnings GAUGE "highwater_warnings"
        "Parts of the service that do their work and want looking after, as /readyz says in words."
    LiveKitLists COUNTER "highwater_livekit_lists_total"
        "Times that LiveKit's lists were read, all of them or not."
    LiveKitEvents COUNTER "highwater_livekit_events_total"
        "LiveKit's webhooks, by what came of them."
    LiveKitDisagreements COUNTER "highwater_livekit_disagreements_total"
        "Connections that LiveKit's lists put right, since the event was lost that told of their beginning or end."
    AlertsFiring GAUGE "highwater_alerts_firing"
        "Alerts that fire now."
    AlertsTotal COUNTER "highwater_alerts_total"
        "Alerts that began to fire, or got worse, and that ended, by result."
    NoticesTotal COUNTER "highwater_notices_total"
        "Tries to deliver a message of alerts, by result."
    NoticesWaiting GAUGE "highwater_notices_waiting"
        "Notices of alerts that are not delivered yet, for one recipient each."
    OutboxOldest GAUGE "highwater_outbox_oldest_seconds"
        "Age of the oldest notice that was to be delivered by now and is not, while nobody else is told; 0 without one."
    AuditDrift GAUGE "highwater_audit_drift"
        "Levels that the last audit found to differ from the records they stand for. Must be 0."
    Simulation GAUGE "highwater_simulation"
        "1 where everything shown is a simulation."
    BuildInfo GAUGE "highwater_build_info"
        "1, with the version of the service."

    ProcessCpu COUNTER "process_cpu_seconds_total"
        "User and system CPU time spent."
    ProcessMemory GAUGE "process_resident_memory_bytes"
        "Resident memory."
    ProcessVirtualMemory GAUGE "process_virtual_memory_bytes"
        "Virtual memory."
    ProcessOpenFiles GAUGE "process_open_fds"
        "Open file descriptors."
    ProcessMaxFiles GAUGE "process_max_fds"
        "Most file descriptors that may be open."
    ProcessThreads GAUGE "process_threads"
        "Threads."
    ProcessStart GAUGE "process_start_time_seconds"
        "Start of the process since the Unix epoch."

    SeriesDropped COUNTER "highwater_series_dropped_total"
        "Series that found no place within the bounds: meters are counted under model __other__ instead, pools are left out."
    Series GAUGE "highwater_series"
        "Series of this page."
}

/// A label. There is none for a session, a worker, a room or a job, and there must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Project,
    Kind,
    Model,
    /// Where it is not the gateway's.
    Account,
    /// Where it is not `stream`.
    Unit,
    Outcome,
    Link,
    Form,
    Result,
    Bound,
    Reason,
    Part,
    Version,
}

impl Label {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Kind => "kind",
            Self::Model => "model",
            Self::Account => "account",
            Self::Unit => "unit",
            Self::Outcome => "outcome",
            Self::Link => "link",
            Self::Form => "form",
            Self::Result => "result",
            Self::Bound => "bound",
            Self::Reason => "reason",
            Self::Part => "part",
            Self::Version => "version",
        }
    }
}
