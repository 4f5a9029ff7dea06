"""Starts the real service for each test, on a free port of loopback with a store of its own."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from make_stubs import make_stubs

# Before the tests are collected: they import the stubs, from a folder that the import system has seen missing.
sys.path.insert(0, str(make_stubs()))
importlib.invalidate_caches()

from support import PROJECT, Service

from highwater_worker import Worker


def binary() -> Path:
    """The service to test: `HIGHWATER_BIN`, or what was built last."""
    if given := os.environ.get("HIGHWATER_BIN"):
        return Path(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[2] / "target"))
    for profile in ("quick", "debug"):
        if (built := target / profile / "highwater").exists():
            return built
    raise FileNotFoundError(f"no highwater in {target}: build it, or name it in HIGHWATER_BIN")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A running service with an empty store."""
    running = Service(binary(), tmp_path)
    running.start()
    yield running
    running.kill()
    print(running.log())


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    """Starts workers, and closes them."""
    started: list[Worker] = []

    def start_one(service: Service, name: str = "agent", **options) -> Worker:
        started.append(Worker(service.target, PROJECT, name, **options))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close(timeout=1.0)
