//! Answers of the admin service as messages.

use crate::{
    access::{AuditRow, KeyRecord, ProjectRecord},
    api::{
        convert::{to_target, to_timestamp},
        quota::view::{bound, moment, plus_one, risk},
    },
    model::{Bound, Project, Target, Time},
    proto,
    query::providers::ProviderPool,
    service::{Service, access::Access},
};

pub fn api_key(access: &Access, record: &KeyRecord) -> proto::ApiKey {
    api_key_by(record, |id, project| access.name_of(id, project))
}

/// The same, with the names that keys have in a project as they are given.
pub fn api_key_by(record: &KeyRecord, name_of: impl Fn(&str, &str) -> Option<String>) -> proto::ApiKey {
    proto::ApiKey {
        id: record.id.clone(),
        display_name: record.name.clone(),
        project: record.project.to_string(),
        role: record.role as i32,
        livekit: record.is_livekit(),
        create_time: Some(to_timestamp(record.created)),
        created_by: record.created_by.clone(),
        created_by_name: name_of(&record.created_by, record.project.as_str()).unwrap_or_default(),
        start_time: record.not_before.map(to_timestamp),
        expire_time: record.expires.map(to_timestamp),
        revoke_time: record.revoked.map(to_timestamp),
        last_use_time: record.last_used.map(to_timestamp),
        replaced_by: record.replaced_by.clone().unwrap_or_default(),
    }
}

/// A project as it is now; `made` is what is kept of it when somebody made it.
pub fn project(service: &Service, project: &Project, made: Option<&ProjectRecord>, now: Time) -> proto::Project {
    let is_good = |record: &&KeyRecord| {
        record.project == *project && record.revoked.is_none() && record.expires.is_none_or(|expires| now < expires)
    };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let name_of = |made: &ProjectRecord| service.access.name_of(&made.created_by, project.as_str());
    proto::Project {
        name: project.to_string(),
        create_time: made.map(|made| to_timestamp(made.created)),
        created_by: made.map(|made| made.created_by.clone()).unwrap_or_default(),
        created_by_name: made.and_then(name_of).unwrap_or_default(),
        key_count: count(service.live.registry.of_project(project).len()),
        api_key_count: count(service.access.records().iter().filter(is_good).count()),
    }
}

pub fn provider_pool(pool: &ProviderPool) -> proto::ProviderPool {
    let quota = pool.quota.as_ref();
    proto::ProviderPool {
        target: Some(to_target(&Target::ModelPool(pool.meter.clone()))),
        display_name: pool.name.clone(),
        level: quota.map_or(0, |quota| quota.level),
        contract_plus_one: plus_one(quota.and_then(|quota| quota.limit.as_ref()).and_then(|limit| limit.slots)),
        promised: pool.promised,
        projects: pool.projects,
        peak: quota.and_then(|quota| quota.peak).map(moment),
        peak_bound: bound(quota.map_or(Bound::Exact, |quota| quota.peak_bound)).into(),
        risk: risk(quota.and_then(|quota| quota.risk)).into(),
    }
}

pub fn audit_row(access: &Access, row: &AuditRow) -> proto::AuditRow {
    let entry = row.entry.clone();
    let actor_name = access.name_of(&entry.actor, &entry.project).unwrap_or_default();
    proto::AuditRow {
        seq: row.seq,
        time: Some(to_timestamp(row.time)),
        actor: entry.actor,
        actor_name,
        role: entry.role,
        address: entry.address,
        action: entry.action,
        project: entry.project,
        object: entry.object,
        before: entry.before,
        after: entry.after,
        request_id: entry.request_id,
        previous_hash: row.previous.to_string(),
        hash: row.hash.to_string(),
    }
}
