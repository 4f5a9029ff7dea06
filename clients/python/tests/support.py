"""What the tests share: the service as a process, a raw stream, and reads of it."""

import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import quota_pb2, types_pb2
from highwater.v1.ingest_pb2_grpc import IngestServiceStub
from highwater.v1.quota_pb2_grpc import QuotaServiceStub
from highwater.v1.types_pb2 import KIND_TTS

from highwater_worker import Acquiring, Refused, Slot, Worker

START_SECONDS = 20.0
ANSWER_SECONDS = 5.0
# The promise after a restart when all workers live is 3 s; first attempts are spread over 2 s.
RESTART_SECONDS = 12.0
PROJECT = "foreign"
ELEVEN = "elevenlabs/eleven_turbo_v2_5"
SONIC = "cartesia/sonic-3"
T = TypeVar("T")


def until(what: str, probe: Callable[[], T], seconds: float = ANSWER_SECONDS) -> T:
    """Asks again until the answer is true, and returns it; fails with the last answer when the time is up."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; last: {answer!r}"
        time.sleep(0.02)
    return answer


class Service:
    """The service as a process of its own."""

    def __init__(
        self, binary: Path, folder: Path, dev: bool = True, settings: list[str] | None = None
    ) -> None:
        self._settings = settings or []
        self._binary = binary
        self._folder = folder
        self._dev = dev
        self._process: subprocess.Popen | None = None
        self._channel: grpc.Channel | None = None
        self.port = 0
        self.tls: grpc.ChannelCredentials | None = None

    def start(self) -> None:
        """Starts it on the port and store it had before, or on a free port, and waits until it is ready."""
        command = [self._binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--store", self.store]
        command += ["--dev"] if self._dev else ["--log", "debug"]
        # The tests look more often than people may.
        command += ["--bounds-reads-per-second", "0", *self._settings]
        with self._log_path.open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self._folder)
        ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read_stdout, args=(self._process, ready), daemon=True).start()
        try:
            address = ready.get(timeout=START_SECONDS)
        except queue.Empty:
            address = ""
        assert address, f"the service did not start:\n{self.log()}"
        self.port = int(address.rsplit(":", 1)[1])
        options = [("grpc.use_local_subchannel_pool", 1)]
        if self.tls is None:
            self._channel = grpc.insecure_channel(self.target, options=options)
        else:
            self._channel = grpc.secure_channel(self.target, self.tls, options=options)
        self.ingest = IngestServiceStub(self._channel)
        self.quotas = QuotaServiceStub(self._channel)

    @property
    def store(self) -> Path:
        return self._folder / "store.redb"

    def run(self, *args: str) -> str:
        """What a command of the program says; the service must be stopped where it works at the store."""
        ran = subprocess.run([self._binary, *args], check=True, capture_output=True, text=True, cwd=self._folder)
        return ran.stdout.strip()

    def say(self, *args: str) -> str:
        """What a command of the program says that speaks to the running service, in the tests' project."""
        return self.run(*args, "--server", f"http://{self.target}", "--project", PROJECT)

    def enforce(self, kind: str, most: dict[str, int]) -> None:
        """Limits models of a kind, and enforces that."""
        for model, slots in most.items():
            self.say("limits", "set", str(slots), "--kind", kind, "--model", model)
        self.say("limits", "enforce", "--kind", kind)

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it with SIGKILL, as a crash does."""
        if self._process is not None:
            self._channel.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def channel(self) -> grpc.Channel:
        return self._channel

    @property
    def _log_path(self) -> Path:
        return self._folder / "service.log"

    def log(self) -> str:
        return self._log_path.read_text() if self._log_path.exists() else ""

    def _read_stdout(self, process: subprocess.Popen, ready: queue.SimpleQueue) -> None:
        for line in process.stdout:
            if line.startswith("listening on "):
                ready.put(line.split()[-1])
        ready.put("")

    # Reads.

    def quota(self, kind: int, model: str = "") -> quota_pb2.Quota:
        """How a meter (with a model) or a pool stands; an empty quota when it was never seen."""
        try:
            listed = self.quotas.ListQuotas(quota_pb2.ListQuotasRequest(project=PROJECT, kinds=[kind])).quotas
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
            return quota_pb2.Quota()
        which = "meter" if model else "pool"
        for quota in listed:
            if quota.target.WhichOneof("target") == which and getattr(quota.target, which).model == model:
                return quota
        return quota_pb2.Quota()

    def level(self, kind: int, model: str = "") -> int:
        return self.quota(kind, model).level

    def sessions(self, worker_id: str = "") -> dict[str, quota_pb2.Session]:
        """All held slots by the ids they are listed by."""
        found: dict[str, quota_pb2.Session] = {}
        request = quota_pb2.ListSessionsRequest(project=PROJECT, worker_id=worker_id, page_size=1_000)
        while True:
            page = self.quotas.ListSessions(request)
            found.update((session.id, session) for session in page.sessions)
            if not page.next_page_token:
                assert len(found) == page.total_size
                return found
            request.page_token = page.next_page_token


class RawStream:
    """A worker's stream made of nothing but the stubs, on a connection of its own."""

    def __init__(self, service: Service, incarnation: bytes, attach_seq: int = 1) -> None:
        self._channel = grpc.insecure_channel(service.target, options=[("grpc.use_local_subchannel_pool", 1)])
        self._requests: queue.SimpleQueue[pb.AttachRequest | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[pb.AttachResponse | grpc.RpcError | None] = queue.SimpleQueue()
        self._call = IngestServiceStub(self._channel).Attach(iter(self._requests.get, None))
        threading.Thread(target=self._read, daemon=True).start()
        self.hello = pb.Hello(
            protocol_version=1,
            project=PROJECT,
            worker_id="raw",
            incarnation=incarnation,
            attach_seq=attach_seq,
            client="raw stubs",
        )

    def greet(self) -> pb.Welcome:
        """Says hello and returns the welcome."""
        self.send(hello=self.hello)
        return self.answer("welcome")

    def open(self) -> pb.Welcome:
        """Says hello and that nothing is live."""
        welcome = self.greet()
        self.send(snapshot=pb.SnapshotChunk(last=True))
        return welcome

    def declare(self, handle: int, kind: int, model: str) -> pb.DeclaredMeter:
        meter = types_pb2.Meter(kind=kind, model=model)
        self.send(declare=pb.Declare(meters=[pb.MeterDeclaration(handle=handle, meter=meter)]))
        return self.answer("declared").meters[0]

    def send(self, **message) -> None:
        self._requests.put(pb.AttachRequest(**message))

    def answer(self, kind: str, fits: Callable[..., bool] = lambda _: True):
        """The next answer of a kind that fits; others before it are skipped."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {kind} within {ANSWER_SECONDS} s") from None
            assert isinstance(answer, pb.AttachResponse), f"the stream ended before a {kind}: {answer!r}"
            if answer.WhichOneof("message") == kind and fits(getattr(answer, kind)):
                return getattr(answer, kind)

    def end(self) -> grpc.RpcError | None:
        """How the service ended the stream: the error, or None for a good end."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the stream did not end within {ANSWER_SECONDS} s") from None
            if not isinstance(answer, pb.AttachResponse):
                return answer

    def cut(self) -> None:
        """Breaks the connection without a goodbye, as a crash does."""
        self._channel.close()
        self._requests.put(None)

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._answers.put(answer)
            self._answers.put(None)
        except grpc.RpcError as error:
            self._answers.put(error)


def models(worker: Worker) -> list[int]:
    return [worker.meter(KIND_TTS, ELEVEN), worker.meter(KIND_TTS, SONIC)]


def held(service: Service) -> tuple[int, int]:
    return service.level(KIND_TTS, ELEVEN), service.level(KIND_TTS, SONIC)


def fill(worker: Worker, slots: int) -> list[Slot]:
    """Takes slots of the first model."""
    taken = [worker.acquire(models(worker)[:1]).wait() for _ in range(slots)]
    assert all(slot.confirmed for slot in taken)
    return taken


def refusal(acquiring: Acquiring) -> str:
    """Why there is no slot."""
    with pytest.raises(Refused) as refused:
        acquiring.wait()
    return refused.value.message


def new_ids(count: int) -> list[bytes]:
    return [uuid.uuid4().bytes for _ in range(count)]


def connect(session_id: bytes, handle: int, room: str = "") -> pb.Event:
    labels = types_pb2.Labels(room=room) if room else None
    return pb.Event(connect=pb.Connect(session_id=session_id, handle=handle, labels=labels))


def disconnect(session_id: bytes, outcome: int = types_pb2.OUTCOME_OK) -> pb.Event:
    return pb.Event(disconnect=pb.Disconnect(session_id=session_id, outcome=outcome))


def hex_of(ids) -> set[str]:
    return {session_id.hex() for session_id in ids}


def refused_fields(error: grpc.RpcError) -> list[str]:
    """The fields that a `BadRequest` in the error's details names."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    status = rpc_status.from_call(error)
    assert status is not None, "no google.rpc.Status in the trailers"
    fields: list[str] = []
    for detail in status.details:
        bad_request = BadRequest()
        if detail.Unpack(bad_request):
            fields += [violation.field for violation in bad_request.field_violations]
    return fields
