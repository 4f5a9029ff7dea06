"""How a session ended: by the number or name of the contract's `Outcome`, or by what a block of code ended with."""

import asyncio

from highwater.v1 import types_pb2 as types

# `OUTCOME_LOST` is the service's to say.
REPORTED = range(types.OUTCOME_OK, types.OUTCOME_OTHER + 1)
NAMES = {types.Outcome.Name(number).removeprefix("OUTCOME_").lower(): number for number in REPORTED}


def number(outcome: int | str) -> int | None:
    """The number of an outcome that may be reported, given as that (`OUTCOME_TIMEOUT`) or by name (`timeout`)."""
    if isinstance(outcome, str):
        return NAMES.get(outcome.removeprefix("OUTCOME_").lower())
    return outcome if outcome in REPORTED else None


def wrong(outcome: int | str) -> ValueError:
    """What whoever gave an outcome that is none is told."""
    return ValueError(f"outcome {outcome!r} is none: one of {', '.join(NAMES)} is needed")


def of_block(error: type[BaseException] | None) -> int:
    """The outcome of a session that was held by a block of code which ended by this error, or well."""
    if error is None:
        return types.OUTCOME_OK
    if issubclass(error, (asyncio.CancelledError, GeneratorExit)):
        return types.OUTCOME_CANCELLED
    return types.OUTCOME_TIMEOUT if issubclass(error, TimeoutError) else types.OUTCOME_OTHER
