"""Which model of a chain a session gets by its route, when nobody can be asked: as the service names one, without what
only the service knows. Plain functions."""

from collections.abc import Sequence

from highwater.v1 import route_pb2 as rpb
from highwater.v1 import types_pb2 as types

from highwater_worker.meters import is_same

_WORD = (1 << 64) - 1
# Models that new sessions are kept from.
_CLOSED = {rpb.STAND_DOWN, rpb.STAND_DRAINED, rpb.STAND_FULL}


def route_of(routes: rpb.Routes | None, chain: str) -> rpb.ChainRoute | None:
    """The route of a chain, if it was heard."""
    return next((route for route in routes.chains if route.chain == chain), None) if routes else None


def model(route: rpb.ChainRoute, job: bytes, failed: Sequence[types.Meter]) -> types.Meter | None:
    """The model of a session that several may have failed already; None when all have. `job` is its job label, or its
    id where it has none: sessions of a job go the same way."""
    leader = route.leader if route.leader < len(route.models) else 0
    places = [*range(leader, len(route.models)), *range(leader)]
    left = [place for place in places if not any(is_same(route.models[place].meter, meter) for meter in failed)]
    if not left:
        return None
    named = _named(route, leader, job)
    usable = [place for place in left if route.models[place].stand not in _CLOSED]
    if named in usable:
        return route.models[named].meter
    return route.models[(usable or left)[0]].meter


def _named(route: rpb.ChainRoute, leader: int, job: bytes) -> int:
    """The place whose part of 0 to 99 holds the hash of the job, the leader's part first and then the others' in
    order."""
    point, total = job_hash(job) % 100, 0
    for place in [leader, *(place for place in range(len(route.models)) if place != leader)]:
        total += route.models[place].percent
        if point < total:
            return place
    return leader


def job_hash(label: bytes) -> int:
    """The 64-bit hash that places a job: FNV-1a, then mixed."""
    mixed = 0xCBF2_9CE4_8422_2325
    for byte in label:
        mixed = ((mixed ^ byte) * 0x0100_0000_01B3) & _WORD
    for factor in (0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53):
        mixed = ((mixed ^ (mixed >> 33)) * factor) & _WORD
    return mixed ^ (mixed >> 33)
