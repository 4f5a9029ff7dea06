"""The worker client: one stream to the service for the life of a process, kept up by a thread of its own.

It must never harm a call: what it is told is noted in memory and returned from at once, whether the service is there
or not, and what cannot be kept is dropped and counted.
"""

import logging
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import grpc
from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import route_pb2 as rpb
from highwater.v1 import types_pb2 as types
from highwater.v1.ingest_pb2_grpc import IngestServiceStub

from highwater_worker import messages, meters
from highwater_worker import outcome as outcomes
from highwater_worker import wish as wishes
from highwater_worker.admission import ANSWER_SECONDS, Admission
from highwater_worker.book import Book, Session, session_key
from highwater_worker.slot import Acquiring
from highwater_worker.way import RENEW_SECONDS, Way

CLIENT = "highwater-python/0.1.0"
PROTOCOL_VERSION = 1
# Wait before the first new attempt and the longest one; each time a random part of it (full jitter), so that the
# workers of a service that restarts do not all come in the same moment.
FIRST_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 10.0
# A service that accepts a stream and says nothing for so long is given up.
WELCOME_SECONDS = 10.0
# Stands for a token that is due, which is minted outside the lock.
_RENEW: list[pb.AttachRequest] = [pb.AttachRequest()]

log = logging.getLogger("highwater")


@dataclass(eq=False)
class _Stream:
    """What belongs to one attachment, and is forgotten with it."""

    opened_at: float
    call: grpc.Call | None = None
    welcome: pb.Welcome | None = None
    wants_snapshot: bool = True
    lease_expired: bool = False
    attached: bool = False
    declared: set[int] = field(default_factory=set)
    # Of the last batch sent on this stream, or that need not be sent on it.
    sent_seq: int = 0
    beat_at: float = 0.0
    drain_at: float | None = None
    # When another credential is to be presented on it.
    renew_at: float | None = None
    said_goodbye: bool = False
    ended: bool = False


class Worker:
    """Reports the sessions of this process to a Highwater service, and asks it for slots. Safe to use from any thread;
    not across a fork."""

    def __init__(
        self,
        target: str,
        project: str = "",
        worker_id: str = "worker",
        token: str | Callable[[], str] | None = None,
        tls: grpc.ChannelCredentials | None = None,
        on_release: Callable[[bytes, str], None] | None = None,
    ) -> None:
        """Starts to attach to `target` (`host:port`) in the background; reports may begin at once.

        `token` is what the service knows this worker by: an API key (`hwm_...`), or a function that mints a LiveKit
        access token; it is called for each stream, and again before the token of a stream ends. The project is the
        key's own when none is named. With `tls`, as `grpc.ssl_channel_credentials()` makes it, the stream is in TLS,
        else in plain text.

        `on_release` is called with a session's id and a reason when somebody wants its slot free: it should end the
        call, and the slot is held until `disconnect`. It runs on the thread that listens to the service, so it must not
        block. Without it such a session is noted as cancelled.

        Raises ValueError for names that the service would refuse.
        """
        if not re.fullmatch(r"[a-z0-9-]{0,64}", project):
            raise ValueError(f"project {project!r} is not at most 64 bytes of [a-z0-9-]")
        if not 1 <= len(worker_id.encode()) <= messages.MAX_ID_BYTES:
            raise ValueError(f"worker id {worker_id!r} is not 1 to {messages.MAX_ID_BYTES} bytes")
        self._way = Way(target, token, tls)
        self._project = project
        self._worker_id = worker_id
        self._on_release = on_release
        self.incarnation = uuid.uuid4().bytes
        self._attach_seq = 0
        self._meters = meters.Meters()
        self._book = Book()
        self._stream: _Stream | None = None
        self._closing: int | None = None
        # Guards all of the above, and tells of every change to it.
        self._changed = threading.Condition()
        self._admission = Admission(self._changed, self._book, self._meters)
        # Those who are told of routes; held while they are, so that each hears them in order.
        self._listeners: list[Callable[[rpb.Routes], None]] = []
        self._telling = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="highwater-worker", daemon=True)
        self._thread.start()

    def meter(self, kind: int, model: str = "", account: str = "", unit: int = types.UNIT_UNSPECIFIED) -> int:
        """The handle of a meter, to connect sessions on. `kind` and `unit` are the enums of `highwater.v1`.

        Raises ValueError for what the service would refuse: this is set-up, and a mistake in it is best seen there.
        """
        with self._changed:
            return self._meters.handle(meters.checked(kind, model, account, unit))

    def connect(self, meter: int, session_id: bytes | str | None = None, room: str = "", job: str = "") -> bytes:
        """Notes that a session began, and returns its id, made here unless given. Never waits."""
        wire_id = messages.wire_id(uuid.uuid4().bytes if session_id is None else session_id)
        now = time.monotonic()
        session = Session(session_key(wire_id), wire_id, meter, messages.label(room), messages.label(job), now)
        with self._changed:
            if meter not in self._meters:
                log.warning("a session was not counted: no meter has the handle %s", meter)
            elif self._book.connect(session):
                self._changed.notify_all()
        return wire_id

    def disconnect(self, session_id: bytes | str, outcome: int | str = types.OUTCOME_OK) -> None:
        """Notes that a session ended. Never waits; a session that is not held is left alone."""
        number = outcomes.number(outcome)
        self._admission.end(messages.wire_id(session_id), types.OUTCOME_OTHER if number is None else number)

    @contextmanager
    def session(self, meter: int, room: str = "", job: str = "") -> Iterator[bytes]:
        """Holds a session while the block runs; its outcome is taken from how the block ends."""
        session_id = self.connect(meter, room=room, job=job)
        ended_by: type[BaseException] | None = None
        try:
            yield session_id
        except BaseException as error:
            ended_by = type(error)
            raise
        finally:
            self.disconnect(session_id, outcomes.of_block(ended_by))

    def acquire(
        self,
        models: Sequence[int] = (),
        chain: str = "",
        room: str = "",
        job: str = "",
        priority: int | str = "standard",
        wait: float = 0.0,
        session_id: bytes | str | None = None,
    ) -> Acquiring:
        """A slot for a session: of the first of `models` (handles of meters, at most 8) that has one, or of a `chain`
        by its route. It is asked for by `with`, `async with`, `await` or `wait()` of what is returned, which give a
        `Slot`, or raise Refused.

        `priority` is `priority`, `standard` or `low`; `wait` the seconds to wait for a slot when there is none, up to
        60. Sessions of one `job` stay with one model while it has room. Who asks again for a `session_id` that is held
        is told the same.

        A call never hangs on the service: when it can't be reached, or takes more than a second beside the wait, the
        slot is of the model that the last route gives, or of the first of `models` (which may be named beside a chain
        for this), is marked as not `confirmed`, and is reported when the service is back.

        Raises ValueError that names what is wrong with what was asked for.
        """
        with self._changed:
            wanted = wishes.checked(self._meters, models, chain, room, job, priority, wait, session_id)
        return Acquiring(self._admission, wanted)

    @property
    def routes(self) -> rpb.Routes | None:
        """The newest routes that were heard: which models of each chain new sessions use. None before the first."""
        with self._changed:
            return self._admission.routes

    def on_routes(self, told: Callable[[rpb.Routes], None]) -> Callable[[rpb.Routes], None]:
        """Calls `told` with the newest routes, if any were heard, and with each newer version, on the thread that
        listens to the service: it must not block. Returns it, so that it can be used as a decorator."""
        with self._telling:
            self._listeners.append(told)
            if (newest := self.routes) is not None:
                self._tell_routes(told, newest)
        return told

    def live(self) -> set[bytes]:
        """The 16-byte ids of the sessions that are held."""
        with self._changed:
            return set(self._book.live)

    @property
    def attached(self) -> bool:
        """True while the service has this worker's stream and its snapshot."""
        with self._changed:
            return self._is_attached()

    @property
    def dropped_events(self) -> int:
        """Events that were given up before the service had their history."""
        with self._changed:
            return self._book.dropped_events

    def flush(self, timeout: float) -> bool:
        """Waits until the service has applied all that was noted. For tests and the end of a process, not for calls."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_attached() and self._book.settled(), timeout)

    def close(self, outcome: int = types.OUTCOME_OK, timeout: float = 2.0) -> None:
        """Says goodbye, so that sessions still held end at once. When the service is away, its lease ends them."""
        with self._changed:
            self._closing = outcome
            self._admission.shut()
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            if self._stream is not None and self._stream.call is not None:
                self._stream.call.cancel()

    # The thread: attaches, reads the answers, and attaches again.

    def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            stream = self._attach()
            if stream.welcome is not None:
                backoff = FIRST_BACKOFF_SECONDS
            drained = stream.drain_at is not None
            with self._changed:
                wait = 0.0 if drained else random.uniform(0.0, backoff)
                if self._changed.wait_for(lambda: self._closing is not None, wait):
                    return
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _attach(self) -> _Stream:
        """Opens a stream and stays until it ends."""
        stream = _Stream(opened_at=time.monotonic())
        with self._way.channel() as channel:
            # Outside the lock: minting is the caller's code.
            metadata = self._way.metadata()
            with self._changed:
                self._stream = stream
                self._admission.begin_stream()
                self._attach_seq += 1
                requests = self._requests(stream, self._attach_seq)
                stream.call = IngestServiceStub(channel).Attach(requests, metadata=metadata)
            try:
                for answer in stream.call:
                    with self._changed:
                        self._take(stream, answer)
                        self._changed.notify_all()
                    # Outside the lock: what is called is the caller's code.
                    match answer.WhichOneof("message"):
                        case "release":
                            self._release(answer.release)
                        case "routes":
                            self._hear_routes(answer.routes)
            except grpc.RpcError as error:
                self._note_end(stream, error)
            finally:
                with self._changed:
                    stream.ended = True
                    self._stream = None
                    if stream.drain_at is None:
                        # Where it was to leave, it attaches again at once, and what was asked is asked there.
                        self._admission.lost()
                    self._changed.notify_all()
        return stream

    def _note_end(self, stream: _Stream, error: grpc.RpcError) -> None:
        log.info("the stream ended: %s %s", error.code(), error.details())
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT and stream.attached:
            if (error.details() or "").startswith("acquire"):
                log.warning("the service refused what was asked for: %s", error.details())
                return
            # Sent again, the same would be refused again. Levels are right by the snapshot all the same.
            with self._changed:
                self._book.skip_unapplied()
            log.warning("the service refused a report, which is dropped: %s", error.details())

    def _take(self, stream: _Stream, answer: pb.AttachResponse) -> None:
        """Applies an answer of the service."""
        self._admission.heard()
        match answer.WhichOneof("message"):
            case "welcome":
                stream.welcome = answer.welcome
                stream.renew_at = self._way.renew_at(answer.welcome, "credential_expire_time")
                self._go_on_from(stream, answer.welcome.applied_seq, answer.welcome.durable_seq)
            case "authenticated":
                stream.renew_at = self._way.renew_at(answer.authenticated, "expire_time")
            case "ack":
                self._book.acknowledge(answer.ack.applied_seq, answer.ack.durable_seq)
            case "declared":
                for declared in answer.declared.meters:
                    self._meters.counts_as(declared.handle, declared.meter)
                    if not declared.in_catalogue:
                        log.info("the catalogue does not know %s; it is counted", declared.meter.model)
            case "snapshot_needed":
                reason = pb.SnapshotNeeded.Reason.Name(answer.snapshot_needed.reason)
                log.info("the service asks for a snapshot: %s", reason)
                self._go_on_from(stream, answer.snapshot_needed.applied_seq, 0)
                stream.wants_snapshot = True
            case "lease_expired":
                log.warning("the lease had ended; the service lost %s sessions", answer.lease_expired.lost_sessions)
                stream.lease_expired = True
                stream.wants_snapshot = True
                stream.sent_seq = self._book.applied_seq
            case "acquired":
                self._admission.take(answer.acquired)
            case "drain":
                within = answer.drain.within.ToTimedelta().total_seconds()
                stream.drain_at = time.monotonic() + random.uniform(0.0, within)

    def _release(self, release: pb.Release) -> None:
        """Somebody wants the slot of a session free."""
        with self._changed:
            session = self._book.live.get(session_key(release.session_id))
        if session is None:
            return
        log.info("a session is to be released: %s", release.reason)
        if self._on_release is None:
            self.disconnect(session.id, types.OUTCOME_CANCELLED)
            return
        try:
            self._on_release(session.id, release.reason)
        except Exception:
            log.exception("what was to release a session failed; it is held")

    def _hear_routes(self, heard: rpb.Routes) -> None:
        """Routes came."""
        with self._telling:
            with self._changed:
                if not self._admission.take_routes(heard):
                    return
            for told in list(self._listeners):
                self._tell_routes(told, heard)

    def _tell_routes(self, told: Callable[[rpb.Routes], None], newest: rpb.Routes) -> None:
        try:
            told(newest)
        except Exception:
            log.exception("what was to hear of routes failed")

    def _go_on_from(self, stream: _Stream, applied_seq: int, durable_seq: int) -> None:
        applied_seq = max(applied_seq, durable_seq)
        self._book.resume(applied_seq, durable_seq)
        stream.sent_seq = applied_seq

    # The sender: gRPC draws these from a thread of its own, one at a time, as fast as the service takes them.

    def _requests(self, stream: _Stream, attach_seq: int) -> Iterator[pb.AttachRequest]:
        yield pb.AttachRequest(
            hello=pb.Hello(
                protocol_version=PROTOCOL_VERSION,
                project=self._project,
                worker_id=self._worker_id,
                incarnation=self.incarnation,
                attach_seq=attach_seq,
                client=CLIENT,
            )
        )
        while due := self._due(stream):
            if due is _RENEW:
                if token := self._way.mint():
                    yield pb.AttachRequest(authenticate=pb.Authenticate(token=token))
            else:
                yield from due

    def _due(self, stream: _Stream) -> Iterable[pb.AttachRequest] | None:
        """Waits for what is to be sent next. None at the end of the stream."""
        with self._changed:
            while not stream.ended and not stream.said_goodbye:
                now = time.monotonic()
                if stream.welcome is None:
                    wake_at = stream.opened_at + WELCOME_SECONDS
                    if self._admission.waits_for_stream:
                        # A service that takes so long is none: whoever has asked goes on.
                        wake_at = stream.opened_at + ANSWER_SECONDS
                        if now >= wake_at:
                            self._admission.lost()
                            continue
                elif stream.renew_at is not None and now >= stream.renew_at:
                    stream.renew_at = now + RENEW_SECONDS
                    return _RENEW
                elif due := self._due_now(stream, stream.welcome, now):
                    return due
                else:
                    wake_at = stream.beat_at
                    if stream.renew_at is not None:
                        wake_at = min(wake_at, stream.renew_at)
                if stream.drain_at is not None:
                    wake_at = min(wake_at, stream.drain_at)
                if now >= wake_at:
                    # No welcome came, or the time to leave has: the thread attaches anew.
                    stream.call.cancel()
                    break
                self._changed.wait(wake_at - now)
            return None

    def _due_now(self, stream: _Stream, welcome: pb.Welcome, now: float) -> Iterable[pb.AttachRequest] | None:
        items = messages.max_items(welcome)
        self._book.seal(items)
        if stream.wants_snapshot or self._admission.wants_snapshot:
            # Encoded as it is sent, when the lock is free again: it may be long.
            sessions = self._sessions_to_state(stream)
            snapshot = messages.snapshot_messages(sessions, items, now, self._admission.grants_heard)
            stream.wants_snapshot = self._admission.wants_snapshot = False
            stream.attached = True
            self._changed.notify_all()
            return chain(self._declarations(stream), snapshot)
        due: list[pb.AttachRequest] = []
        if batch := self._book.batch_after(stream.sent_seq):
            due.append(messages.batch_message(batch, now))
            stream.sent_seq = batch.seq
        if stream.sent_seq >= self._book.last_seq:
            # After what was given back before: that slot may be the one.
            due += self._admission.due(now)
        if due:
            due = [*self._declarations(stream), *due]
        elif self._closing is not None:
            due.append(pb.AttachRequest(goodbye=pb.StreamGoodbye(outcome=self._closing)))
            stream.said_goodbye = True
            return due
        if now >= stream.beat_at and stream.sent_seq >= self._book.last_seq:
            due.append(pb.AttachRequest(beat=messages.beat(self._book, self._admission.grants_heard)))
            stream.beat_at = now + welcome.beat_interval.ToTimedelta().total_seconds()
        return due or None

    def _sessions_to_state(self, stream: _Stream) -> list[Session]:
        """The sessions of a snapshot.

        When a stream begins and the service still holds this worker's sessions, it is what was live before the batches
        that follow: so each disconnect among them finds its session and gives it its outcome. Else it is what is live
        now: sessions that ended meanwhile must not come up again, and batches on their way may have been applied.
        """
        if stream.attached or stream.lease_expired:
            return list(self._book.live.values())
        return self._book.live_as_of_applied()

    def _declarations(self, stream: _Stream) -> list[pb.AttachRequest]:
        new = [
            pb.MeterDeclaration(handle=handle, meter=meter)
            for handle, meter in self._meters.items()
            if handle not in stream.declared
        ]
        stream.declared.update(declaration.handle for declaration in new)
        return [pb.AttachRequest(declare=pb.Declare(meters=new))] if new else []

    def _is_attached(self) -> bool:
        return self._stream is not None and self._stream.attached
