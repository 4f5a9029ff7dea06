//! A network that can be told to fail: connections through it are reset, cut in the middle of a message, or fall silent
//! with both ends still open. It knows bytes and nothing of what they say.

use std::{
    mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Bytes that are carried at once, each way of each connection.
const CARRIED_BYTES: usize = 8 * 1_024;
/// A connection that is not to be cut after a number of bytes.
const NO_END: u64 = u64::MAX;

/// How a connection fares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// What comes is passed on.
    Flows,
    /// Nothing is passed on, and nobody is told. What was under way waits.
    Silent,
    /// Both ends are reset.
    Reset,
}

/// One connection.
struct Link {
    fate: watch::Sender<Fate>,
    /// Bytes that the worker may still send before the connection is reset.
    left: Arc<AtomicU64>,
}

impl Link {
    fn meets(&self, fate: Fate) {
        self.fate.send_if_modified(|before| *before != Fate::Reset && mem::replace(before, fate) != fate);
    }
}

/// Carries connections to a service.
pub struct Proxy {
    pub address: SocketAddr,
    links: Arc<Mutex<Vec<Link>>>,
    /// New connections are reset at once.
    closed: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (links, closed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let accepting = tokio::spawn(accept(listener, service, Arc::clone(&links), Arc::clone(&closed)));
        Self { address, links, closed, accepting }
    }

    /// Resets every connection.
    pub fn reset_all(&self) {
        self.links.lock().unwrap().drain(..).for_each(|link| link.meets(Fate::Reset));
    }

    /// Resets a connection.
    pub fn reset_one(&self, dice: &mut StdRng) {
        self.with_one(dice, |link| link.meets(Fate::Reset));
    }

    /// Resets a connection once the worker has sent so many bytes more.
    pub fn cut_one_after(&self, bytes: u64, dice: &mut StdRng) {
        self.with_one(dice, |link| link.left.store(bytes, Ordering::Relaxed));
    }

    /// Lets a connection fall silent, with both its ends open.
    pub fn silence_one(&self, dice: &mut StdRng) {
        self.with_one(dice, |link| link.meets(Fate::Silent));
    }

    /// The silent ones flow again, as if nothing had been, and none is to be cut any more.
    pub fn wake_all(&self) {
        for link in self.links.lock().unwrap().iter() {
            link.left.store(NO_END, Ordering::Relaxed);
            link.meets(Fate::Flows);
        }
    }

    /// Whether new connections are reset at once.
    pub fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::Relaxed);
    }

    fn with_one(&self, dice: &mut StdRng, fate: impl FnOnce(&Link)) {
        let mut links = self.links.lock().unwrap();
        links.retain(|link| !link.fate.is_closed());
        if !links.is_empty() {
            fate(&links[dice.random_range(0..links.len())]);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset_all();
    }
}

async fn accept(listener: TcpListener, service: SocketAddr, links: Arc<Mutex<Vec<Link>>>, closed: Arc<AtomicBool>) {
    while let Ok((worker, _)) = listener.accept().await {
        if closed.load(Ordering::Relaxed) {
            worker.set_zero_linger().unwrap();
            continue;
        }
        let (fate, fated) = watch::channel(Fate::Flows);
        let left = Arc::new(AtomicU64::new(NO_END));
        links.lock().unwrap().push(Link { fate, left: Arc::clone(&left) });
        tokio::spawn(async move {
            if let Ok(service) = TcpStream::connect(service).await {
                carry(worker, service, fated, &left).await;
            }
        });
    }
}

/// Carries both ways until either end, or fate, ends it; then resets both ends.
async fn carry(mut worker: TcpStream, mut service: TcpStream, mut fated: watch::Receiver<Fate>, left: &AtomicU64) {
    let _ = (worker.set_nodelay(true), service.set_nodelay(true));
    let no_end = AtomicU64::new(NO_END);
    {
        let (from_worker, to_worker) = worker.split();
        let (from_service, to_service) = service.split();
        tokio::select! {
            () = one_way(from_worker, to_service, fated.clone(), left) => {}
            () = one_way(from_service, to_worker, fated.clone(), &no_end) => {}
            _ = fated.wait_for(|fate| *fate == Fate::Reset) => {}
        }
    }
    let _ = (worker.set_zero_linger(), service.set_zero_linger());
}

async fn one_way(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut fated: watch::Receiver<Fate>, left: &AtomicU64) {
    let mut buffer = vec![0; CARRIED_BYTES];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if fated.wait_for(|fate| *fate == Fate::Flows).await.is_err() {
            return;
        }
        let passed = left.load(Ordering::Relaxed).min(read as u64) as usize;
        if to.write_all(&buffer[..passed]).await.is_err() || passed < read {
            return;
        }
        let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left != NO_END).then(|| left.saturating_sub(passed as u64))
        });
    }
}
