//! The courier: takes what is to be told, sends it, and says what came of it. There is one a service, in a thread of its
//! own; several messages are on their way at once, so that a server that stalls holds up no other recipient.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    alert::{Address, Batch, Facts, Recipient, Row, Severity, Tried, WebhookForm, render},
    alert::{Alert, AlertKind, Delivery, NoticeKind, Subject, recipient::NO_SECRET},
    model::{Now, Project, Tick},
    notify::{
        body::{body, signature},
        gather::gather,
        message::message,
        smtp::{Mailer, NotSent, host_of},
        webhook::{self, Call},
    },
    query::Queries,
    service::{
        Service,
        access::random,
        alerts::deliver::{Delivered, Room},
        health::MAIL,
    },
};

/// Mails that are on their way at once, and webhooks as many: those that stall hold up none of the other sort.
const MOST_AT_ONCE: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);
/// How often it is looked at what is due, when nothing new is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long somebody waits for what came of a test: less than a call may take.
const TEST_WITHIN: Duration = Duration::from_secs(25);
/// How long what is on its way is waited for when the service ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// Sends what is to be told.
#[derive(Debug)]
pub struct Courier {
    queries: Arc<Queries>,
    mailer: Option<Arc<Mailer>>,
    /// When mails went out in the last minute.
    mailed: VecDeque<Now>,
    mails: JoinSet<Sent>,
    webhooks: JoinSet<Sent>,
    /// The last look found as many messages as there was room for: there may be thousands.
    is_behind: bool,
}

/// A message, what came of it, and what is wrong with the mail server, if anything is.
type Sent = (Delivered, Tried, Option<String>);

impl Courier {
    pub fn new(service: &Arc<Service>) -> Self {
        let mailer = service.config.alerts.smtp.clone().map(|smtp| Arc::new(Mailer::new(smtp)));
        let queries = Arc::new(Queries::new(service.clone()));
        let (mails, webhooks) = (JoinSet::new(), JoinSet::new());
        Self { queries, mailer, mailed: VecDeque::new(), mails, webhooks, is_behind: false }
    }

    /// Sends until `ends`; what is then on its way has a moment to arrive.
    pub async fn run(mut self, ends: impl Future<Output = ()>) {
        let service = self.queries.service().clone();
        service.alerts.take_over(&service, service.clock.now());
        let mut ends = std::pin::pin!(ends);
        loop {
            self.begin(service.clock.now());
            loop {
                tokio::select! {
                    () = &mut ends => return self.leave().await,
                    () = service.alerts.wake.notified() => break,
                    Some(done) = self.mails.join_next() => self.end(done.ok()),
                    Some(done) = self.webhooks.join_next() => self.end(done.ok()),
                    () = tokio::time::sleep(LOOK_EVERY) => break,
                }
                // A look goes through all that waits: where that is much, it is not looked for one message at a time.
                if !self.is_behind || self.mails.len().max(self.webhooks.len()) <= MOST_AT_ONCE / 2 {
                    break;
                }
            }
        }
    }

    /// Waits a moment for what is on its way.
    async fn leave(mut self) {
        let leave = async {
            while let Some(done) = self.mails.join_next().await {
                self.end(done.ok());
            }
            while let Some(done) = self.webhooks.join_next().await {
                self.end(done.ok());
            }
        };
        // What is not told by then is sent again after the next start, under the same name.
        let _ = tokio::time::timeout(LEAVE_WITHIN, leave).await;
    }

    /// Takes what is due, and sends it.
    fn begin(&mut self, now: Now) {
        let service = self.queries.service().clone();
        while self.mailed.front().is_some_and(|sent| now.mono.since(sent.mono) >= MINUTE) {
            self.mailed.pop_front();
        }
        let per_minute = self.mailer.as_ref().map_or(usize::MAX, |mailer| mailer.per_minute());
        let left = per_minute.saturating_sub(self.mailed.len());
        let room = Room {
            mails: MOST_AT_ONCE.saturating_sub(self.mails.len()).min(left),
            webhooks: MOST_AT_ONCE.saturating_sub(self.webhooks.len()),
        };
        if room.mails == 0 && room.webhooks == 0 {
            return;
        }
        let claimed = service.alerts.claim(&service, now, room);
        self.is_behind = claimed.len() >= room.mails.max(room.webhooks);
        for delivered in claimed {
            let is_mail = matches!(delivered.recipient.address, Address::Mailbox(_));
            let facts = self.facts(&delivered, now);
            let sending = send(self.mailer.clone(), service.clone(), delivered, facts, now);
            if is_mail {
                self.mailed.push_back(now);
                self.mails.spawn(sending);
            } else {
                self.webhooks.spawn(sending);
            }
        }
    }

    fn facts(&self, delivered: &Delivered, now: Now) -> Facts {
        gather(&self.queries, delivered, host(self.mailer.as_deref()), now)
    }

    /// Says what came of a message. Of one whose task failed nothing is known: it is sent again when its lease is over.
    fn end(&self, done: Option<Sent>) {
        let Some((delivered, tried, trouble)) = done else { return };
        let service = self.queries.service();
        tell(service, &delivered.recipient, &tried, trouble);
        service.alerts.tried(service, &delivered, &tried, service.clock.now());
    }
}

/// What messages are named by.
fn host(mailer: Option<&Mailer>) -> &str {
    mailer.map_or("highwater", |mailer| host_of(mailer.from()))
}

/// Tells operators what is wrong with the mail server, and the log what came of a message.
fn tell(service: &Service, recipient: &Recipient, tried: &Tried, trouble: Option<String>) {
    let (project, name) = (recipient.project.as_str(), &*recipient.name);
    match tried {
        Tried::Sent(answer) => tracing::info!(project, recipient = name, answer, "a notice was taken"),
        Tried::Failed(reason) => tracing::warn!(project, recipient = name, reason, "a notice was not taken yet"),
        Tried::Refused(reason) => tracing::warn!(project, recipient = name, reason, "a notice was refused"),
    }
    if trouble.is_some() || matches!((tried, &recipient.address), (Tried::Sent(_), Address::Mailbox(_))) {
        service.health.warn(MAIL, trouble);
    }
}

/// Sends one message.
async fn send(
    mailer: Option<Arc<Mailer>>,
    service: Arc<Service>,
    delivered: Delivered,
    facts: Facts,
    now: Now,
) -> Sent {
    let mail = render(&facts);
    match &delivered.recipient.address {
        Address::Mailbox(mailbox) => {
            let Some(mailer) = mailer else {
                let words = "no mail server is configured: set `smtp.host`".to_owned();
                return (delivered, Tried::Failed(words.clone()), Some(words));
            };
            let made = message(&mail, &facts, mailer.from(), mailbox, now.wall);
            let (tried, trouble) = match made {
                Err(error) => (Tried::Refused(error.to_string()), None),
                Ok(message) => match mailer.send(mailbox, &message).await {
                    Ok(answer) => (Tried::Sent(answer), None),
                    Err(NotSent::Server(words)) => (Tried::Failed(words.clone()), Some(words)),
                    Err(NotSent::Later(words)) => (Tried::Failed(words), None),
                    Err(NotSent::Refused(words)) => (Tried::Refused(words), None),
                },
            };
            (delivered, tried, trouble)
        }
        Address::Webhook { .. } if delivered.recipient.lacks_secret() => {
            (delivered, Tried::Refused(format!("its secret {NO_SECRET}")), None)
        }
        Address::Webhook { url, form, secret } => {
            let (body, seconds) = (body(*form, &facts, &mail), now.wall.tick().0);
            let id = delivered.batch.lead.to_string();
            let is_signed = *form == WebhookForm::Standard;
            let signature = is_signed.then(|| signature(secret, &id, seconds, &body));
            let call = Call { url: url.clone(), id, seconds, signature, body };
            let tried = webhook::send(call, &service.config.alerts.webhook_networks).await;
            (delivered, tried, None)
        }
    }
}

/// Sends a message that says no more than that it arrives; what the server said.
pub async fn send_test(queries: &Queries, recipient: Recipient, now: Now) -> Tried {
    if recipient.unsubscribed.is_some() {
        let words = "the recipient unsubscribed: nothing is sent to them until they are set anew";
        return Tried::Refused(words.to_owned());
    }
    let service = queries.service().clone();
    let mailer = service.config.alerts.smtp.clone().map(|smtp| Arc::new(Mailer::new(smtp)));
    let row = test_row(&recipient, now);
    let batch = Batch { lead: row.id.clone(), rows: vec![row], held_back: 0 };
    let delivered = Delivered { batch, recipient };
    let facts = gather(queries, &delivered, host(mailer.as_deref()), now);
    let sending = send(mailer, service.clone(), delivered.clone(), facts, now);
    let (delivered, tried, trouble) = match tokio::time::timeout(TEST_WITHIN, sending).await {
        Ok(sent) => sent,
        Err(_) => {
            let words = format!("the server has not answered within {} s", TEST_WITHIN.as_secs());
            (delivered, Tried::Failed(words.clone()), None)
        }
    };
    tell(&service, &delivered.recipient, &tried, trouble);
    tried
}

fn test_row(recipient: &Recipient, now: Now) -> Row {
    let subject = Subject::Service(AlertKind::StoreDegraded);
    let id: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    Row {
        id: id.into(),
        project: recipient.project.clone(),
        recipient: recipient.name.clone(),
        subject,
        key: None,
        notice: NoticeKind::Test,
        kind: AlertKind::StoreDegraded,
        severity: Severity::Info,
        stage_percent: 0,
        detail: "Somebody sent this to see whether it arrives. Nothing is wrong.".to_owned(),
        alert: Alert::new(subject, Tick(now.wall.tick().0)),
        created: now.wall,
        due: now.wall,
        held: false,
        attempts: 1,
        delivery: Delivery::Queued,
        gone: Vec::new(),
    }
}

/// A recipient that is not kept: somebody wants to see whether an address is right before they keep it.
pub fn unkept(project: &Project, address: Address) -> Recipient {
    Recipient {
        name: "test".into(),
        project: project.clone(),
        address,
        enabled: true,
        least: Severity::Info,
        quiet: None,
        unsubscribed: None,
        trouble: String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{config::Config, service::Clock, store::EmbeddedStore};

    #[tokio::test]
    async fn nothing_that_is_to_be_signed_is_sent_unsigned() {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let config = Config::build(&Default::default(), None).unwrap();
        let queries = Queries::new(Service::open(config, store, Clock::start()).unwrap());
        let url = "https://hooks.example/x".to_owned();
        let address = Address::Webhook { url, form: WebhookForm::Standard, secret: Vec::new() };
        let recipient = unkept(&Project::new("demo").unwrap(), address);
        let tried = send_test(&queries, recipient, queries.service().clock.now()).await;
        assert!(matches!(&tried, Tried::Refused(words) if words.contains(NO_SECRET)), "{tried:?}");
    }
}
