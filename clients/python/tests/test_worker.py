"""The worker client against the real service: it reports, outlives a crash of the service, and leaves nothing behind."""

import random
import threading
import time

import pytest
from highwater.v1.quota_pb2 import ReleaseSessionRequest
from highwater.v1.types_pb2 import KIND_STT, KIND_TTS, OUTCOME_CANCELLED, OUTCOME_OK
from support import PROJECT, RESTART_SECONDS, hex_of, until

from highwater_worker import Worker


def held(workers) -> set[str]:
    return hex_of(session_id for worker in workers for session_id in worker.live())


def churn(worker: Worker, meters: list[int], stop: threading.Event, seed: int) -> None:
    """Opens and closes sessions in a random order, about a thousand a second."""
    chance = random.Random(seed)
    mine: list[bytes] = []
    while not stop.is_set():
        if len(mine) < 3 or (len(mine) < 12 and chance.random() < 0.5):
            mine.append(worker.connect(chance.choice(meters), room=f"room-{seed}"))
        else:
            worker.disconnect(mine.pop(chance.randrange(len(mine))), OUTCOME_CANCELLED)
        stop.wait(0.001)


@pytest.fixture
def workers(service):
    fleet = [Worker(service.target, PROJECT, f"worker-{n}") for n in range(4)]
    yield fleet
    for worker in fleet:
        worker.close(timeout=1.0)


def test_sessions_are_counted_while_they_are_held(service, workers):
    worker = workers[0]
    tts = worker.meter(KIND_TTS, "cartesia/sonic-3")
    with worker.session(tts, room="lobby", job="job-1") as session_id:
        assert worker.flush(5.0)
        listed = service.sessions()[session_id.hex()]
        assert (listed.worker_id, listed.labels.room, listed.labels.job) == ("worker-0", "lobby", "job-1")
        until("level 1", lambda: service.level(KIND_TTS) == 1)
    named = worker.connect(tts, "call-17/tts")
    assert worker.flush(5.0)
    assert set(service.sessions()) == {"call-17/tts"}
    worker.disconnect(named)
    with pytest.raises(TimeoutError), worker.session(tts):
        raise TimeoutError
    assert worker.flush(5.0)
    until("outcomes", lambda: (service.quota(KIND_TTS).closed.ok, service.quota(KIND_TTS).closed.timeout) == (2, 1))
    assert not service.sessions()


def test_levels_and_ids_are_right_after_the_service_was_killed_in_mid_traffic(service, workers):
    stop = threading.Event()
    threads = []
    for seed, worker in enumerate(workers):
        meters = [worker.meter(KIND_TTS, "cartesia/sonic-3"), worker.meter(KIND_STT, "deepgram/nova-3")]
        threads.append(threading.Thread(target=churn, args=(worker, meters, stop, seed)))
        threads[-1].start()
    try:
        until("all attached", lambda: all(worker.attached for worker in workers))
        for _ in range(2):
            until("traffic is counted", lambda: service.level(KIND_TTS) + service.level(KIND_STT) >= 12)
            service.kill()
            until("all cut off", lambda: not any(worker.attached for worker in workers))
            # Calls go on as if nothing had happened.
            began = time.monotonic()
            workers[0].disconnect(workers[0].connect(1))
            assert time.monotonic() - began < 0.1
            service.start()
            until("all back", lambda: all(worker.attached for worker in workers), RESTART_SECONDS)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for worker in workers:
        assert worker.flush(RESTART_SECONDS)
    assert set(service.sessions()) == held(workers)
    until("levels", lambda: service.level(KIND_TTS) + service.level(KIND_STT) == len(held(workers)))
    until("nothing silent", lambda: service.quota(KIND_TTS).silent_level == 0)

    for worker in workers:
        worker.close(OUTCOME_OK)
    until("nothing held after the goodbyes", lambda: not service.sessions())
    until("levels 0", lambda: service.level(KIND_TTS) == service.level(KIND_STT) == 0)


def test_reports_before_the_service_is_there_are_counted_when_it_comes(service):
    service.kill()
    worker = Worker(service.target, PROJECT, "early")
    stt = worker.meter(KIND_STT, "deepgram/nova-3")
    session_id = worker.connect(stt)
    assert not worker.attached
    service.start()
    until("attached", lambda: worker.attached, RESTART_SECONDS)
    assert worker.flush(5.0)
    assert set(service.sessions()) == {session_id.hex()}
    worker.close()
    until("nothing held", lambda: not service.sessions())


@pytest.mark.parametrize(
    "meter",
    [(0, ""), (99, ""), (KIND_TTS, ""), (KIND_TTS, "Not OK"), (5, "agents/have-none"), (KIND_TTS, "a/b", "Not OK")],
)
def test_a_meter_that_the_service_would_refuse_is_refused_at_once(meter):
    worker = Worker("127.0.0.1:1", PROJECT, "nowhere")
    with pytest.raises(ValueError):
        worker.meter(*meter)
    worker.close(timeout=1.0)


def test_a_session_is_closed_when_somebody_wants_its_slot(service, workers):
    worker = workers[0]
    asked = []
    polite = Worker(service.target, PROJECT, "polite", on_release=lambda session, reason: asked.append((session, reason)))
    try:
        for one, name in ((worker, "call-17/tts"), (polite, "call-18/tts")):
            one.connect(one.meter(KIND_TTS, "cartesia/sonic-3"), name)
            assert one.flush(5.0)
        for listed in service.sessions().values():
            request = ReleaseSessionRequest(
                project=PROJECT, session_id=listed.id, incarnation=listed.incarnation, reason="it hangs"
            )
            assert not service.quotas.ReleaseSession(request).released
        until("the first to close it by itself", lambda: not worker.live())
        until("the second to be asked", lambda: asked == [(b"call-18/tts", "it hangs")])
        assert polite.live()
        assert polite.flush(5.0)
        until("the slots that are held", lambda: set(service.sessions()) == {"call-18/tts"})
        polite.disconnect(asked[0][0])
        until("no slots held", lambda: not service.sessions())
    finally:
        polite.close(timeout=1.0)
