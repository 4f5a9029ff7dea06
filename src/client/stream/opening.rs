//! How a stream begins: the hello and its answer.

use tonic::{Status, Streaming};

use crate::{
    client::{Shared, wire},
    proto::{AttachRequest, AttachResponse, Hello, Welcome, attach_response::Message},
};

/// The protocol's version.
const PROTOCOL_VERSION: u32 = 1;

pub fn hello(shared: &Shared) -> AttachRequest {
    let mut state = shared.state();
    state.attach_seq += 1;
    state.cut = false;
    let config = &shared.config;
    wire::hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        project: config.project.clone(),
        worker_id: config.worker_id.clone(),
        incarnation: config.incarnation.0.to_vec(),
        replaces: config.replaces.map(|replaced| replaced.0.to_vec()).unwrap_or_default(),
        attach_seq: state.attach_seq,
        client: config.program.clone(),
    })
}

/// Waits for the answer to the hello. That the lease had ended may be said before it; the snapshot follows anyway.
pub async fn welcome(incoming: &mut Streaming<AttachResponse>) -> Result<Welcome, Status> {
    loop {
        match incoming.message().await?.map(|response| response.message) {
            Some(Some(Message::Welcome(welcome))) => return Ok(welcome),
            Some(_) => {}
            None => return Err(Status::unavailable("the service ended the stream before its welcome")),
        }
    }
}
