//! The life of a worker's stream: waits for what comes first, and hands it to the conversation. Whatever ends it, the
//! worker's book is let go of.

use std::{future::ready, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{
        Sender,
        error::{SendTimeoutError, TrySendError},
    },
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::{Code, Status, Streaming};

use crate::{
    api::{
        aside::Aside,
        auth::{self, Caller, standing::Standing},
        convert,
        ingest::{
            acquire, answer,
            conversation::{Asking, Conversation, Next, acquired},
            pace::{self, Pace},
            seats::{Seat, Seats},
        },
        notices::Notices,
        peer::Peer,
        routed,
    },
    error::Error,
    proto::{
        AttachRequest, AttachResponse, Authenticate, Authenticated, Drain, RefusalCause, Release,
        attach_request::Message as Said, attach_response::Message as Answer,
    },
    service::{Service, guard::Why, routing::Listener},
};

/// How long a stream may stay silent before its hello.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long a worker may leave answers unread before its connection is closed.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Over how long workers are to spread their attaching again when the service goes away.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// Messages, and events in them, that are taken in a row before what they did is acknowledged and others have their turn:
/// a turn takes about a quarter of a millisecond, or one batch.
const MOST_IN_A_ROW: u32 = 32;
const EVENTS_IN_A_ROW: u32 = 1_024;
/// Slots that a stream may wait for at once: a process a call needs a handful.
const MOST_ASKING: usize = 64;

/// A worker's stream.
pub struct Stream {
    service: Arc<Service>,
    aside: Aside,
    notices: Notices,
    seats: Seats,
    peer: Arc<Peer>,
    caller: Arc<Caller>,
    standing: Standing,
    answers: Sender<Result<AttachResponse, Status>>,
    pace: Pace,
    /// Slots that were asked for and are waited for; they end with the stream.
    asking: JoinSet<Result<Answer, Error>>,
}

/// Why a stream ends.
enum End {
    /// As intended: the worker said goodbye, or has nothing more to say.
    Done,
    /// The worker is told why.
    Refused(Error),
    /// The worker is told what the codec says.
    Told(Status),
    /// There is nobody to be told.
    Gone,
    /// The service goes away.
    Draining,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Stream {
    pub fn new(
        (service, aside): (Arc<Service>, Aside),
        notices: Notices,
        seats: Seats,
        (peer, caller): (Arc<Peer>, Arc<Caller>),
        answers: Sender<Result<AttachResponse, Status>>,
    ) -> Self {
        let standing = Standing::new(&service, &caller);
        let (pace, asking) = (Pace::default(), JoinSet::new());
        Self { service, aside, notices, seats, peer, caller, standing, answers, pace, asking }
    }

    /// Lives until the stream ends.
    pub async fn run(mut self, mut messages: Streaming<AttachRequest>) {
        let end = match self.converse(&mut messages).await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        let status = match end {
            End::Done | End::Gone | End::Draining => return,
            End::Told(status) => status,
            End::Refused(error) => {
                self.service.counts.ingest.refused(&error);
                error.into()
            }
        };
        tracing::debug!(code = ?status.code(), message = status.message(), "a worker's stream ended");
        self.send(Err(status)).await;
    }

    async fn converse(&mut self, messages: &mut Streaming<AttachRequest>) -> Result<std::convert::Infallible, End> {
        let hello = match timeout(HELLO_WITHIN, messages.message()).await {
            Err(_) => return Err(Error::OutOfOrder("no hello came within 5 s".into()).into()),
            Ok(message) => self.received(message)?,
        };
        let Some(Said::Hello(mut hello)) = hello.message else {
            return Err(Error::OutOfOrder("hello comes first".into()).into());
        };
        self.caller.scope(&mut hello.project).map_err(|error| error.within("hello"))?;
        let (mut conversation, answers) = Conversation::open(&self.service, &hello, self.service.clock.now())?;
        let seat = self.seats.take(conversation.name(), hello.attach_seq);
        for mut answer in answers {
            if let Answer::Welcome(welcome) = &mut answer {
                welcome.credential_expire_time = self.standing.until().map(convert::to_timestamp);
            }
            self.answer(answer).await?;
        }
        let mut routes = self.service.routing.listen(conversation.project());
        let version = routes.newest();
        if !version.chains.is_empty() {
            self.answer(Answer::Routes(routed::to_routes(&version))).await?;
        }
        drop(version);
        let heard = (&seat, &mut routes);
        match self.listen(&mut conversation, heard, messages, true).await {
            Err(End::Draining) => {}
            ended => return ended,
        }
        self.answer(Answer::Drain(Drain { within: Some(convert::to_duration(DRAIN_WITHIN)) })).await?;
        // In a box, since few streams ever come here and all would have to keep room for it.
        let heard = (&seat, &mut routes);
        let rest = Box::pin(timeout(DRAIN_WITHIN, self.listen(&mut conversation, heard, messages, false)));
        rest.await.unwrap_or_else(|_| Err(Error::ShuttingDown.into()))
    }

    /// Takes messages and tells what became durable, until the stream ends.
    async fn listen(
        &mut self,
        conversation: &mut Conversation,
        (seat, routes): (&Seat, &mut Listener),
        messages: &mut Streaming<AttachRequest>,
        until_drained: bool,
    ) -> Result<std::convert::Infallible, End> {
        let (mut in_a_row, mut events_in_a_row, mut ack_is_due) = (0, 0, false);
        let mut held_until = None;
        loop {
            tokio::select! {
                biased;
                message = messages.message(),
                    if in_a_row < MOST_IN_A_ROW && events_in_a_row < EVENTS_IN_A_ROW && held_until.is_none() =>
                {
                    let (message, now) = (self.received(message)?, self.service.clock.now());
                    let events = pace::events(&message);
                    in_a_row += 1;
                    if let Some(Said::Authenticate(presented)) = &message.message {
                        let answer = self.authenticate(presented)?;
                        self.answer(answer).await?;
                        continue;
                    }
                    events_in_a_row += events;
                    held_until = self.pace.hold(&self.service, conversation.project(), events, now);
                    match conversation.take(message, now)? {
                        Next::Wait => {}
                        Next::Acknowledge => ack_is_due = true,
                        Next::Answer(answer) => self.answer(answer).await?,
                        Next::Asked(asking) => self.ask(*asking).await?,
                        Next::End => return Err(End::Done),
                    }
                }
                error = self.standing.lost() => return Err(error.into()),
                () = seat.taken() => return Err(Error::Superseded.into()),
                ask = seat.asked() => {
                    let session_id = ask.session.0.to_vec();
                    self.answer(Answer::Release(Release { session_id, reason: ask.reason })).await?;
                }
                Some(told) = self.asking.join_next(), if !self.asking.is_empty() => {
                    let stopped = |error: tokio::task::JoinError| Error::Internal { detail: error.to_string() };
                    self.answer(told.map_err(stopped)??).await?;
                }
                () = routes.changed() => {
                    self.answer(Answer::Routes(routed::to_routes(&routes.newest()))).await?;
                }
                () = self.notices.draining.begun(), if until_drained => return Err(End::Draining),
                () = self.peer.is_old(), if until_drained => return Err(End::Draining),
                // What it sends meanwhile waits in its own windows.
                () = pace::until(held_until), if held_until.is_some() => held_until = None,
                () = self.notices.durable.more(), if conversation.is_lagging() => {
                    self.acknowledge(conversation).await?;
                }
                // Nothing more is there to be taken, or it is others' turn.
                () = ready(()), if in_a_row > 0 => {
                    if std::mem::take(&mut ack_is_due) {
                        self.acknowledge(conversation).await?;
                    }
                    if in_a_row == MOST_IN_A_ROW || events_in_a_row >= EVENTS_IN_A_ROW {
                        tokio::task::yield_now().await;
                    }
                    (in_a_row, events_in_a_row) = (0, 0);
                }
            }
        }
    }

    /// Waits for a slot beside all else, or turns it down when too many are waited for.
    async fn ask(&mut self, asking: Asking) -> Result<(), End> {
        let Asking { who, ask, pending, wait } = asking;
        if self.asking.len() >= MOST_ASKING {
            self.service.live.count_refused(&ask);
            let refused = answer::refused_for(RefusalCause::TooManyWait);
            return self.answer(acquired(ask.id, acquire::Told::Refused(refused))).await;
        }
        let aside = self.aside.clone();
        self.asking.spawn(async move {
            let (told, _) = acquire::wait(&aside, &who, &ask, pending, Instant::now() + wait).await?;
            Ok(acquired(ask.id, told))
        });
        Ok(())
    }

    fn received(&self, message: Result<Option<AttachRequest>, Status>) -> Result<AttachRequest, End> {
        match message {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(End::Done),
            Err(status) => Err(match status.code() {
                Code::OutOfRange => End::Told(self.service.too_large().into()),
                Code::InvalidArgument => End::Told(status),
                _ => End::Gone,
            }),
        }
    }

    /// Goes on with the credential that the worker presents. It must be of the same project, and may report.
    fn authenticate(&mut self, presented: &Authenticate) -> Result<Answer, End> {
        if self.caller.pass().is_some() {
            let pass = auth::renew(&self.service, &presented.token, &self.caller)?;
            self.standing.renew(Some(pass));
        }
        let expire_time = self.standing.until().map(convert::to_timestamp);
        Ok(Answer::Authenticated(Authenticated { expire_time }))
    }

    async fn acknowledge(&self, conversation: &mut Conversation) -> Result<(), End> {
        match conversation.acknowledge()? {
            Some(ack) => self.answer(ack).await,
            None => Ok(()),
        }
    }

    async fn answer(&self, answer: Answer) -> Result<(), End> {
        let answer = AttachResponse { message: Some(answer) };
        if self.send(Ok(answer)).await { Ok(()) } else { Err(End::Gone) }
    }

    /// Sends, or closes the connection of a worker that does not read; returns whether it was sent.
    async fn send(&self, answer: Result<AttachResponse, Status>) -> bool {
        match self.answers.try_reserve() {
            Ok(room) => {
                room.send(answer);
                return true;
            }
            Err(TrySendError::Closed(())) => return false,
            Err(TrySendError::Full(())) => {}
        }
        match Box::pin(self.answers.send_timeout(answer, READ_WITHIN)).await {
            Ok(()) => true,
            Err(SendTimeoutError::Closed(_)) => false,
            Err(SendTimeoutError::Timeout(_)) => {
                self.service.guard.count(Why::Unread);
                tracing::warn!("a worker does not read what it is answered: its connection is closed");
                self.peer.close();
                false
            }
        }
    }
}
