"""The worker client: one stream to the service for the life of a process, kept up by a thread of its own.

It must never harm a call: what it is told is noted in memory and returned from at once, whether the service is there
or not, and what cannot be kept is dropped and counted.
"""

import asyncio
import logging
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import grpc
from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import types_pb2 as types
from highwater.v1.ingest_pb2_grpc import IngestServiceStub

from highwater_worker import messages
from highwater_worker.book import Book, Session, session_key
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
MAX_METERS = 1_024
MODEL = re.compile(r"[a-z0-9._:/@+-]{1,128}")
MODEL_KINDS = {types.KIND_LLM, types.KIND_STT, types.KIND_TTS, types.KIND_REALTIME}
# How a session can end in a report; `OUTCOME_LOST` is the service's to say.
REPORTED_OUTCOMES = range(types.OUTCOME_OK, types.OUTCOME_OTHER + 1)

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
    """Reports the sessions of this process to a Highwater service. Safe to use from any thread; not across a fork."""

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

        `token` is what the service knows this worker by: an API key (`hwm_...`), or a function that mints a LiveKit access
        token; it is called for each stream, and again before the token of a stream ends. The project is the key's own
        when none is named. With `tls`, as `grpc.ssl_channel_credentials()` makes it, the stream is in TLS, else in plain
        text.

        `on_release` is called with a session's id and a reason when somebody wants its slot free: it should end the call,
        and the slot is held until `disconnect`. It runs on the thread that listens to the service, so it must not block.
        Without it such a session is noted as cancelled.

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
        self._meters: dict[int, types.Meter] = {}
        self._handles: dict[bytes, int] = {}
        self._book = Book()
        self._stream: _Stream | None = None
        self._closing: int | None = None
        # Guards all of the above, and tells of every change to it.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="highwater-worker", daemon=True)
        self._thread.start()

    def meter(self, kind: int, model: str = "", account: str = "", unit: int = types.UNIT_UNSPECIFIED) -> int:
        """The handle of a meter, to connect sessions on. `kind` and `unit` are the enums of `highwater.v1`.

        Raises ValueError for what the service would refuse: this is set-up, and a mistake in it is best seen there.
        """
        if kind not in types.Kind.values() or kind == types.KIND_UNSPECIFIED:
            raise ValueError(f"kind {kind} is not a kind")
        if kind in MODEL_KINDS and not MODEL.fullmatch(model):
            raise ValueError(f"model {model!r} is not 1 to 128 bytes of [a-z0-9._:/@+-]")
        if kind not in MODEL_KINDS and model:
            raise ValueError(f"a connection kind has no model, but got {model!r}")
        if not re.fullmatch(r"[a-z0-9._-]{0,64}", account):
            raise ValueError(f"account {account!r} is not at most 64 bytes of [a-z0-9._-]")
        meter = types.Meter(kind=kind, model=model, account=account, unit=unit)
        name = meter.SerializeToString(deterministic=True)
        with self._changed:
            if name not in self._handles:
                if len(self._handles) == MAX_METERS:
                    raise ValueError(f"a worker has at most {MAX_METERS} meters")
                handle = len(self._handles) + 1
                self._handles[name] = handle
                self._meters[handle] = meter
            return self._handles[name]

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

    def disconnect(self, session_id: bytes | str, outcome: int = types.OUTCOME_OK) -> None:
        """Notes that a session ended. Never waits; a session that is not held is left alone."""
        key = session_key(messages.wire_id(session_id))
        if outcome not in REPORTED_OUTCOMES:
            outcome = types.OUTCOME_OTHER
        with self._changed:
            if self._book.disconnect(key, outcome, time.monotonic()):
                self._changed.notify_all()

    @contextmanager
    def session(self, meter: int, room: str = "", job: str = "") -> Iterator[bytes]:
        """Holds a session while the block runs; its outcome is taken from how the block ends."""
        session_id = self.connect(meter, room=room, job=job)
        outcome = types.OUTCOME_OTHER
        try:
            yield session_id
            outcome = types.OUTCOME_OK
        except (asyncio.CancelledError, GeneratorExit):
            outcome = types.OUTCOME_CANCELLED
            raise
        except TimeoutError:
            outcome = types.OUTCOME_TIMEOUT
            raise
        finally:
            self.disconnect(session_id, outcome)

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
                self._attach_seq += 1
                requests = self._requests(stream, self._attach_seq)
                stream.call = IngestServiceStub(channel).Attach(requests, metadata=metadata)
            try:
                for answer in stream.call:
                    with self._changed:
                        self._take(stream, answer)
                        self._changed.notify_all()
                    if answer.WhichOneof("message") == "release":
                        # Outside the lock: what is called is the caller's code.
                        self._release(answer.release)
            except grpc.RpcError as error:
                self._note_end(stream, error)
            finally:
                with self._changed:
                    stream.ended = True
                    self._stream = None
                    self._changed.notify_all()
        return stream

    def _note_end(self, stream: _Stream, error: grpc.RpcError) -> None:
        log.info("the stream ended: %s %s", error.code(), error.details())
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT and stream.attached:
            # Sent again, the same would be refused again. Levels are right by the snapshot all the same.
            with self._changed:
                self._book.skip_unapplied()
            log.warning("the service refused a report, which is dropped: %s", error.details())

    def _take(self, stream: _Stream, answer: pb.AttachResponse) -> None:
        """Applies an answer of the service."""
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
        if stream.wants_snapshot:
            # Encoded as it is sent, when the lock is free again: it may be long.
            snapshot = messages.snapshot_messages(self._sessions_to_state(stream), items, now)
            due = chain(self._declarations(stream), snapshot)
            stream.wants_snapshot = False
            stream.attached = True
            self._changed.notify_all()
        elif batch := self._book.batch_after(stream.sent_seq):
            due = [*self._declarations(stream), messages.batch_message(batch, now)]
            stream.sent_seq = batch.seq
        elif self._closing is not None:
            due = [pb.AttachRequest(goodbye=pb.StreamGoodbye(outcome=self._closing))]
            stream.said_goodbye = True
        elif now >= stream.beat_at:
            due = [pb.AttachRequest(beat=messages.beat(self._book))]
            stream.beat_at = now + welcome.beat_interval.ToTimedelta().total_seconds()
        else:
            due = None
        return due

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
