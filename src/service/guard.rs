//! What was turned away so that others are served well, counted by what it ran into; and how fast projects and callers
//! may be. Nothing here waits.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{config::ConnectionBounds, error::Error, model::Project, model::Time, service::throttle::Throttle};

/// What a connection, a call or a report ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// All places for connections were taken.
    Connections,
    /// All places of that address were taken.
    ConnectionsPerAddress,
    /// No TLS was spoken, or not as it must be.
    Handshake,
    /// TLS was not agreed on in time.
    HandshakeTime,
    /// No call came in time.
    FirstCall,
    /// HTTP/2 resets, headers, settings or empty frames in a flood.
    Flood,
    /// Bytes that are no HTTP.
    Protocol,
    /// A call was not made whole in time.
    CallTime,
    /// A worker did not read what it was answered.
    Unread,
    /// A message was larger than messages may be.
    MessageBytes,
    /// A stream had to wait, since it or its project sent more events than it may.
    HeldBack,
    /// A report was refused, since its project sent more events than it may.
    Events,
    /// A caller read more often than it may.
    Reads,
    /// Too many reads waited for the store.
    Busy,
    /// A connection was cut off, since it lived on after it was asked to be made anew.
    Age,
}

/// All of them, in the order of their counters.
pub const ALL: [Why; 15] = [
    Why::Connections,
    Why::ConnectionsPerAddress,
    Why::Handshake,
    Why::HandshakeTime,
    Why::FirstCall,
    Why::Flood,
    Why::Protocol,
    Why::CallTime,
    Why::Unread,
    Why::MessageBytes,
    Why::HeldBack,
    Why::Events,
    Why::Reads,
    Why::Busy,
    Why::Age,
];

impl Why {
    /// Its name as a label of a metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerAddress => "connections_per_address",
            Self::Handshake => "handshake",
            Self::HandshakeTime => "handshake_time",
            Self::FirstCall => "first_call",
            Self::Flood => "flood",
            Self::Protocol => "protocol",
            Self::CallTime => "call_time",
            Self::Unread => "unread",
            Self::MessageBytes => "message_bytes",
            Self::HeldBack => "held_back",
            Self::Events => "events",
            Self::Reads => "reads",
            Self::Busy => "busy",
            Self::Age => "age",
        }
    }
}

/// Who reads: what it showed of itself, or where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    Address(IpAddr),
    /// A hash of its credential.
    Credential(u64),
}

/// Counters, and the pace of each project and caller.
#[derive(Debug)]
pub struct Guard {
    counts: [AtomicU64; ALL.len()],
    events: Throttle<Project>,
    reads: Throttle<Caller>,
}

impl Guard {
    pub fn new(bounds: &ConnectionBounds) -> Self {
        Self {
            counts: Default::default(),
            events: Throttle::new(bounds.project_events),
            reads: Throttle::new(bounds.reads),
        }
    }

    /// Something was turned away.
    pub fn count(&self, why: Why) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was, since the service started.
    pub fn counted(&self, why: Why) -> u64 {
        self.counts[why as usize].load(Ordering::Relaxed)
    }

    /// All counters, by the name that they have as a label.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        ALL.iter().map(|why| (why.as_str(), self.counted(*why)))
    }

    /// Takes a stream's events on its project's account, and says how far ahead of its pace the project then is.
    pub fn streamed(&self, project: &Project, events: u32, now: Time) -> std::time::Duration {
        self.events.charge(project, events, now)
    }

    /// Takes the events of a report.
    ///
    /// # Errors
    /// When the project has sent too many; nothing is then taken.
    pub fn reported(&self, project: &Project, events: u32, now: Time) -> Result<(), Error> {
        self.events.take(project, events, now).map_err(|after| {
            self.count(Why::Events);
            Error::Rate { name: "project_events_per_second", per_second: self.events.per_second(), after }
        })
    }

    /// Takes a read.
    ///
    /// # Errors
    /// When the caller has read too often.
    pub fn read(&self, caller: Caller, now: Time) -> Result<(), Error> {
        self.reads.take(&caller, 1, now).map_err(|after| {
            self.count(Why::Reads);
            Error::Rate { name: "reads_per_second", per_second: self.reads.per_second(), after }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_place_and_its_name() {
        for (place, why) in ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place, "{why:?}");
        }
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
