//! What each message of a worker does and how it is answered, once the worker has said hello: a function of the message
//! and of now. It never waits.

use std::{sync::Arc, time::Duration};

use crate::{
    api::{
        convert,
        ingest::{
            acquire::{self, Told, Who},
            asks::{self, Wants},
            decode,
            handles::Handles,
            seats::Name,
        },
    },
    error::Error,
    live::{self, Ask, Attachment, Batch, snapshot::ChunkProblem},
    model::{Incarnation, Now, Project, SessionId},
    proto::{
        Ack, Acquired, AttachRequest, Beat, Declare, Hello, LeaseExpired, Released, SnapshotChunk, SnapshotNeeded,
        StreamAcquire, StreamGoodbye, StreamRelease, Welcome, acquired::Result as Outcome,
        attach_request::Message as Said, attach_response::Message as Answer, snapshot_needed::Reason,
    },
    service::{
        Service,
        counts::{Asked, Form},
    },
};

/// The protocol that workers speak.
const PROTOCOL_VERSION: u32 = 1;
/// Longest name of a worker, and of its client, in bytes.
const MAX_WORKER_BYTES: usize = 128;
/// Name and version of the service, as clients are told.
const SERVER: &str = concat!("highwater/", env!("CARGO_PKG_VERSION"));

/// What is to be done after a message.
#[derive(Debug)]
pub enum Next {
    /// Wait for more.
    Wait,
    /// Acknowledge it, now or together with those that follow.
    Acknowledge,
    /// Say this.
    Answer(Answer),
    /// Wait for what a slot that was asked for needs, beside what else comes.
    Asked(Box<Asking>),
    /// The worker said goodbye.
    End,
}

/// A slot that was asked for and can't be answered yet.
#[derive(Debug)]
pub struct Asking {
    pub who: Who,
    pub ask: Ask,
    pub pending: live::Answer,
    pub wait: Duration,
}

/// A worker's stream after its hello. When it is dropped, the worker is cut off, and its lease runs.
#[derive(Debug)]
pub struct Conversation {
    service: Arc<Service>,
    project: Project,
    worker: Box<str>,
    incarnation: Incarnation,
    attachment: Attachment,
    handles: Handles,
    /// A snapshot was asked for since its chunks did not add up: those that are still on the way are passed over.
    passes_over_chunks: bool,
    /// The acknowledgement that was sent last.
    sent: Option<Ack>,
}

impl Conversation {
    /// A worker says hello. Also returns what it is answered: that its lease had ended, if it had, and the welcome.
    ///
    /// # Errors
    /// When the hello is wrong, a newer stream is there, or there are as many workers as there may be.
    pub fn open(service: &Arc<Service>, hello: &Hello, now: Now) -> Result<(Self, Vec<Answer>), Error> {
        let hello = check(hello).map_err(|problem| problem.within("hello"))?;
        let attachment = service.live.attach(&hello, now)?;
        let mut answers = Vec::with_capacity(2);
        if attachment.lost_before > 0 {
            answers.push(Answer::LeaseExpired(LeaseExpired { lost_sessions: attachment.lost_before }));
        }
        let bounds = &service.config.bounds;
        let most = |bound: usize| u32::try_from(bound).unwrap_or(u32::MAX);
        answers.push(Answer::Welcome(Welcome {
            applied_seq: attachment.applied_seq,
            durable_seq: attachment.durable_seq,
            lease: Some(convert::to_duration(bounds.lease)),
            beat_interval: Some(convert::to_duration(bounds.beat)),
            max_batch_events: most(bounds.batch_events),
            max_message_bytes: most(service.config.connections.message_bytes),
            server: SERVER.to_owned(),
            credential_expire_time: None,
        }));
        service.counts.ingest.stream();
        let conversation = Self {
            service: service.clone(),
            project: hello.project,
            worker: hello.worker,
            incarnation: hello.incarnation,
            attachment,
            handles: Handles::default(),
            passes_over_chunks: false,
            sent: None,
        };
        Ok((conversation, answers))
    }

    /// Whose worker it is.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Who speaks.
    pub fn name(&self) -> Name {
        (self.project.clone(), self.incarnation)
    }

    /// Takes a message, whole or not at all.
    ///
    /// # Errors
    /// What ends the stream.
    pub fn take(&mut self, message: AttachRequest, now: Now) -> Result<Next, Error> {
        let live = &self.service.live;
        let most = self.service.config.bounds.batch_events;
        match message.message {
            None => Err(Error::invalid("message", "is empty, or newer than this service")),
            // Of the stream, and not of what is said on it: it never comes here.
            Some(Said::Authenticate(_)) => Ok(Next::Wait),
            Some(Said::Hello(_)) => Err(Error::OutOfOrder("hello comes once, as the first message".into())),
            Some(Said::Declare(declare)) => self.declare(&declare, now),
            Some(Said::Events(batch)) => {
                let events = decode::events(&batch, &self.handles, most)?;
                let outcome = live.batch(&self.attachment, batch.seq, events, now)?;
                self.count(Form::Events, &outcome);
                self.answer(outcome)
            }
            Some(Said::Columns(batch)) => {
                let events = decode::columns(&batch, &self.handles, most)?;
                let outcome = live.batch(&self.attachment, batch.seq, events, now)?;
                self.count(Form::Columns, &outcome);
                self.answer(outcome)
            }
            Some(Said::Snapshot(chunk)) => self.snapshot(&chunk, now),
            Some(Said::Beat(beat)) => self.beat(beat, now),
            Some(Said::Goodbye(goodbye)) => self.goodbye(goodbye, now),
            Some(Said::Acquire(said)) => self.acquire(&said, now),
            Some(Said::Release(said)) => self.release(&said, now),
        }
    }

    fn declare(&mut self, declare: &Declare, now: Now) -> Result<Next, Error> {
        let (meters, declared) = self.handles.declare(&self.service, &self.project, declare, now)?;
        self.service.live.declare(&self.attachment, &meters, now)?;
        Ok(Next::Answer(Answer::Declared(declared)))
    }

    fn acquire(&self, said: &StreamAcquire, now: Now) -> Result<Next, Error> {
        let asked = asks::on_stream(&self.service, (&self.project, &self.worker), said, &self.handles, now);
        let (id, wants, wait) = asked.map_err(|error| error.within("acquire"))?;
        let ask = match wants {
            Wants::Ask(ask) => ask,
            Wants::Refused(refused) => return Ok(Next::Answer(acquired(id, Told::Refused(refused)))),
        };
        let who = Who::Stream(self.attachment.clone());
        Ok(match acquire::ask(&self.service, &who, &ask, now)? {
            acquire::Asked::Told(told, _) => Next::Answer(acquired(id, told)),
            acquire::Asked::Pending(pending) => Next::Asked(Box::new(Asking { who, ask, pending, wait })),
        })
    }

    fn release(&self, said: &StreamRelease, now: Now) -> Result<Next, Error> {
        let within = |problem: crate::error::FieldProblem| problem.within("release");
        let (id, _) = convert::session_id(&said.session_id).map_err(within)?;
        let outcome = convert::outcome(said.outcome).map_err(within)?;
        let who = Who::Stream(self.attachment.clone());
        let result = acquire::give_back(&self.service, &who, id, outcome, now)? as i32;
        Ok(Next::Answer(Answer::Released(Released { session_id: id.0.to_vec(), result })))
    }

    fn snapshot(&mut self, chunk: &SnapshotChunk, now: Now) -> Result<Next, Error> {
        if self.passes_over_chunks && chunk.index > 0 {
            return Ok(Next::Wait);
        }
        let sessions = decode::snapshot(chunk, &self.handles)?;
        self.service.live.heard_grants(&self.attachment, chunk.grants_heard)?;
        let last = chunk.last.then_some((chunk.count, chunk.digest));
        let outcome = self.service.live.snapshot(&self.attachment, chunk.index, sessions, last, now)?;
        self.passes_over_chunks = matches!(outcome, Batch::BadSnapshot(_));
        match outcome {
            Batch::Applied(_) if !chunk.last => Ok(Next::Wait),
            Batch::Applied(_) => {
                self.count(Form::Snapshot, &outcome);
                self.sent = None;
                Ok(Next::Acknowledge)
            }
            other => self.answer(other),
        }
    }

    fn count(&self, form: Form, outcome: &Batch) {
        if let Batch::Applied(applied) = outcome {
            self.service.counts.ingest.batch(form, applied);
            if applied.left_out > 0 {
                let most = self.service.config.bounds.sessions_per_project as u64;
                self.service.counts.ingest.refused(&Error::Bound { name: "sessions_per_project", most });
            }
        }
    }

    fn beat(&self, beat: Beat, now: Now) -> Result<Next, Error> {
        let believed = beat.has_digest.then_some((beat.as_of_seq, beat.live_count, beat.live_digest));
        self.service.live.heard_grants(&self.attachment, beat.grants_heard)?;
        match self.service.live.beat(&self.attachment, believed, now)? {
            Batch::Ignored => Ok(Next::Wait),
            other => self.answer(other),
        }
    }

    fn goodbye(&self, goodbye: StreamGoodbye, now: Now) -> Result<Next, Error> {
        let outcome = convert::outcome(goodbye.outcome).map_err(|problem| problem.within("goodbye"))?;
        self.service.live.stream_goodbye(&self.attachment, outcome, now)?;
        Ok(Next::End)
    }

    fn answer(&self, outcome: Batch) -> Result<Next, Error> {
        let asked = |why| self.service.counts.ingest.asked(why);
        let needed = |reason, applied_seq| {
            asked(match reason {
                Reason::DigestMismatch => Asked::DigestMismatch,
                Reason::SnapshotMismatch => Asked::SnapshotMismatch,
                Reason::Gap | Reason::Unspecified => Asked::Gap,
            });
            Next::Answer(Answer::SnapshotNeeded(SnapshotNeeded { reason: reason as i32, applied_seq }))
        };
        Ok(match outcome {
            Batch::Applied(_) | Batch::Ignored => Next::Acknowledge,
            Batch::NoSnapshotYet => {
                return Err(Error::OutOfOrder("a batch came before the first snapshot of the stream".into()));
            }
            Batch::Expired { lost } => {
                asked(Asked::LeaseExpired);
                Next::Answer(Answer::LeaseExpired(LeaseExpired { lost_sessions: lost }))
            }
            Batch::Gap { applied_seq } => needed(Reason::Gap, applied_seq),
            Batch::DigestMismatch { applied_seq } => needed(Reason::DigestMismatch, applied_seq),
            Batch::BadSnapshot(ChunkProblem::TooMany) => {
                let most = self.service.config.bounds.sessions_per_project as u64;
                return Err(Error::Bound { name: "sessions_per_project", most });
            }
            Batch::BadSnapshot(ChunkProblem::OutOfOrder { .. } | ChunkProblem::Mismatch) => {
                let (applied_seq, _) = self.service.live.acknowledged(&self.attachment)?;
                needed(Reason::SnapshotMismatch, applied_seq)
            }
        })
    }

    /// What is to be acknowledged, unless the worker knows it already.
    ///
    /// # Errors
    /// When a newer stream took over.
    pub fn acknowledge(&mut self) -> Result<Option<Answer>, Error> {
        let (applied_seq, durable_seq) = self.service.live.acknowledged(&self.attachment)?;
        let ack = Ack { applied_seq, durable_seq };
        let is_news = self.sent != Some(ack);
        self.sent = Some(ack);
        Ok(is_news.then_some(Answer::Ack(ack)))
    }

    /// Whether the worker waits to hear that what was applied is durable.
    pub fn is_lagging(&self) -> bool {
        self.sent.is_some_and(|ack| ack.durable_seq < ack.applied_seq)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.service.live.detach(&self.attachment);
    }
}

/// What became of a slot that was asked for.
pub fn acquired(id: SessionId, told: Told) -> Answer {
    let result = match told {
        Told::Granted(granted) => Outcome::Granted(granted),
        Told::Refused(refused) => Outcome::Refused(refused),
    };
    Answer::Acquired(Acquired { session_id: id.0.to_vec(), result: Some(result) })
}

fn check(hello: &Hello) -> convert::Checked<live::Hello> {
    let wrong = |field, problem: String| Err(crate::error::FieldProblem::new(field, problem));
    if hello.protocol_version != PROTOCOL_VERSION {
        let problem = format!("is {}; this service speaks {PROTOCOL_VERSION}", hello.protocol_version);
        return wrong("protocol_version", problem);
    }
    if hello.attach_seq == 0 {
        return wrong("attach_seq", "is 0; attachments are numbered from 1".to_owned());
    }
    convert::text("client", &hello.client, 0, MAX_WORKER_BYTES)?;
    Ok(live::Hello {
        project: convert::reported_project(&hello.project)?,
        worker: worker(&hello.worker_id)?.into(),
        incarnation: convert::incarnation("incarnation", &hello.incarnation)?,
        replaces: replaced(&hello.replaces)?,
        attach_seq: hello.attach_seq,
    })
}

/// The name of a worker.
pub(super) fn worker(name: &str) -> convert::Checked<&str> {
    convert::text("worker_id", name, 1, MAX_WORKER_BYTES)
}

fn replaced(bytes: &[u8]) -> convert::Checked<Option<Incarnation>> {
    if bytes.is_empty() { Ok(None) } else { convert::incarnation("replaces", bytes).map(Some) }
}
