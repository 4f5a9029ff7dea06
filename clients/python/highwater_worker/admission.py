"""Slots that are asked for on the worker's stream. A caller is told at once, or when its turn has come; when the
service can't say, it goes on as it would without the service, and the session is reported.

It opens no stream: it says what is to be sent and takes what comes. Safe to use from any thread, by the worker's lock.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import route_pb2 as rpb
from highwater.v1 import types_pb2 as types

from highwater_worker import messages, routes
from highwater_worker.book import Book, Session, session_key
from highwater_worker.meters import Meters, is_same
from highwater_worker.slot import Refused, Slot
from highwater_worker.wish import Wish

# How long the service may take to answer, beside the time that is waited for a slot.
ANSWER_SECONDS = 1.0
# How often one is asked for when the service wants a snapshot first.
MAX_SENDS = 3

log = logging.getLogger("highwater")


@dataclass(eq=False, slots=True)
class Ask:
    """A slot that is asked for."""

    wish: Wish
    id: bytes
    key: bytes
    begun: float
    # How those are woken that wait for it.
    wakes: list[Callable[[], None]] = field(default_factory=list)
    sends: int = 0
    # A stream that it was sent on broke: it may have been granted.
    was_cut: bool = False
    # Nobody waits for it any more.
    is_left: bool = False
    answer: Slot | Refused | None = None

    @property
    def is_open(self) -> bool:
        return self.answer is None and not self.is_left

    @property
    def seconds(self) -> float:
        """How long its answer may still take."""
        return max(0.0, self.begun + self.wish.wait + ANSWER_SECONDS - time.monotonic())

    def taken(self) -> Slot:
        """Its answer; Refused is raised."""
        if isinstance(self.answer, Slot):
            return self.answer
        raise self.answer if self.answer is not None else RuntimeError("it was not settled")


class Admission:
    """What is asked for, and the newest routes."""

    def __init__(self, changed: threading.Condition, book: Book, meters: Meters) -> None:
        """`changed` is the worker's lock, which guards all of these, and tells of changes."""
        self._changed = changed
        self._book = book
        self._meters = meters
        self.routes: rpb.Routes | None = None
        # The service does not know what this stream holds, and must be told before it grants more.
        self.wants_snapshot = False
        # Grants of this stream that have come.
        self.grants_heard = 0
        # The service can't be asked: it is not there, or did not answer the last time.
        self._is_away = False
        self._is_shut = False
        self._pending: dict[bytes, Ask] = {}
        self._unsent: deque[Ask] = deque()
        # On this stream, until the service answers.
        self._sent: dict[bytes, Ask] = {}
        # Sessions of which the stream is to be told that they are over.
        self._leaving: list[bytes] = []

    # For callers.

    @contextmanager
    def asking(self, wish: Wish, wake: Callable[[], None]) -> Iterator[Ask]:
        """Asks, and calls `wake` when there is an answer. At the end there is one; whoever ends by an error leaves."""
        ask = self._ask(wish, wake)
        try:
            yield ask
        except BaseException:
            self._leave(ask, wake)
            raise
        with self._changed:
            if ask.is_open:
                log.warning("the service did not answer in time: a session goes on without it")
                self._is_away = True
                self._go_on(ask)

    def end(self, session_id: bytes, outcome: int) -> bool:
        """Notes that a session ended; returns whether it was held. Never waits."""
        with self._changed:
            was_held = self._book.disconnect(session_key(session_id), outcome, time.monotonic())
            if was_held:
                self._changed.notify_all()
            return was_held

    def _ask(self, wish: Wish, wake: Callable[[], None]) -> Ask:
        wire_id = messages.wire_id(uuid.uuid4().bytes if wish.session_id is None else wish.session_id)
        key = session_key(wire_id)
        with self._changed:
            # Who asks for a session that is asked for already is told the same.
            ask = self._pending.get(key)
            if ask is None:
                ask = self._pending[key] = Ask(wish, wire_id, key, time.monotonic())
                if self._is_away or not (wish.chain or wish.models_left(self._meters)):
                    self._go_on(ask)
                else:
                    self._unsent.append(ask)
                    self._changed.notify_all()
            if ask.answer is None:
                ask.wakes.append(wake)
            else:
                wake()
            return ask

    def _leave(self, ask: Ask, wake: Callable[[], None]) -> None:
        with self._changed:
            if wake in ask.wakes:
                ask.wakes.remove(wake)
            if ask.wakes or ask.is_left:
                # Somebody else waits for it, or has it.
                return
            if isinstance(ask.answer, Slot):
                if not ask.answer.again:
                    self.end(ask.id, types.OUTCOME_CANCELLED)
                return
            ask.is_left = True
            self._pending.pop(ask.key, None)
            if ask.key in self._sent:
                self._leaving.append(ask.id)
                self._changed.notify_all()

    def _tell(self, ask: Ask, answer: Slot | Refused) -> None:
        ask.answer = answer
        self._pending.pop(ask.key, None)
        for wake in ask.wakes:
            wake()

    def _go_on(self, ask: Ask) -> None:
        """Answers without the service: by the last route, or by the order of the models."""
        held = self._book.live.get(ask.key)
        handle = self._handle_without_service(ask) if held is None else held.handle
        if handle is None:
            self._tell(ask, Refused(self._no_model(ask.wish)))
            return
        if held is None:
            self._book.connect(self._session(ask, handle, was_asked=ask.was_cut or ask.key in self._sent))
            self._changed.notify_all()
        self._tell(ask, Slot(self, ask.wish, ask.id, self._meters[handle], None))

    def _handle_without_service(self, ask: Ask) -> int | None:
        wish = ask.wish
        if route := routes.route_of(self.routes, wish.chain):
            meter = routes.model(route, wish.job.encode() or ask.key, wish.failed)
            return None if meter is None else self._meters.handle_like(meter)
        left = wish.models_left(self._meters)
        return left[0] if left else None

    def _no_model(self, wish: Wish) -> pb.Refused:
        if wish.models or routes.route_of(self.routes, wish.chain):
            message = "every model failed this session"
            return pb.Refused(cause=pb.REFUSAL_CAUSE_NO_MODEL, message=message)
        message = (
            f"the service can't be reached, and never told the route of chain {wish.chain}: name `models` beside it, "
            "which are then gone on with"
        )
        return pb.Refused(message=message)

    def _session(self, ask: Ask, handle: int, was_asked: bool) -> Session:
        wish, now = ask.wish, time.monotonic()
        return Session(ask.key, ask.id, handle, wish.room, wish.job, now, was_asked)

    # For the stream, with the lock held.

    def begin_stream(self) -> None:
        """A stream begins: what was asked on the one before and not answered is asked again."""
        cut = [ask for ask in self._sent.values() if ask.is_open]
        for ask in cut:
            ask.was_cut = True
        self._unsent.extendleft(reversed(cut))
        self._sent.clear()
        self._leaving.clear()
        self.wants_snapshot = False
        self.grants_heard = 0

    def lost(self) -> None:
        """The service can't be asked: all go on without it, until it is heard again."""
        self._is_away = True
        for ask in list(self._pending.values()):
            self._go_on(ask)

    def heard(self) -> None:
        """The service says something."""
        self._is_away = self._is_shut

    @property
    def waits_for_stream(self) -> bool:
        """Whether somebody waits who could be told to go on."""
        return bool(self._pending)

    def shut(self) -> None:
        """The worker closes."""
        self._is_shut = True
        self.lost()

    def due(self, now: float) -> list[pb.AttachRequest]:
        """What is to be sent, once."""
        due = [messages.cancel_message(session_id) for session_id in self._leaving]
        self._leaving.clear()
        while self._unsent:
            ask = self._unsent.popleft()
            if ask.is_open:
                ask.sends += 1
                self._sent[ask.key] = ask
                due.append(ask.wish.message(ask.id, self._meters, ask.wish.wait - (now - ask.begun)))
        return due

    def take(self, acquired: pb.Acquired) -> None:
        """The service answers."""
        ask = self._sent.pop(acquired.session_id, None)
        if acquired.WhichOneof("result") == "granted":
            if not acquired.granted.again:
                self.grants_heard += 1
            self._granted(ask, acquired.session_id, acquired.granted)
        elif ask is not None and ask.is_open:
            self._refused(ask, acquired.refused)

    def _granted(self, ask: Ask | None, key: bytes, granted: pb.Granted) -> None:
        if ask is None:
            self._leaving.append(key)
        elif ask.is_open:
            handle = self._handle_of(ask.wish, granted.meter)
            meter = granted.meter
            if handle is not None:
                self._book.hold(self._session(ask, handle, was_asked=True))
                # One that is counted among others is used by its own name.
                meter = meter if is_same(self._meters[handle], meter) else self._meters[handle]
            self._tell(ask, Slot(self, ask.wish, ask.id, meter, granted))
        elif (held := self._book.live.get(key)) and not self._meters.is_counted(held.handle, granted.meter):
            # It came late, and the session goes on with another model: the snapshot says which.
            self.wants_snapshot = True

    def _refused(self, ask: Ask, refused: pb.Refused) -> None:
        if refused.cause == pb.REFUSAL_CAUSE_SNAPSHOT_FIRST and ask.sends < MAX_SENDS:
            self.wants_snapshot = True
            self._unsent.append(ask)
        elif refused.cause == pb.REFUSAL_CAUSE_SNAPSHOT_FIRST:
            self._go_on(ask)
        elif refused.cause == pb.REFUSAL_CAUSE_ENDED and ask.was_cut:
            # It had been granted on the stream before, which broke, and was not named since.
            self._go_on(ask)
        else:
            self._tell(ask, Refused(refused))

    def _handle_of(self, wish: Wish, granted: types.Meter) -> int | None:
        named = (handle for handle in wish.models if self._meters.is_counted(handle, granted))
        return next(named, None) or self._meters.handle_like(granted)

    def take_routes(self, heard: rpb.Routes) -> bool:
        """Routes came; returns whether they are news."""
        is_news = self.routes is None or heard.version > self.routes.version
        if is_news:
            self.routes = heard
        return is_news
