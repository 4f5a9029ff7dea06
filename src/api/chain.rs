//! Chains, and what is said by hand of their models, over gRPC.

mod check;
mod view;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    api::{
        aside::Aside,
        auth::Caller,
        convert::{self, Checked},
        pages::{Page, not_given},
    },
    error::FieldProblem,
    model::{Chain, Project, chain::MOST_CHAINS, limit::MAX_REASON_BYTES},
    proto::{
        DeleteChainRequest, DeleteChainResponse, EndOverrideRequest, EndOverrideResponse, ListChainsRequest,
        ListChainsResponse, SetChainRequest, SetChainResponse, SetOverrideRequest, SetOverrideResponse,
        chain_service_server::ChainService,
    },
    service::Service,
};

/// The chain service.
#[derive(Clone, Debug)]
pub struct Chains {
    aside: Aside,
}

impl Chains {
    pub fn new(aside: Aside) -> Self {
        Self { aside }
    }

    fn service(&self) -> &Arc<Service> {
        self.aside.queries.service()
    }
}

#[tonic::async_trait]
impl ChainService for Chains {
    async fn list_chains(&self, request: Request<ListChainsRequest>) -> Result<Response<ListChainsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let page = Page::take("chains", MOST_CHAINS, &mut request)?;
        let after = page.after.clone().map(|place| String::from_utf8(place).map_err(|_| not_given())).transpose()?;
        let project = convert::project(&request.project)?;
        self.aside.queries.seen(&project)?;
        let listed = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let of_project = service.chains.of(&project);
            let is_after = |name: &str| after.as_ref().is_none_or(|after| name > after.as_str());
            let (chains, last) = page.cut(of_project.chains.iter().filter(|chain| is_after(&chain.name)));
            let view = |chain: &Arc<Chain>| {
                let set = of_project.set_by(&chain.name);
                view::with_failures(queries, chain, &set, of_project.said_of(&chain.name), now)
            };
            let chains = chains.into_iter().map(view).collect::<Result<_, _>>()?;
            let next_page_token = last.map(|last| page.token(last.name.as_bytes())).unwrap_or_default();
            Ok(ListChainsResponse { chains, next_page_token })
        });
        Ok(Response::new(listed.await?))
    }

    async fn set_chain(&self, request: Request<SetChainRequest>) -> Result<Response<SetChainResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let project = one_project(&request.project)?;
        let chain = check::chain(&service.catalogue, &project, &request)?;
        let reason = reason(request.reason)?;
        let set = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let unknown_models = check::unknown_models(&chain, &service.catalogue);
            let set = service.set_chain(chain, reason, &caller.actor(), now)?;
            let of_project = service.chains.of(&project);
            let by = of_project.set_by(&set.chain.name);
            let before = set.before.as_ref();
            let said = of_project.said_of(&set.chain.name);
            Ok(SetChainResponse {
                chain: Some(view::with_failures(queries, &set.chain, &by, said, now)?),
                before: before.map(|(before, by)| view::chain(service, before, by, &set.said_before, now)),
                ended: set.ended.iter().map(|said| view::by_hand(service, &project, said)).collect(),
                unknown_models,
            })
        });
        Ok(Response::new(set.await?))
    }

    async fn delete_chain(
        &self,
        request: Request<DeleteChainRequest>,
    ) -> Result<Response<DeleteChainResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let project = one_project(&request.project)?;
        let name = check::name("name", request.name)?;
        let reason = reason(request.reason)?;
        let deleted = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let deleted = service.delete_chain((&project, &name), &reason, &caller.actor(), now)?;
            Ok(view::chain(service, &deleted.chain, &deleted.set, &deleted.ended, now))
        });
        Ok(Response::new(DeleteChainResponse { chain: Some(deleted.await?) }))
    }

    async fn set_override(
        &self,
        request: Request<SetOverrideRequest>,
    ) -> Result<Response<SetOverrideResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let service = self.service();
        let project = one_project(&request.project)?;
        let actor = caller.actor();
        let said = check::by_hand(service, &project, request, &actor, service.clock.now().wall)?;
        let said = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let (said, before) = service.say_by_hand(&project, said, &actor, now)?;
            Ok(SetOverrideResponse {
                r#override: Some(view::by_hand(service, &project, &said)),
                before: before.map(|before| view::by_hand(service, &project, &before)),
            })
        });
        Ok(Response::new(said.await?))
    }

    async fn end_override(
        &self,
        request: Request<EndOverrideRequest>,
    ) -> Result<Response<EndOverrideResponse>, Status> {
        let caller = Caller::of(&request)?;
        let mut request = request.into_inner();
        caller.scope(&mut request.project)?;
        let project = one_project(&request.project)?;
        let name = check::name("chain", request.chain)?;
        let model = check::model_of(self.service(), &project, &name, request.model.as_ref())?;
        let reason = reason(request.reason)?;
        let ended = self.aside.run(move |queries| {
            let (service, now) = (queries.service(), queries.service().clock.now());
            let ended = service.end_by_hand((&project, &name, &model), &reason, &caller.actor(), now)?;
            Ok(view::by_hand(service, &project, &ended))
        });
        Ok(Response::new(EndOverrideResponse { r#override: Some(ended.await?) }))
    }
}

/// The project whose chain it is.
fn one_project(name: &str) -> Checked<Project> {
    let project = convert::project(name)?;
    match project.is_across() {
        true => Err(FieldProblem::new("project", "`-` stands for all projects; a chain is of one")),
        false => Ok(project),
    }
}

fn reason(reason: String) -> Checked<String> {
    convert::text("reason", &reason, 0, MAX_REASON_BYTES)?;
    Ok(reason)
}
