"""What a session wants that asks for a slot, checked. Plain data."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration
from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import types_pb2 as types

from highwater_worker import messages
from highwater_worker.meters import Meters, is_same

MAX_MODELS = 8
MAX_WAIT_SECONDS = 60.0
CHAIN = re.compile(r"[a-z0-9._-]{1,64}")
PRIORITIES = {"priority": pb.PRIORITY_PRIORITY, "standard": pb.PRIORITY_STANDARD, "low": pb.PRIORITY_LOW}


@dataclass(frozen=True, slots=True)
class Wish:
    """A slot of a chain, or of the first that has one of several meters."""

    chain: str
    # Handles in the order of preference. Beside a chain: what is gone on with when neither it nor its route can be
    # asked.
    models: tuple[int, ...]
    room: str
    job: str
    priority: int
    # Seconds.
    wait: float
    session_id: bytes | str | None
    # Models that failed this session.
    failed: tuple[types.Meter, ...] = ()

    def after(self, failed: types.Meter) -> "Wish":
        """The same for a session whose model failed: another model, and another id, since the first has ended."""
        failures = (*self.failed, failed)[-MAX_MODELS:]
        name = self.session_id
        if isinstance(name, str):
            name = f"{name.rsplit('#', 1)[0] if self.failed else name}#{len(failures) + 1}"
        elif name is not None:
            name = b"%s#%d" % (name.rsplit(b"#", 1)[0] if self.failed else name, len(failures) + 1)
        return replace(self, failed=failures, session_id=name)

    def models_left(self, meters: Meters) -> list[int]:
        """The handles of those that have not failed."""
        return [handle for handle in self.models if not any(is_same(meters[handle], meter) for meter in self.failed)]

    def message(self, session_id: bytes, meters: Meters, wait: float) -> pb.AttachRequest:
        """Asks for it; `wait` is how many seconds are left of it."""
        acquire = pb.StreamAcquire(
            session_id=session_id, labels=messages.labels(self.room, self.job), priority=self.priority
        )
        if self.chain:
            acquire.chain = self.chain
            acquire.failed.extend(self.failed)
        else:
            acquire.handles.extend(self.models_left(meters))
        if wait > 0:
            acquire.wait.CopyFrom(Duration(seconds=int(wait), nanos=int(wait % 1 * 1e9)))
        return pb.AttachRequest(acquire=acquire)


def checked(
    meters: Meters,
    models: Sequence[int],
    chain: str,
    room: str,
    job: str,
    priority: int | str,
    wait: float,
    session_id: bytes | str | None,
) -> Wish:
    """What is wanted. Raises ValueError that names what is wrong with it, and what would be right."""
    if not isinstance(chain, str) or (chain and not CHAIN.fullmatch(chain)):
        raise ValueError(f"chain {chain!r} is not 1 to 64 bytes of [a-z0-9._-]")
    if isinstance(models, (str, bytes, int)):
        raise TypeError(f"models {models!r} is not a list: handles as `Worker.meter` gives them are needed")
    if not chain and not models:
        raise ValueError("models is empty, and no chain is named: one of them is needed")
    if len(models) > MAX_MODELS:
        raise ValueError(f"models has {len(models)} of them: at most {MAX_MODELS} are taken")
    for place, handle in enumerate(models):
        if not isinstance(handle, int) or handle not in meters:
            raise ValueError(
                f"models[{place}] {handle!r} is no meter of this worker: a handle of `Worker.meter` is needed"
            )
        if any(is_same(meters[handle], meters[other]) for other in models[:place]):
            raise ValueError(f"models[{place}] {meters[handle].model} is there twice: each model may stand once")
    number = PRIORITIES.get(priority, 0) if isinstance(priority, str) else priority
    if number not in PRIORITIES.values():
        raise ValueError(f"priority {priority!r} is none: one of {', '.join(PRIORITIES)} is needed")
    if not (isinstance(wait, (int, float)) and math.isfinite(wait) and 0 <= wait <= MAX_WAIT_SECONDS):
        raise ValueError(f"wait {wait!r} is not 0 to {MAX_WAIT_SECONDS:.0f} seconds")
    if session_id is not None and not (isinstance(session_id, (bytes, str)) and session_id):
        raise ValueError(
            f"session_id {session_id!r} is not at least one byte of text or bytes: leave it out, or name it"
        )
    room, job = messages.label(room), messages.label(job)
    return Wish(chain, tuple(models), room, job, number, float(wait), session_id)
