"""The way to a service: its channel, and the credential that is shown there.

It knows nothing of streams and sessions, and is changed by none: safe to use from any thread.
"""

import logging
import time
from collections.abc import Callable

import grpc
from highwater.v1 import ingest_pb2 as pb

# New tokens are asked for at most this often.
RENEW_SECONDS = 1.0
# A token is minted anew when a fifth of the time until its end is left.
RENEW_AFTER = 0.8
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Each attempt dials anew: the pool that channels share would add its own backoff, of up to two minutes, to ours.
    ("grpc.use_local_subchannel_pool", 1),
]

log = logging.getLogger("highwater")


class Way:
    """Where a service is, and what it knows us by."""

    def __init__(
        self, target: str, token: str | Callable[[], str] | None, tls: grpc.ChannelCredentials | None
    ) -> None:
        """`token` and `tls` are as a `Worker` takes them."""
        self._target = target
        self._token = token
        self._tls = tls

    def channel(self) -> grpc.Channel:
        """A channel to the service, which dials when it is used."""
        if self._tls is None:
            return grpc.insecure_channel(self._target, options=CHANNEL_OPTIONS)
        return grpc.secure_channel(self._target, self._tls, options=CHANNEL_OPTIONS)

    def mint(self) -> str | None:
        """The credential to present now; None when there is none, or none can be had. It runs the caller's code."""
        if not callable(self._token):
            return self._token
        try:
            return self._token()
        except Exception:
            log.exception("no token could be minted")
            return None

    def metadata(self) -> list[tuple[str, str]]:
        """What a call is sent with, with a credential that is minted for it."""
        token = self.mint()
        return [("authorization", f"Bearer {token}")] if token else []

    def renew_at(self, message: pb.Welcome | pb.Authenticated, field: str) -> float | None:
        """When another credential is to be presented, by when the service says that this one ends; None for never."""
        if not (callable(self._token) and message.HasField(field)):
            return None
        left = getattr(message, field).ToSeconds() - time.time()
        return time.monotonic() + max(left * RENEW_AFTER, RENEW_SECONDS)
