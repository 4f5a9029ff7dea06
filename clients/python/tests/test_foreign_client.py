"""The contract from outside: stubs made from the protos, and nothing else of this project, against the real service."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from highwater.v1 import ingest_pb2 as pb
from highwater.v1.types_pb2 import (
    KIND_LLM,
    KIND_STT,
    KIND_TTS,
    OUTCOME_CANCELLED,
    OUTCOME_LOST,
    OUTCOME_OK,
    OUTCOME_TIMEOUT,
    OUTCOME_UNSPECIFIED,
    UNIT_UNSPECIFIED,
    Labels,
    Meter,
)
from support import ANSWER_SECONDS, PROJECT, RawStream, connect, disconnect, hex_of, new_ids, refused_fields, until

from highwater_worker.book import key_digest

ELEVEN = "elevenlabs/eleven_turbo_v2_5"
SONIC = "cartesia/sonic-3"
NOVA = "deepgram/nova-3"


def snapshot(ids, handle, index=0, last=True, count=None, digest=None) -> pb.SnapshotChunk:
    total = 0
    for session_id in ids:
        total ^= key_digest(session_id)
    return pb.SnapshotChunk(
        index=index,
        last=last,
        count=len(ids) if count is None else count,
        digest=total if digest is None else digest,
        session_ids=b"".join(ids),
        handles=[handle] * len(ids),
    )


def test_reports_crashes_resyncs_and_reads_the_result(service):
    (incarnation,) = new_ids(1)
    eleven, sonic = new_ids(3), new_ids(2)

    first = RawStream(service, incarnation)
    welcome = first.open()
    assert (welcome.applied_seq, welcome.durable_seq) == (0, 0)
    assert welcome.lease.seconds == 10 and welcome.beat_interval.seconds == 3
    assert welcome.max_batch_events == 4_096 and welcome.max_message_bytes == 262_144
    declared = first.declare(1, KIND_TTS, ELEVEN + ":rachel")
    assert (declared.handle, declared.meter.model, declared.meter.account) == (1, ELEVEN, "livekit")
    assert declared.in_catalogue and declared.meter.unit != UNIT_UNSPECIFIED
    first.declare(2, KIND_TTS, SONIC)

    first.send(events=pb.EventBatch(seq=1, events=[connect(i, 1, room="lobby") for i in eleven]))
    first.send(events=pb.EventBatch(seq=2, events=[*(connect(i, 2) for i in sonic), disconnect(eleven[0])]))
    first.answer("ack", lambda ack: ack.applied_seq == 2)
    first.answer("ack", lambda ack: ack.durable_seq == 2)

    assert hex_of([*eleven[1:], *sonic]) == set(service.sessions())
    held = service.sessions()[eleven[1].hex()]
    assert (held.worker_id, held.labels.room, held.meter.model) == ("raw", "lobby", ELEVEN)
    assert held.incarnation == incarnation.hex() and not held.silent
    until("levels", lambda: [service.level(KIND_TTS, m) for m in (ELEVEN, SONIC, "")] == [2, 2, 4])

    # The pool's own peak: three and two at once, though no meter held more than three.
    def peaks():
        return [service.quota(KIND_TTS, model).peak.level for model in (ELEVEN, SONIC, "")]

    until("peaks", lambda: peaks() == [3, 2, 5])

    # The worker crashes: what it held is still counted, as silent.
    first.cut()
    until("silent", lambda: service.quota(KIND_TTS).silent_level == 4)
    assert service.level(KIND_TTS) == 4
    assert all(session.silent for session in service.sessions().values())

    # It comes back within its lease, and one session ended meanwhile.
    survivors = [eleven[1], *sonic]
    second = RawStream(service, incarnation, attach_seq=2)
    assert second.greet().applied_seq == 2
    second.declare(7, KIND_TTS, ELEVEN)
    second.declare(8, KIND_TTS, SONIC)
    chunk = snapshot(survivors, 7)
    chunk.handles[1:] = [8, 8]
    second.send(snapshot=chunk)
    until("survivors", lambda: set(service.sessions()) == hex_of(survivors))
    assert not any(session.silent for session in service.sessions().values())
    until("levels", lambda: [service.level(KIND_TTS, m) for m in (ELEVEN, SONIC, "")] == [1, 2, 3])
    assert service.quota(KIND_TTS).silent_level == 0

    # A batch sent again changes nothing; the next one counts.
    second.send(events=pb.EventBatch(seq=2, events=[connect(i, 8) for i in sonic]))
    second.send(events=pb.EventBatch(seq=3, events=[disconnect(sonic[0], OUTCOME_CANCELLED)]))
    second.answer("ack", lambda ack: ack.applied_seq == 3)
    assert set(service.sessions()) == hex_of([eleven[1], sonic[1]])

    second.send(goodbye=pb.StreamGoodbye(outcome=OUTCOME_OK))
    until("nothing held", lambda: not service.sessions())
    until("level 0", lambda: service.level(KIND_TTS) == 0)
    assert peaks() == [3, 2, 5]
    assert second.end() is None
    until("counts of the cancelled", lambda: service.quota(KIND_TTS, SONIC).closed.cancelled == 1)
    # What was opened is what was closed, each with one outcome.
    pool = service.quota(KIND_TTS)
    assert pool.opened == sum(count for _, count in pool.closed.ListFields()) == 5


def test_lease_ends_the_sessions_of_a_worker_that_does_not_return(service):
    (incarnation,) = new_ids(1)
    stream = RawStream(service, incarnation)
    lease = stream.open().lease.seconds
    stream.declare(1, KIND_STT, NOVA)
    stream.send(events=pb.EventBatch(seq=1, events=[connect(i, 1) for i in new_ids(4)]))
    stream.answer("ack", lambda ack: ack.applied_seq == 1)
    stream.cut()
    until("lost", lambda: not service.sessions(), seconds=lease + 5)
    until("counted as lost", lambda: service.quota(KIND_STT, NOVA).closed.lost == 4)

    back = RawStream(service, incarnation, attach_seq=2)
    back.send(hello=back.hello)
    back.answer("lease_expired", lambda expired: expired.lost_sessions == 4)
    back.cut()


def test_columns_count_as_events_do(service):
    (incarnation,) = new_ids(1)
    ids = new_ids(6)
    stream = RawStream(service, incarnation)
    stream.open()
    stream.declare(1, KIND_LLM, "openai/gpt-4.1-mini")
    stream.declare(2, KIND_STT, NOVA)
    batch = pb.ColumnBatch(
        seq=1,
        # The last two rows end the first two sessions.
        session_ids=b"".join([*ids, ids[0], ids[1]]),
        outcomes=bytes([0] * 6 + [OUTCOME_OK, OUTCOME_TIMEOUT]),
        handles=[1, 1, 1, 1, 2, 2, 1, 1],
        label_refs=[1, 1, 2, 2, 0, 0, 0, 0],
        labels=[Labels(room="a", job="j1"), Labels(room="b")],
    )
    stream.send(columns=batch)
    stream.answer("ack", lambda ack: ack.applied_seq == 1)
    held = service.sessions()
    assert set(held) == hex_of(ids[2:])
    assert [held[i.hex()].labels.room for i in ids[2:]] == ["b", "b", "", ""]
    until("levels", lambda: (service.level(KIND_LLM), service.level(KIND_STT)) == (2, 2))
    # Events and columns share the numbers.
    stream.send(events=pb.EventBatch(seq=2, events=[disconnect(ids[2])]))
    stream.answer("ack", lambda ack: ack.applied_seq == 2)
    assert set(service.sessions()) == hex_of(ids[3:])
    stream.cut()


def test_text_ids_are_one_session_each(service):
    (incarnation,) = new_ids(1)
    stream = RawStream(service, incarnation)
    stream.open()
    stream.declare(1, KIND_STT, NOVA)
    stream.send(events=pb.EventBatch(seq=1, events=[connect(b"call-17/stt", 1), connect(b"call-17/stt", 1)]))
    stream.answer("ack", lambda ack: ack.applied_seq == 1)
    assert set(service.sessions()) == {"call-17/stt"}
    stream.send(events=pb.EventBatch(seq=2, events=[disconnect(b"call-17/stt")]))
    stream.answer("ack", lambda ack: ack.applied_seq == 2)
    assert not service.sessions()
    stream.cut()


def test_unary_reports_are_idempotent(service):
    (incarnation,) = new_ids(1)
    ids = new_ids(2)
    meter = Meter(kind=KIND_STT, model="nobody/unheard-of")
    report = pb.ReportRequest(
        project=PROJECT,
        worker_id="thin",
        incarnation=incarnation,
        events=[pb.ReportedEvent(session_id=i, meter=meter) for i in ids],
    )
    heartbeat = pb.HeartbeatRequest(project=PROJECT, incarnation=incarnation)
    goodbye = pb.GoodbyeRequest(project=PROJECT, incarnation=incarnation, outcome=OUTCOME_OK)

    with pytest.raises(grpc.RpcError) as unknown:
        service.ingest.Heartbeat(heartbeat)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND

    first = service.ingest.Report(report)
    assert (first.applied, first.duplicates, list(first.unknown_models)) == (2, 0, ["nobody/unheard-of"])
    again = service.ingest.Report(report)
    assert (again.applied, again.duplicates) == (0, 2)
    assert again.lease_until.ToNanoseconds() >= first.lease_until.ToNanoseconds()
    assert set(service.sessions("thin")) == hex_of(ids)
    until("level", lambda: service.level(KIND_STT) == 2)
    assert service.ingest.Heartbeat(heartbeat).live_count == 2

    del report.events[1:]
    report.events[0].outcome = OUTCOME_OK
    assert service.ingest.Report(report).applied == 1
    assert service.ingest.Report(report).duplicates == 1
    assert service.ingest.Heartbeat(heartbeat).live_count == 1

    assert service.ingest.Goodbye(goodbye).closed_count == 1
    assert service.ingest.Goodbye(goodbye).closed_count == 0
    assert not service.sessions()


def test_service_asks_for_a_snapshot_when_it_cannot_go_on(service):
    (incarnation,) = new_ids(1)
    ids = new_ids(3)
    stream = RawStream(service, incarnation)
    stream.open()
    stream.declare(1, KIND_STT, NOVA)
    stream.send(events=pb.EventBatch(seq=1, events=[connect(ids[0], 1)]))

    stream.send(events=pb.EventBatch(seq=3, events=[connect(ids[1], 1)]))
    gap = stream.answer("snapshot_needed")
    assert (gap.reason, gap.applied_seq) == (pb.SnapshotNeeded.REASON_GAP, 1)
    stream.send(snapshot=snapshot(ids[:2], 1))
    until("after the gap", lambda: set(service.sessions()) == hex_of(ids[:2]))

    stream.send(beat=pb.Beat(has_digest=True, live_count=2, live_digest=1, as_of_seq=1))
    assert stream.answer("snapshot_needed").reason == pb.SnapshotNeeded.REASON_DIGEST_MISMATCH
    stream.send(snapshot=snapshot(ids, 1, digest=1))
    assert stream.answer("snapshot_needed").reason == pb.SnapshotNeeded.REASON_SNAPSHOT_MISMATCH
    assert set(service.sessions()) == hex_of(ids[:2])

    # In two chunks: nothing is applied before the last.
    whole = snapshot(ids, 1)
    stream.send(snapshot=snapshot(ids[:1], 1, last=False))
    stream.send(snapshot=snapshot(ids[1:], 1, index=1, count=3, digest=whole.digest))
    until("three sessions", lambda: set(service.sessions()) == hex_of(ids))
    stream.send(events=pb.EventBatch(seq=2, events=[disconnect(ids[0])]))
    stream.answer("ack", lambda ack: ack.applied_seq == 2)
    assert set(service.sessions()) == hex_of(ids[1:])
    stream.cut()


def test_newer_stream_of_an_incarnation_takes_over(service):
    (incarnation,) = new_ids(1)
    older = RawStream(service, incarnation)
    older.open()
    newer = RawStream(service, incarnation, attach_seq=2)
    newer.open()
    ended = older.end()
    assert ended is not None and ended.code() == grpc.StatusCode.ABORTED
    newer.cut()


def test_incarnation_that_replaces_another_ends_its_sessions_at_once(service):
    before, after = new_ids(2)
    stream = RawStream(service, before)
    stream.open()
    stream.declare(1, KIND_STT, NOVA)
    stream.send(events=pb.EventBatch(seq=1, events=[connect(i, 1) for i in new_ids(2)]))
    stream.answer("ack", lambda ack: ack.applied_seq == 1)
    stream.cut()
    restarted = RawStream(service, after)
    restarted.hello.replaces = before
    restarted.open()
    until("the old sessions end", lambda: not service.sessions())
    restarted.cut()


METER = Meter(kind=KIND_STT, model=NOVA)
CONNECT = pb.ReportedEvent(session_id=bytes(16), meter=METER)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("kind", {"events": [pb.ReportedEvent(session_id=bytes(16), meter=Meter(model=NOVA))]}),
        ("kind", {"events": [pb.ReportedEvent(session_id=bytes(16), meter=Meter(kind=99, model=NOVA))]}),
        ("model", {"events": [pb.ReportedEvent(session_id=bytes(16), meter=Meter(kind=KIND_STT, model="Not OK"))]}),
        (
            "model",
            {"events": [pb.ReportedEvent(session_id=bytes(16), meter=Meter(kind=KIND_STT, model="a/" + "b" * 127))]},
        ),
        ("room", {"events": [pb.ReportedEvent(session_id=bytes(16), meter=METER, labels=Labels(room="r" * 65))]}),
        ("outcome", {"events": [pb.ReportedEvent(session_id=bytes(16), meter=METER, outcome=OUTCOME_LOST)]}),
        ("session_id", {"events": [pb.ReportedEvent(session_id=b"", meter=METER)]}),
        ("session_id", {"events": [pb.ReportedEvent(session_id=b"x" * 129, meter=METER)]}),
        ("meter", {"events": [pb.ReportedEvent(session_id=bytes(16), outcome=OUTCOME_UNSPECIFIED)]}),
        ("incarnation", {"incarnation": b"short", "events": [CONNECT]}),
        ("worker_id", {"worker_id": "", "events": [CONNECT]}),
        ("project", {"project": "Not OK", "events": [CONNECT]}),
    ],
)
def test_refused_report_names_the_field(service, field, changes):
    request = {"project": PROJECT, "worker_id": "thin", "incarnation": bytes(range(16)), **changes}
    with pytest.raises(grpc.RpcError) as refused:
        service.ingest.Report(pb.ReportRequest(**request), timeout=ANSWER_SECONDS)
    fields = refused_fields(refused.value)
    assert [name.rsplit(".", 1)[-1] for name in fields] == [field], fields
    # And nothing of it was counted.
    assert service.level(KIND_STT) == 0


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("handle", {"events": pb.EventBatch(seq=1, events=[connect(bytes(16), 5)])}),
        ("handle", {"declare": pb.Declare(meters=[pb.MeterDeclaration(handle=0, meter=METER)])}),
        ("room", {"events": pb.EventBatch(seq=1, events=[connect(bytes(16), 1, room="r" * 65)])}),
        ("outcome", {"events": pb.EventBatch(seq=1, events=[disconnect(bytes(16), OUTCOME_LOST)])}),
        ("kind", {"declare": pb.Declare(meters=[pb.MeterDeclaration(handle=2, meter=Meter(model=NOVA))])}),
        ("session_ids", {"columns": pb.ColumnBatch(seq=1, session_ids=b"short", outcomes=b"\0", handles=[1])}),
        ("outcomes", {"columns": pb.ColumnBatch(seq=1, session_ids=bytes(16), outcomes=b"\x0a", handles=[1])}),
        ("handles", {"columns": pb.ColumnBatch(seq=1, session_ids=bytes(16), outcomes=b"\0", handles=[5])}),
    ],
)
def test_refused_message_ends_the_stream_and_names_the_field(service, field, message):
    (incarnation,) = new_ids(1)
    stream = RawStream(service, incarnation)
    stream.open()
    stream.declare(1, KIND_STT, NOVA)
    stream.send(**message)
    fields = refused_fields(stream.end())
    # A path like `events.events[0].connect.handle`; of a column, the place may follow.
    assert [name.rsplit(".", 1)[-1].split("[")[0] for name in fields] == [field], fields
    assert service.level(KIND_STT) == 0


def test_hello_with_a_wrong_incarnation_is_refused(service):
    stream = RawStream(service, b"fifteen bytes..")
    stream.send(hello=stream.hello)
    assert [name.rsplit(".", 1)[-1] for name in refused_fields(stream.end())] == ["incarnation"]


def test_events_before_hello_are_out_of_order(service):
    stream = RawStream(service, bytes(16))
    stream.send(events=pb.EventBatch(seq=1, events=[connect(bytes(16), 1)]))
    ended = stream.end()
    assert ended is not None and ended.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services(service, version):
    # The messages of both versions are the same on the wire.
    info = service.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answers = info(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=ANSWER_SECONDS)
    listed = {service.name for service in next(answers).list_services_response.service}
    assert {f"highwater.v1.{name}Service" for name in ("Ingest", "Quota", "Limit")} <= listed


def test_health_says_serving(service):
    health = health_pb2_grpc.HealthStub(service.channel)
    for name in ("", "highwater.v1.IngestService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=ANSWER_SECONDS)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
