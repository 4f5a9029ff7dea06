"""The model of a chain by its route, when nobody can be asked: the same that the service would name."""

import pytest
from highwater.v1 import route_pb2 as rpb
from highwater.v1.types_pb2 import KIND_TTS, Meter

from highwater_worker import routes

STANDS = {"open": rpb.STAND_OPEN, "full": rpb.STAND_FULL, "down": rpb.STAND_DOWN, "drained": rpb.STAND_DRAINED}


def meter(name: str) -> Meter:
    return Meter(kind=KIND_TTS, model=f"provider/{name}")


def route(*models: tuple[str, int, str], leader: int = 0) -> rpb.ChainRoute:
    of = [rpb.ModelRoute(meter=meter(name), percent=percent, stand=STANDS[stand]) for name, percent, stand in models]
    return rpb.ChainRoute(chain="voice", kind=KIND_TTS, leader=leader, models=of)


def test_a_job_is_hashed_as_the_service_does():
    assert routes.job_hash(b"job") == 0x562C_153E_174E_B750
    assert routes.job_hash(b"job") % 100 == 12


@pytest.mark.parametrize(
    ("models", "leader", "failed", "expected"),
    [
        # The job's part is 12 of 0 to 99.
        ([("a", 100, "open"), ("b", 0, "open")], 0, [], "a"),
        ([("a", 20, "open"), ("b", 80, "open")], 0, [], "a"),
        ([("a", 10, "open"), ("b", 90, "open")], 0, [], "b"),
        ([("a", 90, "open"), ("b", 10, "open")], 1, [], "a"),
        ([("a", 10, "open"), ("b", 2, "open"), ("c", 88, "open")], 0, [], "c"),
        # What failed is passed over, along the chain and around its end.
        ([("a", 100, "open"), ("b", 0, "open")], 0, ["a"], "b"),
        ([("a", 0, "open"), ("b", 0, "open"), ("c", 100, "open")], 2, ["c"], "a"),
        ([("a", 100, "open"), ("b", 0, "open"), ("c", 0, "open")], 0, ["a", "b"], "c"),
        ([("a", 100, "open"), ("b", 0, "open")], 0, ["a", "b"], None),
        # What new sessions are kept from, only when nothing else is left.
        ([("a", 0, "down"), ("b", 0, "drained"), ("c", 100, "open")], 2, [], "c"),
        ([("a", 100, "open"), ("b", 0, "full"), ("c", 0, "open")], 0, ["a"], "c"),
        ([("a", 0, "down"), ("b", 100, "open")], 1, ["b"], "a"),
        # A leader that is none.
        ([("a", 0, "open"), ("b", 0, "open")], 7, [], "a"),
        ([], 0, [], None),
    ],
)
def test_the_model_of_a_job(models, leader, failed, expected):
    found = routes.model(route(*models, leader=leader), b"job", [meter(name) for name in failed])
    assert found == (None if expected is None else meter(expected))


def test_the_route_of_a_chain_is_found_by_its_name():
    heard = rpb.Routes(version=1, chains=[route(("a", 100, "open"))])
    assert routes.route_of(heard, "voice") == heard.chains[0]
    assert routes.route_of(heard, "other") is None
    assert routes.route_of(None, "voice") is None
