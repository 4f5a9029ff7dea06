"""LiveKit's webhooks and lists, by LiveKit's own package: events are made of its protos, serialized as protojson, and signed
by its access tokens; its verifier judges the tokens that the service asks with. The service is the real one."""

import base64
import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import binary
from google.protobuf.json_format import MessageToJson, Parse
from highwater.v1 import quota_pb2, types_pb2
from livekit import api
from livekit.protocol import egress, ingress, models, room, webhook
from support import Service, until

KEY, SECRET = "APIpython", "a secret of the tests', 32 bytes long"
WITHIN = 15.0
Kind = models.ParticipantInfo.Kind
LEVELS = {
    "agent": types_pb2.KIND_AGENT,
    "participant": types_pb2.KIND_PARTICIPANT,
    "sip": types_pb2.KIND_SIP,
    "ingress": types_pb2.KIND_INGRESS,
    "egress": types_pb2.KIND_EGRESS,
}


class LiveKitService(Service):
    """A service that LiveKit is configured for."""

    def __init__(self, folder: Path, url: str = "") -> None:
        super().__init__(binary(), folder)
        secret = folder / "secret"
        secret.write_text(SECRET + "\n")
        self.settings = {
            "HIGHWATER_LIVEKIT_API_KEY": KEY,
            "HIGHWATER_LIVEKIT_API_SECRET_FILE": str(secret),
            "HIGHWATER_LIVEKIT_PROJECT": "foreign",
            "HIGHWATER_LIVEKIT_RECONCILE_INTERVAL": "1s",
        }
        if url:
            self.settings["HIGHWATER_LIVEKIT_URL"] = url

    def start(self) -> None:
        os.environ.update(self.settings)
        try:
            super().start()
        finally:
            for name in self.settings:
                del os.environ[name]

    def levels(self) -> dict[str, int]:
        found = {name: self.level(kind) for name, kind in LEVELS.items()}
        return {name: level for name, level in found.items() if level}

    def livekit(self) -> quota_pb2.LiveKitStatus:
        return self.quotas.GetStatus(quota_pb2.GetStatusRequest()).livekit

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        headers = {"Content-Type": "application/webhook+json", **headers}
        connection.request("POST", "/livekit/webhook", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def send(self, event: webhook.WebhookEvent, **form) -> int:
        body = MessageToJson(event, **form).encode()
        return self.post(body, {"Authorization": signed(body)})


def signed(body: bytes, key: str = KEY, secret: str = SECRET, ttl: float = 300) -> str:
    """As LiveKit signs an event."""
    sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(key, secret).with_ttl(timedelta(seconds=ttl)).with_sha256(sha256).to_jwt()


def event(name: str, **parts) -> webhook.WebhookEvent:
    event.made += 1
    created = parts.pop("created_at", int(time.time()))
    return webhook.WebhookEvent(event=name, id=f"EV_{event.made}", created_at=created, **parts)


event.made = 0
ROOM = models.Room(sid="RM_1", name="call-1", metadata="some")


def participant(sid: str, kind: int = Kind.STANDARD) -> models.ParticipantInfo:
    now = time.time()
    return models.ParticipantInfo(
        sid=sid,
        identity=f"who {sid}",
        kind=kind,
        state=models.ParticipantInfo.State.ACTIVE,
        joined_at=int(now),
        joined_at_ms=int(now * 1_000),
        attributes={"a": "b"},
    )


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[LiveKitService]:
    """A service to which webhooks alone come."""
    running = LiveKitService(tmp_path)
    running.start()
    yield running
    running.kill()
    print(running.log())


def test_events_of_each_kind_become_sessions(alone: LiveKitService) -> None:
    kinds = [Kind.STANDARD, Kind.SIP, Kind.AGENT, Kind.CONNECTOR, Kind.BRIDGE, Kind.INGRESS, Kind.EGRESS]
    people = [participant(f"PA_{kind}", kind) for kind in kinds]
    recording = egress.EgressInfo(egress_id="EG_1", room_name="call-1", started_at=time.time_ns())
    state = ingress.IngressState(status=ingress.IngressState.Status.ENDPOINT_PUBLISHING, started_at=time.time_ns())
    stream = ingress.IngressInfo(ingress_id="IN_1", room_name="call-1", state=state)

    assert alone.send(event("room_started", room=ROOM)) == 200
    forms = [{}, {"preserving_proto_field_name": True}, {"use_integers_for_enums": True}, {"indent": None}]
    for nth, person in enumerate(people):
        assert alone.send(event("participant_joined", room=ROOM, participant=person), **forms[nth % 4]) == 200
    assert alone.send(event("egress_started", egress_info=recording), **forms[1]) == 200
    assert alone.send(event("ingress_started", ingress_info=stream), **forms[2]) == 200
    assert alone.levels() == {"participant": 3, "sip": 1, "agent": 1, "egress": 1, "ingress": 1}
    sessions = alone.sessions()
    assert sessions["PA_4"].labels.room == "call-1" and sessions["PA_4"].worker_id == "livekit-participants"

    again = event("participant_left", room=ROOM, participant=people[1])
    assert [alone.send(again), alone.send(again)] == [200, 200]
    recording.status = egress.EgressStatus.EGRESS_COMPLETE
    assert alone.send(event("egress_ended", egress_info=recording)) == 200
    state.status = ingress.IngressState.Status.ENDPOINT_INACTIVE
    stream.state.CopyFrom(state)
    assert alone.send(event("ingress_ended", ingress_info=stream)) == 200
    assert alone.levels() == {"participant": 3, "agent": 1}
    assert alone.send(event("room_finished", room=ROOM)) == 200
    # A left without a joined, a joined that comes late, and one that was too old when it was sent.
    assert alone.send(event("participant_left", room=ROOM, participant=participant("PA_x"))) == 200
    assert alone.send(event("participant_joined", room=ROOM, participant=participant("PA_x"))) == 200
    elsewhere = models.Room(sid="RM_2", name="call-2")
    old = event("participant_joined", room=elsewhere, participant=participant("PA_y"), created_at=int(time.time()) - 45)
    assert alone.send(old) == 200
    assert alone.levels() == {}
    status = alone.livekit()
    assert (status.has_lists, status.repeated, status.stale, status.unsigned) == (False, 1, 1, 0)


def test_what_is_not_signed_changes_nothing(alone: LiveKitService) -> None:
    body = MessageToJson(event("participant_joined", room=ROOM, participant=participant("PA_1"))).encode()
    refused = {
        "no token": {},
        "wrong secret": {"Authorization": signed(body, secret="another secret, which is just as long")},
        "wrong key": {"Authorization": signed(body, key="APIother")},
        "expired": {"Authorization": signed(body, ttl=-61)},
        "changed body": {"Authorization": signed(body + b" ")},
        "Bearer": {"Authorization": f"Bearer {signed(body)}"},
        "no hash": {"Authorization": api.AccessToken(KEY, SECRET).to_jwt()},
    }
    for what, headers in refused.items():
        assert alone.post(body, headers) == 401, what
    assert alone.levels() == {} and alone.livekit().unsigned == len(refused)
    # LiveKit's own receiver takes it, and so does the service.
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    assert receiver.receive(body.decode(), signed(body)).participant.sid == "PA_1"
    assert alone.post(body, {"Authorization": signed(body)}) == 200
    assert alone.levels() == {"participant": 1}


class StandIn:
    """LiveKit's API, answering in protojson from its protos, and checking tokens by its own verifier."""

    def __init__(self) -> None:
        self.people: dict[str, list[models.ParticipantInfo]] = {}
        self.egress: list[egress.EgressInfo] = []
        self.grants: set[str] = set()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                scheme, token = self.headers["Authorization"].split(" ")
                assert scheme == "Bearer"
                answer = stand_in.answer(self.path, body, api.TokenVerifier(KEY, SECRET).verify(token).video)
                # As twirp does: names as in the protos.
                text = MessageToJson(answer, preserving_proto_field_name=True).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"ws://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, body: str, video: api.VideoGrants):
        match path.removeprefix("/twirp/livekit."):
            case "RoomService/ListRooms":
                Parse(body, room.ListRoomsRequest())
                assert video.room_list
                rooms = [models.Room(sid=f"RM_{name}", name=name) for name in self.people]
                return room.ListRoomsResponse(rooms=rooms)
            case "RoomService/ListParticipants":
                name = Parse(body, room.ListParticipantsRequest()).room
                assert video.room_admin and video.room == name
                return room.ListParticipantsResponse(participants=self.people.get(name, []))
            case "Egress/ListEgress":
                assert video.room_record and Parse(body, egress.ListEgressRequest()).active
                return egress.ListEgressResponse(items=self.egress)
            case "Ingress/ListIngress":
                Parse(body, ingress.ListIngressRequest())
                assert video.ingress_admin
                return ingress.ListIngressResponse(items=[ingress.IngressInfo(ingress_id="IN_idle")])
        raise AssertionError(path)


def test_lists_put_right_what_events_missed(tmp_path: Path) -> None:
    stand_in = StandIn()
    agent = participant("PA_agent", Kind.AGENT)
    stand_in.people = {"call-1": [agent, participant("PA_caller", Kind.SIP)], "call-2": []}
    stand_in.egress = [egress.EgressInfo(egress_id="EG_1", status=egress.EgressStatus.EGRESS_ACTIVE)]
    service = LiveKitService(tmp_path, stand_in.url)
    service.start()
    try:
        until("what is there", lambda: service.levels() == {"agent": 1, "sip": 1, "egress": 1}, WITHIN)
        assert service.quota(LEVELS["ingress"]).covered
        # A joined whose left is lost, and a left that is lost.
        gone = models.Room(sid="RM_gone", name="call-3")
        assert service.send(event("participant_joined", room=gone, participant=participant("PA_gone"))) == 200
        stand_in.people["call-1"].remove(agent)
        until("what is true", lambda: service.levels() == {"sip": 1, "egress": 1}, WITHIN)
        status = service.livekit()
        assert status.has_lists and status.lists_failed == 0 and status.lists_read_at.seconds > 0
        assert (status.missed_begins, status.missed_ends) == (0, 2)
        # After a crash it is learned again, from the lists.
        service.kill()
        service.start()
        until("what is there", lambda: service.levels() == {"sip": 1, "egress": 1}, WITHIN)
        assert service.quota(LEVELS["sip"]).opened == 1
        stand_in.server.shutdown()
        stand_in.server.server_close()
        degraded = lambda: service.quotas.GetStatus(quota_pb2.GetStatusRequest()).warnings
        until("degraded", lambda: any(words.startswith("livekit: ") for words in degraded()), WITHIN)
        # Never zero: silent, and then unknown.
        until("unknown", lambda: not service.quota(LEVELS["sip"]).covered, WITHIN)
        assert SECRET not in service.log() and json.dumps(SECRET) not in service.log()
    finally:
        service.kill()
        print(service.log())
