//! Takes connections, counts them against their bounds, and deals them out to the servers of the cores in turn.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    config::ConnectionBounds,
    service::guard::{Guard, Why},
};

/// Connections that wait for the server of a core.
pub const WAITING_CONNECTIONS: usize = 256;
/// How long to wait when the process has no file to spare: others must end first.
const NO_FILES_WAIT: Duration = Duration::from_millis(50);

/// A connection that was taken and has its place.
#[derive(Debug)]
pub struct Accepted {
    pub socket: TcpStream,
    pub place: Place,
}

/// The places that there are for connections.
#[derive(Debug)]
pub struct Places {
    connections: usize,
    per_address: usize,
    taken: Mutex<Taken>,
    guard: Arc<Guard>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub fn new(bounds: &ConnectionBounds, guard: Arc<Guard>) -> Arc<Self> {
        Arc::new(Self {
            connections: bounds.connections,
            per_address: bounds.per_address,
            taken: Mutex::default(),
            guard,
        })
    }

    /// A place for a connection from this address; `None`, and counted, when all are taken.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let from_there = taken.by_address.get(&address).copied().unwrap_or(0);
        let full = match (taken.all >= self.connections, from_there >= self.per_address) {
            (true, _) => Some(Why::Connections),
            (false, true) => Some(Why::ConnectionsPerAddress),
            (false, false) => None,
        };
        if let Some(why) = full {
            drop(taken);
            self.guard.count(why);
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, from_there + 1);
        Some(Place { places: self.clone(), address })
    }

    /// How many connections there are.
    pub fn open(&self) -> u64 {
        self.taken().all as u64
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Where the connection comes from.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(from_there) = taken.by_address.get_mut(&self.address) {
            *from_there -= 1;
            if *from_there == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// Takes connections for as long as it is polled.
///
/// # Errors
/// When the listener can't be used.
pub async fn accept(
    listener: std::net::TcpListener,
    places: &Arc<Places>,
    servers: &[mpsc::Sender<Accepted>],
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    for server in servers.iter().cycle() {
        let accepted = next(&listener, places).await;
        if server.send(accepted).await.is_err() {
            tracing::error!("a server ended: its connections go to the others");
        }
    }
    Err(io::Error::other("there is no server to deal connections to"))
}

async fn next(listener: &TcpListener, places: &Arc<Places>) -> Accepted {
    loop {
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_of_the_connection(&error) {
                    tracing::warn!(%error, "no connection could be taken");
                    tokio::time::sleep(NO_FILES_WAIT).await;
                }
                continue;
            }
        };
        let Some(place) = places.take(address.ip()) else {
            tracing::debug!(%address, "a connection was turned away: there is no place for it");
            continue;
        };
        // Answers are small, and each is waited for.
        let ready = socket.set_nodelay(true).and_then(|()| socket.into_std());
        if let Ok(socket) = ready {
            return Accepted { socket, place };
        }
    }
}

/// Errors of a connection that broke before it was taken; others are of the process.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn places_end_by_address_and_in_all() {
        let bounds = ConnectionBounds { connections: 3, per_address: 2, ..Config::default().connections };
        let guard = Arc::new(Guard::new(&bounds));
        let places = Places::new(&bounds, guard.clone());
        let (here, there) = ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        let first = places.take(here).unwrap();
        let _second = places.take(here).unwrap();
        assert!(places.take(here).is_none(), "two from one address");
        let _third = places.take(there).unwrap();
        assert!(places.take(there).is_none(), "three in all");
        drop(first);
        let _fourth = places.take(here).unwrap();
        let turned_away = [Why::Connections, Why::ConnectionsPerAddress].map(|why| places.guard.counted(why));
        assert_eq!((places.open(), turned_away), (3, [1, 1]));
        assert_eq!(places.taken().by_address.len(), 2);
    }
}
