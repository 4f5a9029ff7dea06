"""The worker client of Highwater: tells the service which inference sessions a process holds, and asks it for slots.

The stubs of the contract (`highwater.v1`, made by `make_stubs.py`) must be importable.
"""

from highwater.v1.types_pb2 import (
    OUTCOME_AUTH,
    OUTCOME_CANCELLED,
    OUTCOME_CONCURRENCY,
    OUTCOME_CREDITS,
    OUTCOME_OK,
    OUTCOME_OTHER,
    OUTCOME_RATE,
    OUTCOME_TIMEOUT,
    OUTCOME_UNAVAILABLE,
)

from highwater_worker.slot import Acquiring, Refused, Slot
from highwater_worker.worker import Worker

__all__ = [
    "OUTCOME_AUTH",
    "OUTCOME_CANCELLED",
    "OUTCOME_CONCURRENCY",
    "OUTCOME_CREDITS",
    "OUTCOME_OK",
    "OUTCOME_OTHER",
    "OUTCOME_RATE",
    "OUTCOME_TIMEOUT",
    "OUTCOME_UNAVAILABLE",
    "Acquiring",
    "Refused",
    "Slot",
    "Worker",
]
