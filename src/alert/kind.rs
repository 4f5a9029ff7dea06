//! What alerts are of, how bad they are, and what is told of them.

use crate::model::kind::spelled;

spelled! {
    /// What an alert is of. The numbers are those of the contract, and stored.
    AlertKind, "alert" {
        /// A level is at 80 % of its limit, or what its rule says.
        Approaching = 1 "approaching",
        AtLimit = 2 "at-limit",
        Over = 3 "over",
        /// Nothing is known of a level that was known.
        WorkersSilent = 4 "workers-silent",
        StoreDegraded = 5 "store-degraded",
        /// A level differs from the records that it stands for.
        AuditDrift = 6 "audit-drift",
        /// LiveKit's lists and what its webhooks told differ.
        WebhooksDisagree = 7 "webhooks-disagree",
        /// Callers that ask for a slot are turned away.
        Refused = 8 "refused",
        /// New sessions of a chain go to a fallback.
        FallbackInUse = 9 "fallback-in-use",
        /// By the outcomes of sessions.
        ProviderDown = 10 "provider-down",
        /// A provider refuses sessions for their number, below our limit.
        ProviderDisagrees = 11 "provider-disagrees",
    }
}

spelled! {
    /// How bad it is. The numbers are those of the contract, and stored.
    Severity, "severity" {
        Info = 1 "info",
        Warning = 2 "warning",
        /// Goes through quiet hours.
        Critical = 3 "critical",
    }
}

spelled! {
    /// What is told of an alert. The numbers are those of the contract, and stored.
    NoticeKind, "notice" {
        Fired = 1 "fired",
        /// It fires still, and it is time to say so again.
        Repeated = 2 "repeated",
        Resolved = 3 "resolved",
        /// It had resolved before anybody was told that it fired.
        FiredAndResolved = 4 "fired-and-resolved",
        /// Somebody asked whether mails arrive.
        Test = 5 "test",
    }
}

impl AlertKind {
    /// Whether it is of the level of a meter or pool under its limit.
    pub const fn is_of_level(self) -> bool {
        matches!(self, Self::Approaching | Self::AtLimit | Self::Over)
    }

    /// Whether it is of the service, and not of a meter or pool.
    pub const fn is_of_service(self) -> bool {
        matches!(self, Self::StoreDegraded | Self::AuditDrift | Self::WebhooksDisagree)
    }

    /// Whether it is of the way that sessions of a model go.
    pub const fn is_of_way(self) -> bool {
        matches!(self, Self::Refused | Self::FallbackInUse | Self::ProviderDown | Self::ProviderDisagrees)
    }
}
