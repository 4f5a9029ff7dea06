//! How commands reach a service, and what they say when they can't.

use std::{future::Future, path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::timeout;
use tonic::{Response, Status, transport::Channel};

use crate::{
    cli::error::CliError,
    client::{self, ClientError, ClientTls},
    proto::{limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient},
};

/// How long an answer may take: longer than any read should, shorter than a person waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pages of a list that are read at most: 1,000 pages of 1,000 are more than a service may hold.
pub const MAX_PAGES: usize = 1_000;
/// Most that a page may hold.
pub const PAGE_SIZE: i32 = 1_000;

/// Which service.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Address of the service
    #[arg(long, env = "HIGHWATER_SERVER", default_value = "http://127.0.0.1:7422", value_name = "URL", global = true)]
    pub server: String,
    /// PEM file of the certificates that vouch for the service, in place of those the machine trusts
    #[arg(long, env = "HIGHWATER_CA", value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown to the service
    #[arg(long, env = "HIGHWATER_CERT", value_name = "FILE", requires = "cert_key", global = true)]
    pub cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, env = "HIGHWATER_CERT_KEY", value_name = "FILE", requires = "cert", global = true)]
    pub cert_key: Option<PathBuf>,
}

/// Which service and project.
#[derive(Args, Clone, Debug)]
pub struct ProjectArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Project that it is about
    #[arg(long, env = "HIGHWATER_PROJECT", default_value = "default", value_name = "NAME", global = true)]
    pub project: String,
}

/// A way to a service.
#[derive(Clone, Debug)]
pub struct Server {
    pub url: String,
    tls: ClientTls,
    channel: Channel,
}

impl ServerArgs {
    /// Prepares the way; nothing is sent yet. Within a runtime only.
    ///
    /// # Errors
    /// When the address is not one, or a file can't be used.
    pub fn connect(&self) -> Result<Server, CliError> {
        let usage = |error: ClientError| CliError::Usage(error.to_string());
        let tls = ClientTls::read(self.ca.as_deref(), self.cert.as_deref(), self.cert_key.as_deref()).map_err(usage)?;
        let channel = client::channel_with(&self.server, &tls).map_err(usage)?;
        Ok(Server { url: self.server.clone(), tls, channel })
    }
}

impl Server {
    pub fn quotas(&self) -> QuotaServiceClient<Channel> {
        QuotaServiceClient::new(self.channel.clone())
    }

    pub fn limits(&self) -> LimitServiceClient<Channel> {
        LimitServiceClient::new(self.channel.clone())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Another connection to it, for a worker of its own.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn another(&self) -> Result<Channel, CliError> {
        client::channel_with(&self.url, &self.tls).map_err(|error| CliError::Usage(error.to_string()))
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// When the service can't be reached, does not answer in time, or refuses.
    pub async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CliError> {
        let late = |_| Status::deadline_exceeded("");
        let answer = timeout(ANSWER_TIMEOUT, call).await.map_err(late).flatten();
        answer.map(Response::into_inner).map_err(|status| CliError::from_status(&status, &self.url))
    }
}
