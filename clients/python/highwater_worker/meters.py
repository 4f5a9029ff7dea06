"""The meters of a worker, and the small handles that stand for them. Plain state, and checks of names."""

import re
from collections.abc import ItemsView

from highwater.v1 import types_pb2 as types

MAX_METERS = 1_024
# Whose quota it is when nothing is said.
DEFAULT_ACCOUNT = "livekit"
MODEL = re.compile(r"[a-z0-9._:/@+-]{1,128}")
MODEL_KINDS = {types.KIND_LLM, types.KIND_STT, types.KIND_TTS, types.KIND_REALTIME}


def checked(kind: int, model: str, account: str, unit: int) -> types.Meter:
    """The meter of these names. Raises ValueError for what the service would refuse."""
    if kind not in types.Kind.values() or kind == types.KIND_UNSPECIFIED:
        raise ValueError(f"kind {kind} is not a kind: KIND_LLM (1) to KIND_EGRESS (9) are")
    if kind in MODEL_KINDS and not MODEL.fullmatch(model):
        raise ValueError(f"model {model!r} is not 1 to 128 bytes of [a-z0-9._:/@+-]")
    if kind not in MODEL_KINDS and model:
        raise ValueError(f"a connection kind has no model, but got {model!r}")
    if not re.fullmatch(r"[a-z0-9._-]{0,64}", account):
        raise ValueError(f"account {account!r} is not at most 64 bytes of [a-z0-9._-]")
    return types.Meter(kind=kind, model=model, account=account, unit=unit)


def is_same(one: types.Meter, other: types.Meter) -> bool:
    """Whether both count in the same place: what follows a model's last colon is no part of it, and a name that is left
    out is that of the other, or the default."""
    units = {one.unit, other.unit} - {types.UNIT_UNSPECIFIED}
    return _place(one) == _place(other) and len(units) < 2


def _place(meter: types.Meter) -> tuple[int, str, str]:
    return meter.kind, meter.model.rsplit(":", 1)[0], meter.account or DEFAULT_ACCOUNT


class Meters:
    """The meters by their handles, from 1."""

    def __init__(self) -> None:
        self._meters: dict[int, types.Meter] = {}
        self._handles: dict[bytes, int] = {}
        self._counted: dict[int, types.Meter] = {}

    def handle(self, meter: types.Meter) -> int:
        """The handle of a meter, a new one when it has none. Raises ValueError when there are as many as may be."""
        name = meter.SerializeToString(deterministic=True)
        if name not in self._handles:
            if len(self._handles) == MAX_METERS:
                raise ValueError(f"a worker has at most {MAX_METERS} meters")
            handle = len(self._handles) + 1
            self._handles[name] = handle
            self._meters[handle] = meter
        return self._handles[name]

    def handle_like(self, meter: types.Meter) -> int | None:
        """The handle of a meter that counts in the same place; a new one when there is none, if there may be one
        more."""
        like = next((handle for handle, other in self._meters.items() if is_same(other, meter)), None)
        if like is None and len(self._meters) < MAX_METERS:
            return self.handle(meter)
        return like

    def counts_as(self, handle: int, meter: types.Meter) -> None:
        """The service counts what has this handle on this meter: `other/other` when it has no room for another
        model."""
        self._counted[handle] = meter

    def is_counted(self, handle: int, meter: types.Meter) -> bool:
        """Whether what has this handle counts on this meter."""
        return is_same(self._counted.get(handle, self._meters[handle]), meter)

    def __contains__(self, handle: object) -> bool:
        return handle in self._meters

    def __getitem__(self, handle: int) -> types.Meter:
        return self._meters[handle]

    def items(self) -> ItemsView[int, types.Meter]:
        return self._meters.items()
