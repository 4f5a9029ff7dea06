"""What a worker remembers: the sessions it holds, and the batches whose history is not durable yet.

Plain state: no network, no clock, no threads, no protobuf. `now` and times are seconds of a monotonic clock.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

# Events kept until they are durable, and for how long: what a restarted service can be told again. The service takes
# nothing older than 15 min into history.
KEEP_EVENTS = 4_096
KEEP_SECONDS = 600.0
# Most live sessions: what a snapshot may hold.
MAX_SESSIONS = 100_000


def session_key(session_id: bytes) -> bytes:
    """The 16 bytes that a session is known by: its id, or of any other length the first of its SHA-256."""
    return session_id if len(session_id) == 16 else hashlib.sha256(session_id).digest()[:16]


def key_digest(key: bytes) -> int:
    """What one session adds (by XOR) to the digest of a live set."""
    return int.from_bytes(key[:8], "little") ^ int.from_bytes(key[8:], "little")


def digest(sessions: Iterable["Session"]) -> int:
    """The digest of a live set, as `SnapshotChunk.digest`."""
    total = 0
    for session in sessions:
        total ^= key_digest(session.key)
    return total


@dataclass(frozen=True, slots=True)
class Session:
    """One held slot."""

    key: bytes
    id: bytes
    handle: int
    room: str
    job: str
    since: float
    # The service was asked for it, and may hold it already.
    was_asked: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A connect (no outcome) or a disconnect."""

    session: Session
    outcome: int | None
    at: float


@dataclass(slots=True)
class Batch:
    """Events that are sent and acknowledged together."""

    seq: int
    events: list[Event]


class Book:
    """The live sessions of one incarnation, and its events in the order they happened, open ones (not yet in a batch)
    last."""

    def __init__(self) -> None:
        self.live: dict[bytes, Session] = {}
        self.live_digest = 0
        # Of the last batch that was sealed, and of the last that the service said it applied.
        self.last_seq = 0
        self.applied_seq = 0
        # Events that were given up before they were durable: levels are not harmed, history may be.
        self.dropped_events = 0
        self._batches: deque[Batch] = deque()
        self._open: deque[Event] = deque()
        self._kept_events = 0

    def connect(self, session: Session) -> bool:
        """Adds a session. False, and no change, when it is held already or the book is full."""
        if session.key in self.live or len(self.live) >= MAX_SESSIONS:
            return False
        self.live[session.key] = session
        self._add(Event(session, None, session.since))
        return True

    def hold(self, session: Session) -> bool:
        """Adds a session that the service granted and so knows. False, and no change, as of `connect`."""
        if session.key in self.live or len(self.live) >= MAX_SESSIONS:
            return False
        self.live[session.key] = session
        self.live_digest ^= key_digest(session.key)
        return True

    def disconnect(self, key: bytes, outcome: int, now: float) -> bool:
        """Ends a session. False, and no change, when it is not held."""
        session = self.live.pop(key, None)
        if session is None:
            return False
        self._add(Event(session, outcome, now))
        return True

    def seal(self, max_events: int) -> None:
        """Puts the open events into batches."""
        while self._open:
            events = [self._open.popleft() for _ in range(min(max_events, len(self._open)))]
            self.last_seq += 1
            self._batches.append(Batch(self.last_seq, events))

    def batch_after(self, seq: int) -> Batch | None:
        """The first batch after `seq` that is kept."""
        found = None
        for batch in reversed(self._batches):
            if batch.seq <= seq:
                break
            found = batch
        return found

    def acknowledge(self, applied_seq: int, durable_seq: int) -> None:
        """Forgets what is durable."""
        self.applied_seq = max(self.applied_seq, applied_seq)
        while self._batches and self._batches[0].seq <= durable_seq:
            self._forget_oldest_batch()

    def resume(self, applied_seq: int, durable_seq: int) -> None:
        """Goes on from what the service says it has: all kept batches after that are to be sent again.

        A service that restarted may have less than it acknowledged before, and the first of what it lacks may be
        given up here. Since it has nothing after `applied_seq`, the batches are then numbered on from there.
        """
        self.applied_seq = 0
        self.acknowledge(applied_seq, durable_seq)
        self.last_seq = applied_seq
        for batch in self._batches:
            if batch.seq > applied_seq:
                self.last_seq += 1
                batch.seq = self.last_seq

    def skip_unapplied(self) -> None:
        """Gives up the batches that were not applied: the service refuses something in them."""
        while self._batches and self._batches[-1].seq > self.applied_seq:
            skipped = len(self._batches.pop().events)
            self._kept_events -= skipped
            self.dropped_events += skipped

    def settled(self) -> bool:
        """True when the service has applied all that happened."""
        return not self._open and self.applied_seq >= self.last_seq

    def live_as_of_applied(self) -> list[Session]:
        """The sessions that were live before the batches and open events that the service has not applied, and those
        that it was asked for and may have granted."""
        before = dict(self.live)
        unapplied = [event for batch in self._batches if batch.seq > self.applied_seq for event in batch.events]
        for event in reversed([*unapplied, *self._open]):
            if event.outcome is not None:
                before[event.session.key] = event.session
            elif not event.session.was_asked:
                before.pop(event.session.key, None)
        return list(before.values())

    def _add(self, event: Event) -> None:
        self.live_digest ^= key_digest(event.session.key)
        self._open.append(event)
        self._kept_events += 1
        while self._kept_events > KEEP_EVENTS or self._oldest_at() < event.at - KEEP_SECONDS:
            self._drop_oldest()

    def _oldest_at(self) -> float:
        return self._batches[0].events[0].at if self._batches else self._open[0].at

    def _drop_oldest(self) -> None:
        if self._batches:
            self.dropped_events += self._forget_oldest_batch()
        else:
            self._open.popleft()
            self._kept_events -= 1
            self.dropped_events += 1

    def _forget_oldest_batch(self) -> int:
        forgotten = len(self._batches.popleft().events)
        self._kept_events -= forgotten
        return forgotten
