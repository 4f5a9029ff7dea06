//! The server of a core: every connection that it is dealt is a task of its own, from its handshake to its end, under the
//! bounds of HTTP; a connection that has lived long enough is asked to be made anew.

use std::{error::Error as StdError, io, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    api::notices::Draining,
    http::{accept::Accepted, connection::Connection, routes::Routes, tls::Certificates},
    service::{
        Service,
        guard::{Guard, Why},
    },
};

/// Bytes that a client may send on one call before it must wait: two thirds of a second's worth at 100 kB/s, and what a
/// call that is not read can cost.
const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
/// The same for all calls of a connection: a full batch is on its way while another is read.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1_024;
/// The least that HTTP/2 allows: buffers are of this size.
const FRAME_BYTES: u32 = 16 * 1_024;
/// Headers of one call; calls have few. Also bounds how many CONTINUATION frames a header may come in.
const HEADER_BYTES: u32 = 8 * 1_024;
/// Calls that a client may reset before the service has begun with them (CVE-2023-44487); h2's own default, which is to
/// stay whatever h2 changes.
const PENDING_RESETS: usize = 20;
/// Calls that the service may have to reset for a client's mistakes.
const LOCAL_RESETS: usize = 1_024;
/// Answers that wait in a call for its client to read.
const SEND_BUFFER_BYTES: usize = 64 * 1_024;
/// The same of a page, over HTTP/1: its headers fit.
const HTTP1_BUFFER_BYTES: usize = 16 * 1_024;
const HTTP1_HEADERS: usize = 64;
/// How long the headers of a page may take to come.
const HTTP1_HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// A connection that says nothing is asked whether it is there, and closed when it does not say so. So is one that stops
/// in the middle of a header.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls may go on when the service goes away: workers have 2 s to leave, and some of that again.
const DRAIN_GRACE: Duration = Duration::from_millis(3_500);
/// Connections that were made together do not end together: by how much of its age each differs, either way.
const AGE_JITTER: f64 = 0.1;

/// Serves the connections that it is dealt, on the thread that calls it, until the service goes away.
///
/// # Errors
/// When the runtime can't be started.
pub fn serve(
    mut connections: mpsc::Receiver<Accepted>,
    routes: &Arc<Routes>,
    service: &Arc<Service>,
    certificates: Option<&Arc<Certificates>>,
    mut draining: Draining,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Arc::new(Server {
            http: http(service.config.connections.streams_each),
            routes: routes.clone(),
            service: service.clone(),
            certificates: certificates.cloned(),
        });
        let mut served = JoinSet::new();
        loop {
            tokio::select! {
                accepted = connections.recv() => match accepted {
                    Some(accepted) => drop(served.spawn(server.clone().run(accepted, draining.clone()))),
                    None => break,
                },
                Some(_) = served.join_next() => {}
                () = draining.begun() => break,
            }
        }
        drop(connections);
        draining.begun().await;
        let all_ended = async { while served.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_GRACE, all_ended).await.is_err() {
            tracing::info!("calls that did not end in time are cut off");
        }
    });
    Ok(())
}

/// HTTP under its bounds.
fn http(streams_each: u32) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(streams_each)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    http.http1()
        .timer(TokioTimer::new())
        .max_buf_size(HTTP1_BUFFER_BYTES)
        .max_headers(HTTP1_HEADERS)
        .header_read_timeout(HTTP1_HEADERS_WITHIN);
    http
}

/// What every connection of a core is served with.
struct Server {
    http: Builder<TokioExecutor>,
    routes: Arc<Routes>,
    service: Arc<Service>,
    certificates: Option<Arc<Certificates>>,
}

impl Server {
    /// Serves one connection until it ends.
    async fn run(self: Arc<Self>, accepted: Accepted, mut draining: Draining) {
        let guard = &self.service.guard;
        // In a box, since it is over before the rest begins and its room would stay.
        let opening = Box::pin(Connection::open(accepted, self.certificates.as_deref(), guard));
        let connection = match opening.await {
            Ok(Some(connection)) => connection,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "a connection can't be watched"),
        };
        let peer = connection.peer().clone();
        let (routes, of_calls) = (self.routes.clone(), peer.clone());
        let calls = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(of_calls.clone());
            routes.answer(request)
        });
        let mut serving = pin!(self.http.serve_connection(TokioIo::new(connection), calls));
        let bounds = &self.service.config.connections;
        let mut ends_at = jittered(bounds.age);
        let (mut is_old, mut is_leaving) = (false, false);
        loop {
            tokio::select! {
                ended = &mut serving => {
                    if let Err(error) = ended {
                        note(guard, &*error);
                    }
                    return;
                }
                () = draining.begun(), if !is_leaving => {
                    is_leaving = true;
                    serving.as_mut().graceful_shutdown();
                }
                () = wait_until(ends_at) => {
                    if is_old {
                        return guard.count(Why::Age);
                    }
                    is_old = true;
                    ends_at = Some(Instant::now() + bounds.age_grace);
                    peer.age();
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// When a connection that begins now is old; none when it never is.
fn jittered(age: Duration) -> Option<Instant> {
    let factor = 1.0 + AGE_JITTER * (2.0 * rand::random::<f64>() - 1.0);
    (!age.is_zero()).then(|| Instant::now() + age.mul_f64(factor))
}

/// Counts what a connection did that it ended for.
fn note(guard: &Guard, error: &(dyn StdError + 'static)) {
    tracing::debug!(%error, "a connection ended");
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            match error.reason() {
                Some(h2::Reason::ENHANCE_YOUR_CALM) => guard.count(Why::Flood),
                Some(_) if error.is_library() => guard.count(Why::Protocol),
                _ => {}
            }
            return;
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return guard.count(Why::Protocol);
        }
        cause = error.source();
    }
}
