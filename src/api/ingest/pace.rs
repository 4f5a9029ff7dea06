//! How fast a worker's stream is read: at the pace of the stream's own bound and of its project's. A stream that is ahead
//! is not read for a while, so that what it sends waits on its side, and nothing is refused or lost.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{
    model::{Now, Project},
    proto::{AttachRequest, attach_request::Message as Said},
    service::{Service, guard::Why, throttle::Bucket},
};

/// What a stream has sent of what it may.
#[derive(Debug, Default)]
pub struct Pace {
    bucket: Bucket,
}

impl Pace {
    /// Takes events, and says until when nothing more is to be read.
    pub fn hold(&mut self, service: &Service, project: &Project, events: u32, now: Now) -> Option<Instant> {
        let rate = service.config.connections.stream_events;
        let own = match rate.per_second {
            0 => Duration::ZERO,
            _ => self.bucket.charge(rate, events, now.mono),
        };
        let ahead = own.max(service.guard.streamed(project, events, now.mono));
        if ahead.is_zero() {
            return None;
        }
        service.guard.count(Why::HeldBack);
        // However far ahead its project is: a stream that is held must not lose its lease by that.
        Some(Instant::now() + ahead.min(service.config.bounds.lease / 2))
    }
}

/// The events of a message; sessions of a snapshot are as much work, and anything else is as much as one.
pub fn events(message: &AttachRequest) -> u32 {
    let events = match &message.message {
        Some(Said::Events(batch)) => batch.len(),
        Some(Said::Columns(batch)) => batch.outcomes.len(),
        Some(Said::Snapshot(chunk)) => chunk.handles.len(),
        Some(Said::Declare(declare)) => declare.meters.len(),
        _ => 1,
    };
    u32::try_from(events).unwrap_or(u32::MAX).max(1)
}

/// Waits until then.
pub async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}
