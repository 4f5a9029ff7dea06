//! Keys, projects and the audit log, over gRPC.
//!
//! - [`check`]: what requests say.
//! - [`view`]: answers as messages.

pub mod check;
pub mod view;

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use crate::{
    access::{AuditRow, KeyRecord, Secret, audit::Verifier},
    api::{
        aside::Aside,
        auth::{Caller, note_forbidden},
        convert,
        pages::Page,
    },
    error::Error,
    proto::{
        self, AdminServiceListProjectsRequest, AdminServiceListProjectsResponse, CreateApiKeyRequest,
        CreateApiKeyResponse, CreateProjectRequest, CreateProjectResponse, DeleteProjectRequest, DeleteProjectResponse,
        GetApiKeyRequest, GetApiKeyResponse, GetCallerRequest, GetCallerResponse, ListApiKeysRequest,
        ListApiKeysResponse, ListAuditRowsRequest, ListAuditRowsResponse, ListProviderPoolsRequest,
        ListProviderPoolsResponse, RegisterLiveKitKeyRequest, RegisterLiveKitKeyResponse, RevokeApiKeyRequest,
        RevokeApiKeyResponse, RotateApiKeyRequest, RotateApiKeyResponse, UpdateApiKeyRequest, UpdateApiKeyResponse,
        VerifyAuditRequest, VerifyAuditResponse, admin_service_server::AdminService,
    },
    service::{Clock, Service},
    store::{Store, StoreError},
};

const DEFAULT_KEYS: usize = 100;
const DEFAULT_PROJECTS: usize = 100;
const DEFAULT_ROWS: usize = 100;
const DEFAULT_POOLS: usize = 100;
/// How long the answer to a deletion waits for it; it goes on after that, too.
const DELETED_WITHIN: Duration = Duration::from_secs(10);
/// Audit rows that are read at once.
const ROWS_A_READ: u64 = 1_000;
/// Reads for one page of the rows of one project among those of others.
const MOST_READS: usize = 10;

/// The admin service.
#[derive(Clone, Debug)]
pub struct Admin {
    aside: Aside,
}

impl Admin {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }

    fn service(&self) -> &Arc<Service> {
        self.aside.queries.service()
    }

    fn key(&self, record: &KeyRecord) -> proto::ApiKey {
        view::api_key(&self.service().access, record)
    }

    /// What comes of a look at a request; the audit log is told when its caller may not.
    fn looked<T>(&self, caller: &Caller, call: &str, looked: Result<T, Error>) -> Result<T, Error> {
        looked.inspect_err(|error| note_forbidden(self.service(), caller, call, error))
    }

    /// # Errors
    /// Where keys would end with the process: what is made must hold.
    fn keeps_keys(&self) -> Result<(), Error> {
        let service = self.service();
        match service.config.dev && service.access.is_ephemeral() {
            false => Ok(()),
            true => Err(Error::OutOfOrder(
                "the service runs with --dev and has no key file: start it without, or name one with --access-key-file"
                    .into(),
            )),
        }
    }
}

/// Whether a caller may know of a key, and decide on it.
fn manages(caller: &Caller) -> impl Fn(&KeyRecord) -> bool + '_ {
    move |record| caller.is_operator() || (record.project == *caller.project() && caller.role().may_manage(record.role))
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_caller(&self, request: Request<GetCallerRequest>) -> Result<Response<GetCallerResponse>, Status> {
        let caller = Caller::of(&request)?;
        let pass = caller.pass();
        let record = pass.and_then(|pass| self.service().access.record(pass.id()));
        Ok(Response::new(GetCallerResponse {
            key_id: pass.map(|pass| pass.id().to_owned()).unwrap_or_default(),
            display_name: record.map(|record| record.name).unwrap_or_default(),
            role: caller.role() as i32,
            project: caller.project().to_string(),
            expire_time: pass.and_then(|pass| pass.until()).map(convert::to_timestamp),
        }))
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let new = self.looked(&caller, "CreateApiKey", check::new_key(request, &caller))?;
        self.keeps_keys()?;
        let made =
            self.aside.run(move |queries| queries.service().access.create_key(new, &caller.actor(), Clock::wall()));
        let (record, token) = made.await?;
        let api_key = Some(self.key(&record));
        Ok(Response::new(CreateApiKeyResponse { api_key, token: token.expose().clone() }))
    }

    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        self.looked(&caller, "ListApiKeys", check::all_projects(request.all_projects, &caller))?;
        let page = Page::take("api keys", DEFAULT_KEYS, &mut request)?;
        let now = Clock::wall();
        let mut records = self.service().access.records();
        records.retain(|record| {
            let ended = record.revoked.is_some() || record.expires.is_some_and(|expires| expires <= now);
            (request.all_projects || record.project.as_str() == request.project)
                && (request.show_ended || !ended)
                && manages(&caller)(record)
        });
        let after = |record: &&KeyRecord| page.after.as_ref().is_none_or(|after| record.id.as_bytes() > &after[..]);
        let (records, last) = page.cut(records.iter().filter(after));
        Ok(Response::new(ListApiKeysResponse {
            next_page_token: last.map(|last| page.token(last.id.as_bytes())).unwrap_or_default(),
            api_keys: records.into_iter().map(|record| self.key(record)).collect(),
        }))
    }

    async fn get_api_key(&self, request: Request<GetApiKeyRequest>) -> Result<Response<GetApiKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = request.into_inner().id;
        check::id(&id)?;
        let record = self.service().access.record(&id).filter(manages(&caller));
        let record = record.ok_or(Error::NotFound { what: "key", name: id })?;
        Ok(Response::new(GetApiKeyResponse { api_key: Some(self.key(&record)) }))
    }

    async fn update_api_key(
        &self,
        request: Request<UpdateApiKeyRequest>,
    ) -> Result<Response<UpdateApiKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, name, expires) = check::update(request.into_inner())?;
        let record = self.aside.run(move |queries| {
            let (scope, actor) = (manages(&caller), caller.actor());
            queries.service().access.update_key(&id, name, expires, (&scope, &actor), Clock::wall())
        });
        Ok(Response::new(UpdateApiKeyResponse { api_key: Some(self.key(&record.await?)) }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<RevokeApiKeyRequest>,
    ) -> Result<Response<RevokeApiKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let id = request.into_inner().id;
        check::id(&id)?;
        let record = self.aside.run(move |queries| {
            queries.service().access.revoke_key(&id, &manages(&caller), &caller.actor(), Clock::wall())
        });
        Ok(Response::new(RevokeApiKeyResponse { api_key: Some(self.key(&record.await?)) }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<RotateApiKeyRequest>,
    ) -> Result<Response<RotateApiKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (id, overlap) = check::rotation(request.into_inner())?;
        self.keeps_keys()?;
        let rotated = self.aside.run(move |queries| {
            let (scope, actor) = (manages(&caller), caller.actor());
            queries.service().access.rotate_key(&id, overlap, (&scope, &actor), Clock::wall())
        });
        let (old, new, token) = rotated.await?;
        Ok(Response::new(RotateApiKeyResponse {
            api_key: Some(self.key(&new)),
            token: token.expose().clone(),
            replaced: Some(self.key(&old)),
        }))
    }

    async fn register_live_kit_key(
        &self,
        request: Request<RegisterLiveKitKeyRequest>,
    ) -> Result<Response<RegisterLiveKitKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        let secret = Secret::new(std::mem::take(&mut request.secret).into_bytes());
        caller.scope(&mut request.project)?;
        let (api_key, new) = check::livekit_key(request)?;
        self.keeps_keys()?;
        let record = self.aside.run(move |queries| {
            queries.service().access.register_livekit(&api_key, secret, new, &caller.actor(), Clock::wall())
        });
        Ok(Response::new(RegisterLiveKitKeyResponse { api_key: Some(self.key(&record.await?)) }))
    }

    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<CreateProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let project = check::project(&request.into_inner().project)?;
        let made = self.aside.run(move |queries| {
            let service = queries.service();
            let record = service.create_project(&project, &caller.actor(), service.clock.now())?;
            Ok(view::project(service, &record.project.clone(), Some(&record), Clock::wall()))
        });
        Ok(Response::new(CreateProjectResponse { project: Some(made.await?) }))
    }

    async fn list_projects(
        &self,
        request: Request<AdminServiceListProjectsRequest>,
    ) -> Result<Response<AdminServiceListProjectsResponse>, Status> {
        let page = Page::take("admin projects", DEFAULT_PROJECTS, &mut request.into_inner())?;
        let listed = self.aside.run(move |queries| {
            let service = queries.service();
            let (made, seen) = (service.project_records()?, queries.projects());
            let after = |project: &&crate::model::Project| {
                page.after.as_ref().is_none_or(|after| project.as_str().as_bytes() > &after[..])
            };
            let (projects, last) = page.cut(seen.iter().filter(after));
            let of = |project: &crate::model::Project| made.iter().find(|record| record.project == *project);
            let view = |project| view::project(service, project, of(project), Clock::wall());
            let next_page_token = last.map(|last| page.token(last.as_str().as_bytes())).unwrap_or_default();
            Ok(AdminServiceListProjectsResponse { projects: projects.into_iter().map(view).collect(), next_page_token })
        });
        Ok(Response::new(listed.await?))
    }

    async fn delete_project(
        &self,
        request: Request<DeleteProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let caller = Caller::of(&request)?;
        let project = check::project(&request.into_inner().project)?;
        let deleted = self.aside.run(move |queries| {
            let service = queries.service();
            let (api_keys, told) = service.delete_project(&project, &caller.actor(), service.clock.now())?;
            let forgotten = told.recv_timeout(DELETED_WITHIN);
            let forgotten = forgotten.map_err(|_| Error::Store { detail: format!("{project} is not deleted yet") })?;
            Ok(DeleteProjectResponse {
                api_keys: u32::try_from(api_keys).unwrap_or(u32::MAX),
                keys: u32::try_from(forgotten.keys).unwrap_or(u32::MAX),
                hours: forgotten.hours,
            })
        });
        Ok(Response::new(deleted.await?))
    }

    async fn list_audit_rows(
        &self,
        request: Request<ListAuditRowsRequest>,
    ) -> Result<Response<ListAuditRowsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        self.looked(&caller, "ListAuditRows", check::all_projects(request.all_projects, &caller))?;
        let page = Page::take("audit", DEFAULT_ROWS, &mut request)?;
        let before = page.place_of()?.map(u64::from_be_bytes);
        let listed = self.aside.run(move |queries| {
            let is_asked = |row: &AuditRow| request.all_projects || row.entry.project == request.project;
            let (rows, next) = newest_rows(&*queries.service().store, before, page.size, is_asked)?;
            let next_page_token = next.map(|next| page.token(&next.to_be_bytes())).unwrap_or_default();
            let rows = rows.iter().map(|row| view::audit_row(&queries.service().access, row)).collect();
            Ok(ListAuditRowsResponse { rows, next_page_token })
        });
        Ok(Response::new(listed.await?))
    }

    async fn list_provider_pools(
        &self,
        request: Request<ListProviderPoolsRequest>,
    ) -> Result<Response<ListProviderPoolsResponse>, Status> {
        let page = Page::take("provider pools", DEFAULT_POOLS, &mut request.into_inner())?;
        let after = page.after.as_deref().map(check::model_place).transpose()?;
        let now = self.service().clock.now();
        let listed = self.aside.run(move |queries| {
            let (pools, more) = queries.provider_pools(after.as_ref(), page.size, now)?;
            let last = pools.last().filter(|_| more).map(|last| page.token(&check::model_place_bytes(&last.meter)));
            let pools = pools.iter().map(view::provider_pool).collect();
            Ok(ListProviderPoolsResponse { pools, next_page_token: last.unwrap_or_default() })
        });
        Ok(Response::new(listed.await?))
    }

    async fn verify_audit(&self, _: Request<VerifyAuditRequest>) -> Result<Response<VerifyAuditResponse>, Status> {
        let verified = self.aside.run(|queries| Ok(verify(&*queries.service().store)?));
        Ok(Response::new(verified.await?))
    }
}

/// The newest rows before a number that are asked for, and where to go on.
fn newest_rows(
    store: &dyn Store,
    before: Option<u64>,
    most: usize,
    is_asked: impl Fn(&AuditRow) -> bool,
) -> Result<(Vec<AuditRow>, Option<u64>), StoreError> {
    let end = store.audit_end()?;
    let mut end = before.map_or(end, |before| before.min(end));
    let mut found = Vec::new();
    for _ in 0..MOST_READS {
        let start = end.saturating_sub(ROWS_A_READ);
        let rows = store.audit(start..end, ROWS_A_READ as usize)?;
        let Some((oldest, _)) = rows.first() else { return Ok((found, None)) };
        let oldest = *oldest;
        for (number, bytes) in rows.iter().rev() {
            let row = AuditRow::decode(bytes)
                .ok_or_else(|| StoreError::Damaged(format!("audit row {number} can't be read")))?;
            if is_asked(&row) {
                found.push(row);
            }
            if found.len() == most {
                return Ok((found, (*number > 0).then_some(*number)));
            }
        }
        if oldest == 0 {
            return Ok((found, None));
        }
        end = oldest;
    }
    Ok((found, Some(end)))
}

/// Follows the chain through all rows.
///
/// # Errors
/// When the store does not answer.
pub fn verify(store: &dyn Store) -> Result<VerifyAuditResponse, StoreError> {
    let end = store.audit_end()?;
    let (mut verifier, mut next, mut problem) = (Verifier::default(), 0, String::new());
    while next < end && problem.is_empty() {
        let rows = store.audit(next..end, ROWS_A_READ as usize)?;
        if rows.is_empty() {
            break;
        }
        for (number, bytes) in rows {
            if let Err(wrong) = verifier.take(number, &bytes) {
                problem = wrong;
                break;
            }
            next = number + 1;
        }
    }
    if problem.is_empty() && next != end {
        problem = format!("the log ends with row {end}, and the last rows are missing");
    }
    let (head_seq, head_hash) = verifier.head().unwrap_or_default();
    let head_hash = if verifier.rows > 0 { head_hash.to_string() } else { String::new() };
    Ok(proto::VerifyAuditResponse { rows: verifier.rows, problem, head_seq, head_hash })
}
