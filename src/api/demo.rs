//! What a demo can be made to do, over gRPC. Where there is no simulated fleet there is no such call.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    api::convert::to_timestamp,
    error::Error,
    proto::{
        FailProviderRequest, FailProviderResponse, GetMailRequest, GetMailResponse, InboxMail, KillWorkerRequest,
        KillWorkerResponse, ListMailsRequest, ListMailsResponse, StartBusyHourRequest, StartBusyHourResponse,
        demo_service_server::DemoService,
    },
    service::{Service, simulation::inbox::Letter},
};

/// The demo service.
#[derive(Clone, Debug)]
pub struct Demo {
    service: Arc<Service>,
}

impl Demo {
    pub fn new(service: Arc<Service>) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl DemoService for Demo {
    async fn start_busy_hour(
        &self,
        _: Request<StartBusyHourRequest>,
    ) -> Result<Response<StartBusyHourResponse>, Status> {
        let sentence = self.service.fleet.busy_hour().await?;
        Ok(Response::new(StartBusyHourResponse { sentence }))
    }

    async fn kill_worker(&self, _: Request<KillWorkerRequest>) -> Result<Response<KillWorkerResponse>, Status> {
        let killed = self.service.fleet.kill_worker().await?;
        let sessions = u32::try_from(killed.sessions).unwrap_or(u32::MAX);
        Ok(Response::new(KillWorkerResponse { worker_id: killed.worker, sessions, sentence: killed.sentence }))
    }

    async fn fail_provider(&self, _: Request<FailProviderRequest>) -> Result<Response<FailProviderResponse>, Status> {
        let sentence = self.service.fleet.fail_provider().await?;
        Ok(Response::new(FailProviderResponse { sentence }))
    }

    async fn list_mails(&self, _: Request<ListMailsRequest>) -> Result<Response<ListMailsResponse>, Status> {
        let letters = self.service.fleet.inbox()?.letters();
        Ok(Response::new(ListMailsResponse { mails: letters.iter().map(|letter| mail(letter)).collect() }))
    }

    async fn get_mail(&self, request: Request<GetMailRequest>) -> Result<Response<GetMailResponse>, Status> {
        let id = request.into_inner().mail_id;
        let not_found = || Error::NotFound { what: "mail", name: id.to_string() };
        let letter = self.service.fleet.inbox()?.letter(id).ok_or_else(not_found)?;
        let Letter { text, html, source, .. } = Letter::clone(&letter);
        Ok(Response::new(GetMailResponse { mail: Some(mail(&letter)), text, html, source }))
    }
}

fn mail(letter: &Letter) -> InboxMail {
    InboxMail {
        id: letter.id,
        receive_time: Some(to_timestamp(letter.at)),
        to: letter.to.clone(),
        subject: letter.subject.clone(),
        message_id: letter.message_id.clone(),
    }
}
