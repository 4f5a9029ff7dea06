//! Reads the lists when it is time, hands them over, and says how that fares: in health, in the counts, and in the log.

use std::time::Duration;

use crate::{
    config::LiveKitConfig,
    livekit::{counts::add, seat::SeatError, thing::List},
    livekit_lists::{
        client::{Client, ListError},
        read::{Reading, read},
    },
    model::Time,
    service::Service,
};

/// The part of the service that troubles with LiveKit are told of.
const LIVEKIT: &str = "livekit";
/// When to try again what failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Between the end of a reading that took long and the next one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Reads the lists of the configured project.
#[derive(Debug)]
pub struct Reader {
    /// None where no URL is configured.
    client: Option<(LiveKitConfig, Result<Client, String>)>,
    /// When the lists are read next (monotonic).
    next: Time,
}

impl Reader {
    /// A reader that is to read at its first step.
    pub fn new(config: Option<&LiveKitConfig>) -> Self {
        let client = config.and_then(|config| {
            let url = config.url.as_ref()?;
            Some((config.clone(), Client::new(url, config).map_err(|error| error.to_string())))
        });
        Self { client, next: Time(0) }
    }

    /// Does what is due now. Call it about once a second.
    pub async fn step(&mut self, service: &Service) {
        let now = service.clock.now();
        let ticked = service.livekit.tick(&service.live, now);
        let is_due = now.mono >= self.next;
        if let Some((config, client)) = self.client.as_ref().filter(|_| is_due) {
            let mut wrong = match client {
                Ok(client) => read_all(service, config, client).await,
                Err(error) => vec![format!("the machine's certificates can't be read: {error}")],
            };
            wrong.extend(ticked.err().map(|error| error.to_string()));
            let after = if wrong.is_empty() { config.interval } else { AGAIN_AFTER.min(config.interval) };
            self.next = now.mono.after(after).max(service.clock.now().mono.after(SHORTEST_PAUSE));
            tell(service, &wrong);
        } else if self.client.is_none() {
            tell(service, &ticked.err().map(|error| error.to_string()).into_iter().collect::<Vec<_>>());
        }
    }
}

/// Reads all lists at once; returns what is wrong.
async fn read_all(service: &Service, config: &LiveKitConfig, client: &Client) -> Vec<String> {
    let (livekit, live) = (&service.livekit, &service.live);
    let rooms = livekit.with(&config.project, |desk| desk.rooms());
    let now = || service.clock.now();
    let (participants, egress, ingress) = tokio::join!(
        read(client, List::Participants, rooms, &now),
        read(client, List::Egress, Vec::new(), &now),
        read(client, List::Ingress, Vec::new(), &now),
    );
    let mut wrong = Vec::new();
    for (list, reading) in List::ALL.into_iter().zip([participants, egress, ingress]) {
        let unread = |error: &ListError| format!("the list of {} can't be read: {error}", list.as_str());
        let done: Result<(), SeatError> = livekit.with(&config.project, |desk| match &reading {
            Ok(Reading { answers, missing }) => {
                wrong.extend(missing.as_ref().map(unread));
                desk.listed(live, list, answers, missing.is_none(), now(), &livekit.counts)
            }
            Err(error) => {
                wrong.push(unread(error));
                desk.unread(live, list);
                Ok(())
            }
        });
        wrong.extend(done.err().map(|error| error.to_string()));
    }
    if wrong.is_empty() {
        add(&livekit.counts.lists_read, 1);
        livekit.set_read(now());
    } else {
        add(&livekit.counts.lists_failed, 1);
    }
    wrong
}

/// That LiveKit can't be asked is a warning: the service does its work, and workers need not go elsewhere.
fn tell(service: &Service, wrong: &[String]) {
    let words = (!wrong.is_empty()).then(|| wrong.join("; "));
    if let Some(words) = &words {
        tracing::warn!("LiveKit: {words}");
    }
    if service.health.warn(LIVEKIT, words.clone()) && words.is_none() {
        tracing::info!("LiveKit's lists are read again");
    }
}
