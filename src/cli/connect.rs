//! How commands reach a service, and what they say when they can't.

use std::{future::Future, path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::timeout;
use tonic::{Response, Status, transport::Channel};

use crate::{
    access::Secret,
    cli::error::CliError,
    client::{self, Bearer, ClientError, ClientTls, Credential, Known},
    model::key::DEFAULT_PROJECT,
    proto::{
        GetCallerRequest, admin_service_client::AdminServiceClient, alert_service_client::AlertServiceClient,
        chain_service_client::ChainServiceClient, ingest_service_client::IngestServiceClient,
        limit_service_client::LimitServiceClient, quota_service_client::QuotaServiceClient,
        request_service_client::RequestServiceClient, route_service_client::RouteServiceClient,
    },
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
    #[arg(
        long,
        env = "HIGHWATER_SERVER",
        default_value = "http://127.0.0.1:7422",
        value_name = "URL",
        global = true,
        hide_env_values = true
    )]
    pub server: String,
    /// API key, or access token, that the service knows you by [env: HIGHWATER_KEY]
    #[arg(long, value_name = "KEY", global = true)]
    pub key: Option<String>,
    /// File that holds it [env: HIGHWATER_KEY_FILE]
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "key")]
    pub key_file: Option<PathBuf>,
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

/// The variables that a credential comes in.
pub(super) const KEY_VARIABLE: &str = "HIGHWATER_KEY";
pub(super) const KEY_FILE_VARIABLE: &str = "HIGHWATER_KEY_FILE";

/// Which service and project.
#[derive(Args, Clone, Debug)]
pub struct ProjectArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[arg(
        long,
        env = "HIGHWATER_PROJECT",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME",
        global = true,
        help = "Project that it is about; that of the key unless given, `default` where no key is needed"
    )]
    pub project: String,
}

/// A way to a service.
#[derive(Clone, Debug)]
pub struct Server {
    pub url: String,
    tls: ClientTls,
    channel: Channel,
    pub credential: Option<Credential>,
}

/// All entries of a list: `ask` asks for the page that a token leads to, and gives its entries with the next token.
///
/// # Errors
/// Those of a page.
pub async fn all_pages<T>(
    mut ask: impl AsyncFnMut(String) -> Result<(Vec<T>, String), CliError>,
) -> Result<Vec<T>, CliError> {
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..MAX_PAGES {
        let (entries, next) = ask(token).await?;
        all.extend(entries);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    Ok(all)
}

/// A variable that is set. An empty one is as none: so one that is exported is left out for one command.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
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
        Ok(Server { url: self.server.clone(), tls, channel, credential: self.credential()? })
    }

    /// What the service is to know the caller by: what is on the command line comes before what is in a variable.
    fn credential(&self) -> Result<Option<Credential>, CliError> {
        let (key, file) = match (&self.key, &self.key_file) {
            (None, None) => (variable(KEY_VARIABLE), variable(KEY_FILE_VARIABLE).map(PathBuf::from)),
            given => (given.0.clone(), given.1.clone()),
        };
        let key = match (key, file) {
            (Some(key), _) => key,
            (None, Some(path)) => std::fs::read_to_string(&path).map_err(|error| CliError::Mistakes {
                message: format!("the key file {} can't be read: {error}", path.display()),
                hint: None,
            })?,
            (None, None) => return Ok(None),
        };
        let key = key.trim();
        Ok((!key.is_empty()).then(|| Credential::fixed(Secret::new(key.to_owned()))))
    }
}

impl ProjectArgs {
    /// Prepares the way, and fills in the project when none was named: the key's own.
    ///
    /// # Errors
    /// When the address is not one, or the service does not know the key.
    pub async fn connect(&mut self) -> Result<Server, CliError> {
        let server = self.server.connect()?;
        if self.project.is_empty() {
            self.project = match server.credential {
                None => DEFAULT_PROJECT.to_owned(),
                Some(_) => server.answer(server.admin().get_caller(GetCallerRequest {})).await?.project,
            };
        }
        Ok(server)
    }
}

impl Server {
    pub fn quotas(&self) -> QuotaServiceClient<Known> {
        QuotaServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn routes(&self) -> RouteServiceClient<Known> {
        RouteServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn limits(&self) -> LimitServiceClient<Known> {
        LimitServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn chains(&self) -> ChainServiceClient<Known> {
        ChainServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn ingest(&self) -> IngestServiceClient<Known> {
        IngestServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn requests(&self) -> RequestServiceClient<Known> {
        RequestServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn alerts(&self) -> AlertServiceClient<Known> {
        AlertServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    pub fn admin(&self) -> AdminServiceClient<Known> {
        AdminServiceClient::with_interceptor(self.channel.clone(), self.bearer())
    }

    fn bearer(&self) -> Bearer {
        Bearer(self.credential.clone())
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
        self.answer_after(Duration::ZERO, call).await
    }

    /// The same, of a call that may be held for so long by what it asks for.
    ///
    /// # Errors
    /// As of [`Server::answer`].
    pub async fn answer_after<T>(
        &self,
        held: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CliError> {
        let late = |_| Status::deadline_exceeded("");
        let answer = timeout(held + ANSWER_TIMEOUT, call).await.map_err(late).flatten();
        answer.map(Response::into_inner).map_err(|status| CliError::from_status(&status, &self.url))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_pages_are_read_in_turn_up_to_a_bound() {
        let mut asked = Vec::new();
        let all = all_pages(async |token| {
            asked.push(token);
            let next = if asked.len() < 3 { asked.len().to_string() } else { String::new() };
            Ok((vec![asked.len(); 2], next))
        });
        assert_eq!(all.await.unwrap(), [1, 1, 2, 2, 3, 3]);
        assert_eq!(asked, ["", "1", "2"]);
        let endless = all_pages(async |_| Ok((vec![()], "on".to_owned())));
        assert_eq!(endless.await.unwrap().len(), MAX_PAGES);
        let mut pages = 0;
        let cut_off = all_pages(async |_| {
            pages += 1;
            if pages == 2 { Err(CliError::failed("away")) } else { Ok((vec![()], "on".to_owned())) }
        });
        assert_eq!(cut_off.await.unwrap_err().to_string(), "highwater: away");
    }
}
