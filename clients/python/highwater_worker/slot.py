"""Slots that a worker asks for, as its callers see them: what is asked, what is held, and why there is none."""

import asyncio
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import types_pb2 as types

from highwater_worker import outcome as outcomes
from highwater_worker.wish import Wish

if TYPE_CHECKING:
    from highwater_worker.admission import Admission


class Refused(Exception):
    """There is no slot. Its text is for people."""

    def __init__(self, refused: pb.Refused) -> None:
        self.message: str = refused.message
        # A `RefusalCause` of `highwater.v1`; `REFUSAL_CAUSE_UNSPECIFIED` when the service was not asked.
        self.cause: int = refused.cause
        # What each model says, who holds its slots, and when one is expected.
        self.refusals: Sequence[pb.Refusal] = list(refused.refusals)
        # Seconds until the next slot of any of them is expected; None when that is not known.
        has_wait = refused.HasField("expected_wait")
        self.expected_wait: float | None = refused.expected_wait.ToTimedelta().total_seconds() if has_wait else None
        soon = f"; the next is expected in {self.expected_wait:.0f} s" if self.expected_wait is not None else ""
        super().__init__(self.message + soon)


class Slot:
    """A slot that a session holds, until it is released. Safe to use from any thread."""

    def __init__(
        self, admission: "Admission", wish: Wish, session_id: bytes, meter: types.Meter, granted: pb.Granted | None
    ) -> None:
        """Made by `Worker.acquire`; `granted` is what the service said, None when it could not be asked."""
        self._admission = admission
        self._wish = wish
        self.session_id = session_id
        # What it counts on.
        self.meter = meter
        # False when the service could not be asked: the session goes on, and is reported when the service is back.
        self.confirmed = granted is not None
        # True when it is not the first model that was asked for: a fallback.
        self.diverted = granted is not None and granted.diverted
        # True when the session held this slot before it asked.
        self.again = granted is not None and granted.again
        # A `GrantReason` of `highwater.v1`: why it is this model of the chain.
        self.reason: int = granted.reason if granted is not None else pb.GRANT_REASON_UNSPECIFIED
        # What the models before it said.
        self.passed_over: Sequence[pb.Refusal] = list(granted.passed_over) if granted is not None else []

    @property
    def model(self) -> str:
        """The model to use: `provider/model`."""
        return self.meter.model

    def release(self, outcome: int | str = types.OUTCOME_OK) -> bool:
        """Gives the slot back: how the session ended, as `OUTCOME_TIMEOUT` or `"timeout"`. Returns whether it was held.
        Never waits.

        Raises ValueError for what is no outcome; the slot is given back all the same, with `other`.
        """
        number = outcomes.number(outcome)
        was_held = self._admission.end(self.session_id, types.OUTCOME_OTHER if number is None else number)
        if number is None:
            raise outcomes.wrong(outcome)
        return was_held

    def failed(self, outcome: int | str = types.OUTCOME_UNAVAILABLE) -> "Acquiring":
        """Gives the slot back since its model failed, and asks for another: along the chain, or among the models that
        were named, past those that failed this session. Nothing is asked until the result is waited for.

        Raises ValueError as `release` does.
        """
        self.release(outcome)
        return Acquiring(self._admission, self._wish.after(self.meter))

    def __repr__(self) -> str:
        word = "confirmed" if self.confirmed else "unconfirmed"
        return f"<Slot of {self.model}, {word}{', diverted' if self.diverted else ''}>"


class Acquiring:
    """A slot that is about to be asked for, once: with `with`, `async with`, `await`, or `wait()`.

    The service is asked when that begins. Whoever stops waiting (a cancelled task, an interrupt) has left the line, and
    a slot that is granted all the same is given back. At the end of a `with` the slot is released, with the outcome
    that the block's end tells: ok, `cancelled`, `timeout` for a TimeoutError, else `other`."""

    def __init__(self, admission: "Admission", wish: Wish) -> None:
        """Made by `Worker.acquire` and `Slot.failed`."""
        self._admission = admission
        self._wish = wish
        self._slot: Slot | None = None

    def wait(self) -> Slot:
        """Waits for the answer, on this thread: for the time that was asked for and a second at most.

        Raises Refused when there is no slot.
        """
        told = threading.Event()
        with self._admission.asking(self._wish, told.set) as ask:
            told.wait(ask.seconds)
        return ask.taken()

    def __await__(self) -> Generator[object, None, Slot]:
        return self._wait().__await__()

    async def _wait(self) -> Slot:
        told, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            # Of a loop that is closed, nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(told.set)

        with self._admission.asking(self._wish, wake) as ask:
            late = loop.call_later(ask.seconds, told.set)
            try:
                await told.wait()
            finally:
                late.cancel()
        return ask.taken()

    def __enter__(self) -> Slot:
        self._slot = self.wait()
        return self._slot

    async def __aenter__(self) -> Slot:
        self._slot = await self._wait()
        return self._slot

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._slot is not None:
            self._slot.release(outcomes.of_block(kind))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
