"""From the book to the wire: builds the messages of a worker's stream."""

from collections.abc import Iterator

from highwater.v1 import ingest_pb2 as pb
from highwater.v1.types_pb2 import OUTCOME_CANCELLED, Labels

from highwater_worker.book import Batch, Book, Event, Session, digest, session_key

# Greatest encoded size of an event: an id of 128 bytes, labels of 64 bytes each, ages, handles and framing.
MAX_EVENT_BYTES = 320
# Most events in a batch and sessions in a chunk, whatever the service allows: keeps messages near 100 kB.
MAX_MESSAGE_ITEMS = 512
MAX_LABEL_BYTES = 64
MAX_ID_BYTES = 128


def max_items(welcome: pb.Welcome) -> int:
    """Most events in a batch, or sessions in a chunk, that this service takes."""
    by_size = welcome.max_message_bytes // MAX_EVENT_BYTES
    return max(1, min(MAX_MESSAGE_ITEMS, welcome.max_batch_events, by_size))


def wire_id(session_id: bytes | str) -> bytes:
    """The id of a session as it is sent."""
    raw = session_id.encode(errors="replace") if isinstance(session_id, str) else session_id
    return raw if 1 <= len(raw) <= MAX_ID_BYTES else session_key(raw)


def label(text: str | None) -> str:
    """A label cut to what the service takes, between characters."""
    return (text or "").encode(errors="replace")[:MAX_LABEL_BYTES].decode(errors="ignore")


def labels(room: str, job: str) -> Labels | None:
    """The labels of a session; None when it has none."""
    return Labels(room=room, job=job) if room or job else None


def beat(book: Book, grants_heard: int) -> pb.Beat:
    """A beat with the digest of all that was sent; nothing is open when it is made."""
    return pb.Beat(
        grants_heard=grants_heard,
        has_digest=True,
        live_count=len(book.live),
        live_digest=book.live_digest,
        as_of_seq=book.last_seq,
    )


def batch_message(batch: Batch, now: float) -> pb.AttachRequest:
    """A batch as it is sent now; ages are of this moment."""
    events = [_event(event, now) for event in batch.events]
    return pb.AttachRequest(events=pb.EventBatch(seq=batch.seq, events=events))


def cancel_message(session_id: bytes) -> pb.AttachRequest:
    """A session that was asked for is not wanted any more."""
    return pb.AttachRequest(release=pb.StreamRelease(session_id=session_id, outcome=OUTCOME_CANCELLED))


def snapshot_messages(
    sessions: list[Session], chunk_size: int, now: float, grants_heard: int
) -> Iterator[pb.AttachRequest]:
    """The chunks of a snapshot, at least one."""
    starts = range(0, max(len(sessions), 1), chunk_size)
    for index, start in enumerate(starts):
        chunk = _chunk(sessions[start : start + chunk_size], now)
        chunk.index = index
        if index == len(starts) - 1:
            chunk.last = True
            chunk.count = len(sessions)
            chunk.digest = digest(sessions)
            chunk.grants_heard = grants_heard
        yield pb.AttachRequest(snapshot=chunk)


def _chunk(sessions: list[Session], now: float) -> pb.SnapshotChunk:
    places: dict[tuple[str, str], int] = {("", ""): 0}
    refs = [places.setdefault((session.room, session.job), len(places)) for session in sessions]
    return pb.SnapshotChunk(
        session_ids=b"".join(session.key for session in sessions),
        handles=[session.handle for session in sessions],
        ages_us=[_age_us(session.since, now) for session in sessions],
        label_refs=refs if len(places) > 1 else [],
        labels=[Labels(room=room, job=job) for room, job in list(places)[1:]],
    )


def _event(event: Event, now: float) -> pb.Event:
    session = event.session
    age_us = _age_us(event.at, now)
    if event.outcome is None:
        said = labels(session.room, session.job)
        return pb.Event(connect=pb.Connect(session_id=session.id, handle=session.handle, labels=said), age_us=age_us)
    disconnect = pb.Disconnect(session_id=session.id, outcome=event.outcome, handle=session.handle)
    return pb.Event(disconnect=disconnect, age_us=age_us)


def _age_us(at: float, now: float) -> int:
    return max(0, round((now - at) * 1_000_000))
