//! The routes of the project, as the service tells them on the stream. A worker that can't ask for a slot may go by the
//! newest; one that lost its service goes on with them.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{client::WorkerClient, proto::Routes};

/// The newest routes that were heard; version 0 before the first.
#[derive(Debug, Default)]
pub(super) struct Newest(watch::Sender<Arc<Routes>>);

impl Newest {
    /// Routes came; they count when they are newer.
    pub fn heard(&self, routes: Routes) {
        self.0.send_if_modified(|newest| {
            let is_newer = routes.version > newest.version;
            if is_newer {
                *newest = Arc::new(routes);
            }
            is_newer
        });
    }
}

impl WorkerClient {
    /// The newest routes of the project; of version 0 before the first.
    pub fn routes(&self) -> Arc<Routes> {
        self.shared.routes.0.borrow().clone()
    }

    /// The same, for those who wait for newer ones.
    pub fn watch_routes(&self) -> watch::Receiver<Arc<Routes>> {
        self.shared.routes.0.subscribe()
    }
}
