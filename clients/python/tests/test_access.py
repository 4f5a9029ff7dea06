"""The worker client against a service that needs keys: an API key, and the access tokens that LiveKit agents mint."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from conftest import binary
from highwater.v1 import admin_pb2
from highwater.v1.admin_pb2_grpc import AdminServiceStub
from highwater.v1.types_pb2 import KIND_TTS
from support import PROJECT, Service, until

from highwater_worker import Worker

LIVEKIT_KEY = "APIforeign"
LIVEKIT_SECRET = "a secret as long as those of LiveKit are"


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[Service, AdminServiceStub, list]]:
    """A running service that needs keys, with an operator's way to it."""
    service = Service(binary(), tmp_path, dev=False)
    operator = service.run("keys", "create", "--store", str(service.store), "--role", "operator")
    service.start()
    yield service, AdminServiceStub(service.channel), [("authorization", f"Bearer {operator}")]
    service.kill()
    print(service.log())


def mint(seconds: float) -> str:
    """An access token as LiveKit's libraries make them, with nothing but the standard library."""
    claims = {"iss": LIVEKIT_KEY, "sub": "agent", "exp": int(time.time() + seconds), "inference": {"perform": True}}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    signature = hmac.new(LIVEKIT_SECRET.encode(), b".".join(encoded), hashlib.sha256).digest()
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_worker_with_a_key_reports_until_it_is_revoked(keyed):
    service, admin, operator = keyed
    request = admin_pb2.CreateApiKeyRequest(project=PROJECT, role=admin_pb2.ROLE_WORKER)
    made = admin.CreateApiKey(request, metadata=operator)
    worker = Worker(service.target, worker_id="agent", token=made.token)
    worker.connect(worker.meter(KIND_TTS, "cartesia/sonic-3"))
    assert worker.flush(10.0)
    admin.RevokeApiKey(admin_pb2.RevokeApiKeyRequest(id=made.api_key.id), metadata=operator)
    until("the stream ends", lambda: not worker.attached)
    worker.close(timeout=1.0)


def test_a_worker_mints_anew_before_its_token_ends(keyed):
    service, admin, operator = keyed
    request = admin_pb2.RegisterLiveKitKeyRequest(
        project=PROJECT, livekit_api_key=LIVEKIT_KEY, secret=LIVEKIT_SECRET
    )
    admin.RegisterLiveKitKey(request, metadata=operator)
    minted: list[str] = []

    def token() -> str:
        # Good for 3 s more with the 10 s by which clocks may be off.
        minted.append(mint(-7))
        return minted[-1]

    worker = Worker(service.target, worker_id="agent", token=token)
    until("it is attached", lambda: worker.attached, 10.0)
    until("it has minted four tokens", lambda: len(minted) >= 4, 15.0)
    assert worker._attach_seq == 1, "on one stream"
    worker.close(timeout=1.0)


def test_without_a_key_nothing_is_answered(keyed):
    service, admin, _ = keyed
    with pytest.raises(grpc.RpcError) as refused:
        admin.GetCaller(admin_pb2.GetCallerRequest())
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    worker = Worker(service.target, worker_id="agent", token="hwm_nonsense")
    until("its first attempt is refused", lambda: "a credential was refused" in service.log(), 10.0)
    assert not worker.attached
    worker.close(timeout=1.0)
