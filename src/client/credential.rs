//! What a client is known by: an API key or an access token, asked for each time that one is needed, so that one that ends
//! can be minted anew.

use std::{fmt, sync::Arc};

use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::access::Secret;

/// The header that it is sent in.
const AUTHORIZATION: &str = "authorization";

type Source = dyn Fn() -> Result<Secret<String>, String> + Send + Sync;

/// Where a client takes its credential from.
#[derive(Clone)]
pub struct Credential {
    source: Arc<Source>,
    is_renewed: bool,
}

impl Credential {
    /// The same each time: an API key.
    pub fn fixed(token: Secret<String>) -> Self {
        Self { source: Arc::new(move || Ok(token.clone())), is_renewed: false }
    }

    /// What `mint` gives when it is called, which must be at once: a token that ends. Before it does it is called again.
    pub fn minted(mint: impl Fn() -> Result<Secret<String>, String> + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(mint), is_renewed: true }
    }

    /// Whether another may come after one that ends.
    pub fn is_renewed(&self) -> bool {
        self.is_renewed
    }

    /// The credential to use now.
    ///
    /// # Errors
    /// What `mint` said.
    pub fn token(&self) -> Result<Secret<String>, String> {
        (self.source)()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[credential]")
    }
}

/// Puts the credential before each call, if there is one.
#[derive(Clone, Debug, Default)]
pub struct Bearer(pub Option<Credential>);

/// A channel whose calls carry a credential.
pub type Known = InterceptedService<Channel, Bearer>;

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let Some(credential) = &self.0 else { return Ok(request) };
        let token = credential.token().map_err(Status::unauthenticated)?;
        let value = Secret::new(format!("Bearer {}", token.expose().trim()));
        let mut value: AsciiMetadataValue = value
            .expose()
            .parse()
            .map_err(|_| Status::unauthenticated("the credential has characters that no header may have"))?;
        // Neither shown nor kept in the compression's table.
        value.set_sensitive(true);
        request.metadata_mut().insert(AUTHORIZATION, value);
        Ok(request)
    }
}
