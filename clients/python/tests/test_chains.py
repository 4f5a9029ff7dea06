"""Slots that are asked for by chain, and the routes that a worker hears, from the real service."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HERE, binary
from highwater.v1 import ingest_pb2 as pb
from highwater.v1 import route_pb2 as rpb
from highwater.v1.types_pb2 import KIND_TTS
from support import ELEVEN, RESTART_SECONDS, SONIC, Service, fill, held, hex_of, models, refusal, until

from highwater_worker import Refused

CHAIN = "voice"


def stands(routes: rpb.Routes | None) -> list[tuple[int, int]]:
    """The shares and stands of the chain's models; nothing when it has no route."""
    chains = [] if routes is None else [chain for chain in routes.chains if chain.chain == CHAIN]
    return [(model.percent, model.stand) for chain in chains for model in chain.models]


@pytest.fixture
def chained(service: Service) -> Service:
    """A service with a chain, whose models have limits that are enforced."""
    service.enforce("tts", {ELEVEN: 2, SONIC: 4})
    service.say("chains", "set", CHAIN, ELEVEN, SONIC, "--kind", "tts")
    return service


def test_a_session_of_a_chain_goes_where_there_is_room_and_every_worker_is_told(chained, start):
    heard: list[rpb.Routes] = []
    others, worker = start(chained, "others"), start(chained)

    @worker.on_routes
    def told(routes: rpb.Routes) -> None:
        heard.append(routes)

    until("the route as it was made", lambda: stands(worker.routes) == [(100, rpb.STAND_OPEN), (0, rpb.STAND_OPEN)])
    with worker.acquire(chain=CHAIN, job="job-1") as slot:
        assert (slot.model, slot.diverted, slot.reason) == (ELEVEN, False, pb.GRANT_REASON_LEADS)
    assert worker.flush(5.0)

    theirs = fill(others, 2)
    with worker.acquire(chain=CHAIN, job="job-2") as slot:
        assert (slot.model, slot.diverted) == (SONIC, True)
        assert slot.passed_over[0].message == "model limit: 2 of 2 held (most by others 2)"
        until("the primary is full", lambda: stands(worker.routes)[0] == (0, rpb.STAND_FULL))
        assert stands(others.routes) == stands(worker.routes), "who asked for nothing is told too"
        for their in theirs:
            their.release()
        assert others.flush(5.0)
        with worker.acquire(chain=CHAIN, job="job-2") as stays:
            assert (stays.model, stays.reason) == (SONIC, pb.GRANT_REASON_STAYS)
    versions = [routes.version for routes in heard]
    assert versions == sorted(set(versions)) and heard[-1] == worker.routes
    late: list[rpb.Routes] = []
    worker.on_routes(late.append)
    assert late == [worker.routes], "who comes late is told the newest"


def test_a_session_that_its_model_failed_goes_along_the_chain(chained, start):
    worker = start(chained)
    with worker.acquire(chain=CHAIN, session_id="call-1") as first:
        assert first.model == ELEVEN
        with first.failed("unavailable") as second:
            assert (second.model, second.session_id) == (SONIC, b"call-1#2")
            assert worker.flush(5.0)
            until("only the fallback is held", lambda: held(chained) == (0, 1))
            last = second.failed("timeout")
            with pytest.raises(Refused, match="each model of chain voice failed this session") as refused:
                last.wait()
            assert refused.value.cause == pb.REFUSAL_CAUSE_NO_MODEL
    assert worker.flush(5.0)
    closed = until("both ends", lambda: (pool := chained.quota(KIND_TTS)).opened == 2 and pool.closed)
    assert (closed.unavailable, closed.timeout) == (1, 1)


def test_a_chain_that_is_not_there_is_refused_and_its_worker_goes_on(chained, start):
    worker = start(chained)
    told = refusal(worker.acquire(chain="vioce"))
    assert told == "there is no chain vioce; the project has voice"
    assert worker.acquire(models(worker)).wait().confirmed
    assert worker._attach_seq == 1, "on one stream"


def test_without_the_service_a_chain_goes_on_by_its_last_route(chained, start):
    worker = start(chained)
    chained.say("chains", "drain", CHAIN, ELEVEN, "--until", "1h", "--reason", "it lags")
    until("it is drained", lambda: stands(worker.routes)[:1] == [(0, rpb.STAND_DRAINED)])
    before = worker.routes
    chained.kill()
    until("the service is missed", lambda: not worker.attached)
    slot = worker.acquire(chain=CHAIN).wait()
    assert (slot.confirmed, slot.model) == (False, SONIC)
    assert worker.routes == before
    with pytest.raises(Refused, match="never told the route of chain other: name `models` beside it"):
        worker.acquire(chain="other").wait()
    assert worker.acquire(models(worker), chain="other").wait().model == ELEVEN
    chained.start()
    until("it is back", lambda: worker.attached, RESTART_SECONDS)
    assert worker.flush(5.0)
    until("what went on", lambda: held(chained) == (1, 1))
    assert set(chained.sessions()) == hex_of(worker.live())


def test_a_listener_that_fails_is_passed_over(chained, start, caplog):
    worker = start(chained)
    heard = threading.Event()

    def wrong(routes: rpb.Routes) -> None:
        raise RuntimeError("of the caller's own")

    worker.on_routes(wrong)
    worker.on_routes(lambda routes: heard.set())
    chained.say("chains", "drain", CHAIN, SONIC, "--until", "1h", "--reason", "a test")
    assert heard.wait(5.0)
    until("it is said", lambda: "what was to hear of routes failed" in caplog.text)
    assert worker.acquire(chain=CHAIN).wait().confirmed


README = HERE.parents[2] / "README.md"


def blocks(section: str) -> list[tuple[str, str]]:
    """The language and text of each block of code in a section of the README."""
    text = README.read_text().split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(service: Service, tmp_path: Path) -> Iterator:
    """Runs commands of the README in a group of their own, which ends with the test."""
    started: list[subprocess.Popen] = []
    path = f"{binary().resolve().parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HIGHWATER_SERVER": f"http://{service.target}"}
    environment["PYTHONPATH"] = f"{HERE.parent}:{HERE.parent / 'build'}"

    def run(command: list[str]) -> subprocess.Popen:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=environment, cwd=tmp_path, start_new_session=True, **output))
        return started[-1]

    yield run
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.wait()


def test_the_worker_of_the_readme_hears_of_the_route_and_gets_the_fallback(service, shell):
    (_, setup), (_, agent), (_, others) = blocks("A worker that asks")
    assert len(agent.splitlines()) <= 20
    assert agent.count("127.0.0.1:7422") == 1
    assert shell(["bash", "-ec", setup]).wait(20.0) == 0
    worker = shell([sys.executable, "-u", "-c", agent.replace("127.0.0.1:7422", service.target)])
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(iter(worker.stdout.readline, "")), daemon=True).start()
    until("its first route", lambda: f"route voice {ELEVEN} 100 % {SONIC} 0 %\n" in lines, 10.0)
    until("a call by the primary", lambda: any(line.endswith(f"by {ELEVEN}\n") for line in lines), 10.0)
    shell(["bash", "-ec", others])
    until("the route's change", lambda: f"route voice {ELEVEN} 0 % {SONIC} 100 %\n" in lines, 10.0)
    until("a call by the fallback", lambda: any(f"by {SONIC}" in line for line in lines), 10.0)
    assert worker.poll() is None, "it goes on"
