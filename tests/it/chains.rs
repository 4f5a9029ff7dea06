//! Chains and what is said by hand of their models, over gRPC: set, kept, ended, refused, and what a failure would ask.

mod kept;
mod program;
mod wrong;

use highwater::{
    client::Known,
    proto::{
        Chain, DeleteChainRequest, EndOverrideRequest, ListChainsRequest, Meter, Override, SetChainRequest,
        SetChainResponse, SetOverrideRequest, chain_service_client::ChainServiceClient, r#override::Action,
    },
    service::Clock,
};
use tonic::Status;

use crate::{
    access::bearer,
    serving::{MODEL, Serving},
};

type Client = ChainServiceClient<Known>;

const TTS: i32 = 3;
const TURBO: &str = "elevenlabs/eleven_turbo_v2_5";
const RIME: &str = "rime/coda";

/// A client; where nobody needs a key, one without.
async fn client(serving: &Serving, token: &str) -> Client {
    let bearer = if token.is_empty() { highwater::client::Bearer(None) } else { bearer(token) };
    ChainServiceClient::with_interceptor(serving.channel().await, bearer)
}

/// As people write it: no kind, no unit.
fn model(model: &str) -> Meter {
    Meter { model: model.to_owned(), ..Meter::default() }
}

fn chain(name: &str, models: &[&str]) -> SetChainRequest {
    let models = models.iter().map(|of| model(of)).collect();
    SetChainRequest { name: name.to_owned(), kind: TTS, models, reason: "the launch".to_owned(), ..Default::default() }
}

/// Turbo first, then Sonic.
fn agents() -> SetChainRequest {
    chain("agents", &[TURBO, MODEL])
}

fn say(action: Action, of: &str) -> SetOverrideRequest {
    let seconds = (Clock::wall().0 / 1_000_000) as i64 + 3_600;
    SetOverrideRequest {
        chain: "agents".to_owned(),
        model: Some(model(of)),
        action: action as i32,
        end_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        reason: "the voice crackles".to_owned(),
        ..Default::default()
    }
}

async fn set(client: &mut Client, request: SetChainRequest) -> Result<SetChainResponse, Status> {
    Ok(client.set_chain(request).await?.into_inner())
}

async fn delete(client: &mut Client, name: &str) -> Result<Chain, Status> {
    let request = DeleteChainRequest { name: name.to_owned(), reason: "over".to_owned(), ..Default::default() };
    Ok(client.delete_chain(request).await?.into_inner().chain.unwrap())
}

async fn said(client: &mut Client, request: SetOverrideRequest) -> Result<Override, Status> {
    Ok(client.set_override(request).await?.into_inner().r#override.unwrap())
}

async fn end(client: &mut Client, of: &str) -> Result<Override, Status> {
    let request = EndOverrideRequest {
        chain: "agents".to_owned(),
        model: Some(model(of)),
        reason: "it sounds well again".to_owned(),
        ..Default::default()
    };
    Ok(client.end_override(request).await?.into_inner().r#override.unwrap())
}

async fn list(client: &mut Client) -> Vec<Chain> {
    client.list_chains(ListChainsRequest::default()).await.unwrap().into_inner().chains
}

/// The models, as they are counted.
fn models(chain: &Chain) -> Vec<&str> {
    chain.models.iter().map(|model| &*model.model).collect()
}

/// What is said of the models of a chain: model and action.
fn words(said: &[Override]) -> Vec<(&str, Action)> {
    said.iter().map(|said| (&*said.model.as_ref().unwrap().model, said.action())).collect()
}
