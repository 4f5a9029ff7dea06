//! Webhooks: one request, signed, to an address that is allowed. The address that is checked is the one that is connected
//! to; nothing is followed, and no answer is read further than its first line.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{Request, Uri, header},
};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use rustls::crypto::ring;
use tokio::time::timeout;
use tower::Service;

use crate::{alert::Tried, config::Network};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One request.
#[derive(Clone)]
pub struct Call {
    pub url: String,
    pub id: String,
    pub seconds: u64,
    pub signature: Option<String>,
    pub body: String,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL of a webhook is often its secret.
        f.debug_struct("Call").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether nothing of ours is sent to an address: one of this machine, of a private network, or of none.
pub fn is_forbidden(address: IpAddr, allowed: &[Network]) -> bool {
    let address = match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    if allowed.iter().any(|network| network.holds(address)) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => is_special(v4),
        // Only what is routed in the internet.
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 != 0x2000 || v6.segments()[..2] == [0x2001, 0x0db8],
    }
}

/// The IPv4 address that an IPv6 one stands for.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn is_special(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

/// Finds the addresses of a name, and leaves out those that are not allowed.
#[derive(Clone, Debug)]
struct Resolver(Arc<Vec<Network>>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<_> = found.filter(|address| !is_forbidden(address.ip(), &allowed)).collect();
            match addresses.is_empty() {
                true => Err(io::Error::other(Forbidden)),
                false => Ok(addresses.into_iter()),
            }
        })
    }
}

/// Every address of a webhook is forbidden. That does not pass by trying again.
#[derive(Debug, thiserror::Error)]
#[error("it leads to a private or local address, which `alerts.webhook_networks` does not allow")]
struct Forbidden;

/// Sends it.
pub async fn send(call: Call, allowed: &[Network]) -> Tried {
    match timeout(ANSWER_WITHIN, try_send(call, allowed)).await {
        Ok(tried) => tried,
        Err(_) => Tried::Failed(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

async fn try_send(call: Call, allowed: &[Network]) -> Tried {
    let Ok(uri) = call.url.parse::<Uri>() else { return Tried::Refused("its URL is none".to_owned()) };
    // A name that is an address is not looked up.
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.parse().is_ok_and(|address| is_forbidden(address, allowed)) {
        return Tried::Refused(Forbidden.to_string());
    }
    let mut connector = HttpConnector::new_with_resolver(Resolver(Arc::new(allowed.to_vec())));
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(Arc::new(ring::default_provider()));
    let connector = match tls {
        Ok(tls) => tls.https_or_http().enable_http1().wrap_connector(connector),
        Err(error) => return Tried::Failed(format!("TLS can't be used: {error}")),
    };
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let mut request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("highwater/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &call.id)
        .header("webhook-timestamp", call.seconds);
    if let Some(signature) = &call.signature {
        request = request.header("webhook-signature", signature);
    }
    let Ok(request) = request.body(Full::new(Bytes::from(call.body))) else {
        return Tried::Refused("the request can't be made".to_owned());
    };
    match client.request(request).await {
        Ok(response) if response.status().is_success() => Tried::Sent(response.status().to_string()),
        // Gone: the specification says to stop.
        Ok(response) if response.status().as_u16() == 410 => Tried::Refused(response.status().to_string()),
        Ok(response) if response.status().is_redirection() => {
            Tried::Failed(format!("{}: redirects are not followed", response.status()))
        }
        Ok(response) => Tried::Failed(response.status().to_string()),
        Err(error) => {
            let cause = innermost(&error);
            let words = cause.to_string().replace(char::is_control, " ");
            if cause.is::<Forbidden>() { Tried::Refused(words) } else { Tried::Failed(words) }
        }
    }
}

/// The error that is behind all others.
fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut error = error;
    loop {
        // What an error of the system holds is not its source, but itself.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match held.map(|held| held as &(dyn std::error::Error + 'static)).or_else(|| error.source()) {
            Some(source) => error = source,
            None => return error,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn private_and_local_addresses_are_forbidden() {
        let forbidden = |address: &str| is_forbidden(address.parse().unwrap(), &[]);
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(forbidden(address), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!forbidden(address), "{address}");
        }
    }
}
