//! What a demo can be made to do, over gRPC. Where there is no simulated fleet there is no such call.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    proto::{
        KillWorkerRequest, KillWorkerResponse, StartBusyHourRequest, StartBusyHourResponse,
        demo_service_server::DemoService,
    },
    service::Service,
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
}
