//! Who may call what: a row for every call of every service. A call without one is not served, and a test holds the rows
//! against the contract, so that none is forgotten.

use crate::access::{
    Role::{Editor, Metrics, Operator, Viewer, Worker},
    Roles,
};

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anyone: a load balancer has no key, and is told no more than whether the service serves.
    Open,
    /// Who holds a credential of one of these roles.
    Roles(Roles),
}

const REPORT: Rule = Rule::Roles(Roles::of(&[Worker, Operator]));
const READ: Rule = Rule::Roles(Roles::of(&[Viewer, Editor, Operator]));
/// What new sessions use is for those who begin them and for those who look on.
const ROUTES: Rule = Rule::Roles(Roles::of(&[Worker, Viewer, Editor, Operator]));
const EDIT: Rule = Rule::Roles(Roles::of(&[Editor, Operator]));
const OPERATE: Rule = Rule::Roles(Roles::of(&[Operator]));
/// Of the caller alone, or of the contract: anyone who is known.
const KNOWN: Rule = Rule::Roles(Roles::of(&[Worker, Viewer, Editor, Operator, Metrics]));

/// Every call, by its path.
pub const TABLE: &[(&str, Rule)] = &[
    ("/highwater.v1.IngestService/Attach", REPORT),
    ("/highwater.v1.IngestService/Report", REPORT),
    ("/highwater.v1.IngestService/Heartbeat", REPORT),
    ("/highwater.v1.IngestService/Goodbye", REPORT),
    ("/highwater.v1.IngestService/Acquire", REPORT),
    ("/highwater.v1.IngestService/Release", REPORT),
    ("/highwater.v1.QuotaService/GetStatus", READ),
    ("/highwater.v1.QuotaService/ListProjects", READ),
    ("/highwater.v1.QuotaService/ListQuotas", READ),
    ("/highwater.v1.QuotaService/WatchQuotas", READ),
    ("/highwater.v1.QuotaService/GetHistory", READ),
    ("/highwater.v1.QuotaService/GetDistribution", READ),
    ("/highwater.v1.QuotaService/GetHeatMap", READ),
    ("/highwater.v1.QuotaService/ListAnnotations", READ),
    ("/highwater.v1.QuotaService/ListSessions", READ),
    ("/highwater.v1.QuotaService/ReleaseSession", EDIT),
    ("/highwater.v1.LimitService/ListLimits", READ),
    ("/highwater.v1.LimitService/SetLimit", EDIT),
    ("/highwater.v1.LimitService/EndLimit", EDIT),
    ("/highwater.v1.LimitService/SetEnforcement", EDIT),
    ("/highwater.v1.LimitService/ListEnforcement", READ),
    ("/highwater.v1.LimitService/ListPlans", READ),
    ("/highwater.v1.LimitService/ApplyPlan", EDIT),
    ("/highwater.v1.LimitService/ListCatalogue", READ),
    ("/highwater.v1.ForecastService/ProposeAssignment", READ),
    ("/highwater.v1.ChainService/ListChains", READ),
    ("/highwater.v1.ChainService/SetChain", EDIT),
    ("/highwater.v1.ChainService/DeleteChain", EDIT),
    ("/highwater.v1.ChainService/SetOverride", EDIT),
    ("/highwater.v1.ChainService/EndOverride", EDIT),
    ("/highwater.v1.RouteService/GetRoutes", ROUTES),
    ("/highwater.v1.RouteService/WatchRoutes", ROUTES),
    // Who reads a project may ask for more, and take back what they asked for.
    ("/highwater.v1.RequestService/CreateIncreaseRequest", READ),
    ("/highwater.v1.RequestService/ListIncreaseRequests", READ),
    ("/highwater.v1.RequestService/DecideIncreaseRequest", OPERATE),
    ("/highwater.v1.RequestService/WithdrawIncreaseRequest", READ),
    ("/highwater.v1.AlertService/ListAlerts", READ),
    ("/highwater.v1.AlertService/SnoozeAlert", EDIT),
    ("/highwater.v1.AlertService/AcknowledgeAlert", EDIT),
    ("/highwater.v1.AlertService/ListAlertRules", READ),
    ("/highwater.v1.AlertService/SetAlertRule", EDIT),
    ("/highwater.v1.AlertService/DeleteAlertRule", EDIT),
    ("/highwater.v1.AlertService/PreviewAlertRule", READ),
    // Whom a team calls at night is for those who may change it.
    ("/highwater.v1.AlertService/ListRecipients", EDIT),
    ("/highwater.v1.AlertService/SetRecipient", EDIT),
    ("/highwater.v1.AlertService/DeleteRecipient", EDIT),
    ("/highwater.v1.AlertService/SendTestMessage", EDIT),
    ("/highwater.v1.AdminService/GetCaller", KNOWN),
    ("/highwater.v1.AdminService/CreateApiKey", EDIT),
    ("/highwater.v1.AdminService/ListApiKeys", EDIT),
    ("/highwater.v1.AdminService/GetApiKey", EDIT),
    ("/highwater.v1.AdminService/UpdateApiKey", EDIT),
    ("/highwater.v1.AdminService/RevokeApiKey", EDIT),
    ("/highwater.v1.AdminService/RotateApiKey", EDIT),
    // LiveKit's key ids are one room for all projects: whoever may take one could try which are taken.
    ("/highwater.v1.AdminService/RegisterLiveKitKey", OPERATE),
    ("/highwater.v1.AdminService/CreateProject", OPERATE),
    ("/highwater.v1.AdminService/ListProjects", OPERATE),
    ("/highwater.v1.AdminService/DeleteProject", OPERATE),
    ("/highwater.v1.AdminService/ListAuditRows", EDIT),
    ("/highwater.v1.AdminService/VerifyAudit", OPERATE),
    ("/highwater.v1.AdminService/ListProviderPools", OPERATE),
    // Where there is no demo, nobody's.
    ("/highwater.v1.DemoService/StartBusyHour", READ),
    ("/highwater.v1.DemoService/KillWorker", READ),
    ("/highwater.v1.DemoService/FailProvider", READ),
    ("/highwater.v1.DemoService/ListMails", READ),
    ("/highwater.v1.DemoService/GetMail", READ),
    ("/grpc.health.v1.Health/Check", Rule::Open),
    ("/grpc.health.v1.Health/Watch", Rule::Open),
    // The contract is public, but a stream is work: it is for those who are known.
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", KNOWN),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", KNOWN),
];

/// Who may make the call of this path; `None` when it is not served.
pub fn rule(path: &str) -> Option<Rule> {
    TABLE.iter().find(|(row, _)| *row == path).map(|(_, rule)| *rule)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::proto;

    #[test]
    fn every_call_of_the_contract_has_a_row_and_every_row_a_call() {
        let sets = [proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let reflection =
            [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET];
        let mut calls = BTreeSet::new();
        for set in sets.into_iter().chain(reflection) {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    let of = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                    calls.extend(service.method.iter().map(|method| of(method.name())));
                }
            }
        }
        let rows: BTreeSet<_> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(rows, calls);
        assert_eq!(rows.len(), TABLE.len(), "no call has two rows");
        assert_eq!(rule("/highwater.v1.AdminService/Nothing"), None);
    }
}
