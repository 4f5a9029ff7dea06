"""Slots that the worker client asks for, from the real service: granted, diverted, refused, waited for; and a service
that is killed, silent or leaving while it is asked."""

import asyncio
import logging
import signal
import threading
import time
from pathlib import Path

import pytest
from conftest import binary
from highwater.v1 import ingest_pb2 as pb
from highwater.v1.types_pb2 import KIND_STT, KIND_TTS
from support import ELEVEN, PROJECT, RESTART_SECONDS, SONIC, Service, fill, held, hex_of, models, refusal, until

from highwater_worker import OUTCOME_CONCURRENCY, Acquiring, Refused, Slot, Worker
from highwater_worker.admission import ANSWER_SECONDS

# What is answered without the service must not be felt.
AT_ONCE_SECONDS = 0.1


def granted(acquiring: Acquiring) -> Slot | None:
    """The slot, if there is one."""
    try:
        return acquiring.wait()
    except Refused:
        return None


def test_a_slot_is_held_for_as_long_as_the_block_runs(service, start):
    worker = start(service)
    with worker.acquire(models(worker), room="lobby", job="job-1") as slot:
        assert (slot.model, slot.confirmed, slot.diverted, slot.again) == (ELEVEN, True, False, False)
        listed = service.sessions()[slot.session_id.hex()]
        assert (listed.meter.model, listed.labels.room, listed.labels.job) == (ELEVEN, "lobby", "job-1")
        until("its level", lambda: held(service) == (1, 0))
    assert worker.flush(5.0)
    until("no level", lambda: held(service) == (0, 0))

    async def speak() -> None:
        async with worker.acquire(models(worker)) as slot:
            assert slot.confirmed
        slot = await worker.acquire(models(worker))
        assert slot.release("cancelled")
        with pytest.raises(TimeoutError):
            async with worker.acquire(models(worker)):
                raise TimeoutError

    asyncio.run(speak())
    assert worker.flush(5.0)
    closed = until("all ends", lambda: service.quota(KIND_TTS).opened == 4 and service.quota(KIND_TTS).closed)
    assert (closed.ok, closed.cancelled, closed.timeout) == (2, 1, 1)
    assert not worker.live()


def test_what_has_no_room_goes_to_a_fallback_and_then_nowhere(service, start):
    service.enforce("tts", {ELEVEN: 2, SONIC: 1})
    others, worker = start(service, "others"), start(service)
    theirs = fill(others, 2)
    with worker.acquire(models(worker)) as slot:
        assert (slot.model, slot.diverted) == (SONIC, True)
        (passed,) = slot.passed_over
        assert passed.message == "model limit: 2 of 2 held (most by others 2)"
        with pytest.raises(Refused, match="model limit: 2 of 2 held") as refused:
            worker.acquire(models(worker)).wait()
        assert refused.value.cause == pb.REFUSAL_CAUSE_MODEL_LIMIT
        assert [(says.held, says.limit) for says in refused.value.refusals] == [(2, 2), (1, 1)]
        assert [holder.worker_id for says in refused.value.refusals for holder in says.holders] == ["others", "agent"]
        until("levels", lambda: held(service) == (2, 1))
    assert theirs[0].release()
    assert others.flush(5.0)
    with worker.acquire(models(worker)) as slot:
        assert (slot.model, slot.diverted) == (ELEVEN, False)
    until("what was not met", lambda: (quota := service.quota(KIND_TTS, ELEVEN)).diverted == quota.refused == 1)


def test_a_model_with_room_is_not_passed_over_for_what_the_store_is_yet_to_know(service, start):
    # The fallback has no limit, so that nobody waits for the store.
    service.enforce("tts", {ELEVEN: 2})
    worker = start(service)
    for _ in range(2):
        assert worker.acquire(models(worker)).wait().model == ELEVEN
    assert worker.acquire(models(worker)).wait().model == SONIC


def test_a_slot_that_is_released_twice_is_given_back_once(service, start):
    worker = start(service)
    slot = worker.acquire(models(worker)).wait()
    other = worker.acquire(models(worker)).wait()
    assert slot.release(OUTCOME_CONCURRENCY)
    assert not slot.release("ok")
    assert worker.flush(5.0)
    until("one is held", lambda: held(service) == (1, 0))
    with pytest.raises(ValueError, match="outcome 'tiemout' is none: one of ok, cancelled, concurrency"):
        other.release("tiemout")
    assert not other.release()
    assert worker.flush(5.0)
    closed = until("both ends", lambda: service.quota(KIND_TTS).opened == 2 and service.quota(KIND_TTS).closed)
    assert (closed.ok, closed.concurrency, closed.other) == (0, 1, 1)
    assert not service.sessions()


def test_who_asks_again_with_the_same_id_is_told_the_same(service, start):
    service.enforce("tts", {ELEVEN: 1, SONIC: 1})
    worker = start(service)
    first = worker.acquire(models(worker), session_id="call-17/tts").wait()
    again = worker.acquire(models(worker), session_id="call-17/tts").wait()
    assert (first.model, first.again, again.model, again.again) == (ELEVEN, False, ELEVEN, True)
    assert set(service.sessions()) == {"call-17/tts"}
    service.kill()
    until("the service is missed", lambda: not worker.attached)
    alone = worker.acquire(models(worker), session_id="call-17/tts").wait()
    assert (alone.model, alone.confirmed) == (ELEVEN, False)
    service.start()
    until("it is back", lambda: worker.attached, RESTART_SECONDS)
    until("it is known, by what stands for its text", lambda: set(service.sessions()) == hex_of(worker.live()))
    assert worker.acquire(models(worker), session_id="call-17/tts").wait().again
    assert first.release() and not again.release()
    with pytest.raises(Refused, match="a new one needs a new id") as refused:
        worker.acquire(models(worker), session_id="call-17/tts").wait()
    assert refused.value.cause == pb.REFUSAL_CAUSE_ENDED


def test_waiters_are_served_in_turn_and_who_leaves_is_passed_over(service, start):
    service.enforce("tts", {ELEVEN: 1})
    others, worker = start(service, "others"), start(service)
    only = models(worker)[:1]
    (theirs,) = fill(others, 1)
    assert until("attached", lambda: worker.attached)
    order: list[str] = []

    async def call(name: str) -> None:
        async with worker.acquire(only, wait=30.0) as slot:
            assert slot.confirmed and not slot.diverted
            order.append(name)

    async def calls() -> None:
        tasks = []
        for name in ("first", "left", "second"):
            tasks.append(asyncio.create_task(call(name)))
            await asyncio.sleep(0.2)
        assert not order
        tasks[1].cancel()
        await asyncio.sleep(0.2)
        theirs.release()
        await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5.0)
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]

    asyncio.run(calls())
    assert order == ["first", "second"]
    assert worker.flush(5.0) and others.flush(5.0)
    until("nothing is held", lambda: held(service) == (0, 0) and not service.sessions())
    until("three were", lambda: service.quota(KIND_TTS, ELEVEN).opened == 3)

    (theirs,) = fill(others, 1)
    began = time.monotonic()
    with pytest.raises(Refused, match="model limit: 1 of 1 held"):
        worker.acquire(only, wait=0.5).wait()
    assert 0.4 < time.monotonic() - began < 0.5 + ANSWER_SECONDS


def test_a_wait_goes_on_over_a_stream_that_is_made_anew(tmp_path: Path, start):
    service = Service(binary(), tmp_path, settings=["--bounds-connection-age", "2s"])
    service.start()
    try:
        service.enforce("tts", {ELEVEN: 1})
        others, worker = start(service, "others"), start(service)
        (theirs,) = fill(others, 1)
        given: list[Slot] = []
        acquiring = worker.acquire(models(worker)[:1], wait=30.0, session_id="patient")
        thread = threading.Thread(target=lambda: given.append(acquiring.wait()))
        thread.start()
        until("its second stream", lambda: worker._attach_seq >= 2 and worker.attached, 10.0)
        assert not given and set(service.sessions()) == {hex_of([theirs.session_id]).pop()}
        theirs.release()
        thread.join(5.0)
        assert [(slot.confirmed, slot.model) for slot in given] == [(True, ELEVEN)]
        until("one slot", lambda: [held(service), set(service.sessions())] == [(1, 0), {"patient"}])
    finally:
        service.kill()


def test_a_service_that_is_killed_holds_up_no_call_and_counts_right_when_it_is_back(service, start):
    service.enforce("tts", {ELEVEN: 2, SONIC: 1})
    others, worker = start(service, "others"), start(service)
    theirs = fill(others, 1)
    mine = worker.acquire(models(worker)).wait()
    gone = worker.acquire(models(worker)).wait()
    assert (mine.model, gone.model) == (ELEVEN, SONIC)
    waited: list[Slot] = []
    thread = threading.Thread(target=lambda: waited.append(worker.acquire(models(worker), wait=30.0).wait()))
    thread.start()
    until("it waits", lambda: worker._admission._sent)

    service.kill()
    thread.join(ANSWER_SECONDS)
    assert [(slot.confirmed, slot.model) for slot in waited] == [(False, ELEVEN)], "who waits goes on"
    until("the service is missed", lambda: not worker.attached)
    began = time.monotonic()
    with worker.acquire(models(worker)) as brief:
        assert (brief.confirmed, brief.model, brief.diverted) == (False, ELEVEN, False)
    assert gone.release("unavailable")
    alone = gone.failed()
    assert time.monotonic() - began < AT_ONCE_SECONDS

    service.start()
    until("both are back", lambda: worker.attached and others.attached, RESTART_SECONDS)
    assert worker.flush(5.0)
    assert set(service.sessions()) == hex_of(slot.session_id for slot in [*theirs, mine, *waited])
    until("levels", lambda: held(service) == (3, 0))
    # What went on without asking counts: nobody is let in before there is room again.
    until("that is known", lambda: refusal(worker.acquire(models(worker)[:1])).startswith("model limit: 3 of 2 held"))
    for slot in (*theirs, mine, *waited):
        assert slot.release()
    slot = until("the service has settled", lambda: granted(alone), RESTART_SECONDS)
    assert slot.model == ELEVEN, "past the one that failed"
    assert worker.flush(5.0) and others.flush(5.0)
    until("one is held", lambda: held(service) == (1, 0))
    pool = until("all ends are known", lambda: (pool := service.quota(KIND_TTS)).opened == 6 and pool)
    assert sum(count for _, count in pool.closed.ListFields()) == 5
    assert (pool.closed.ok, pool.closed.unavailable, pool.closed.lost) == (4, 1, 0)


def test_a_service_that_comes_later_is_told_what_went_on_without_it(service, start):
    service.kill()
    worker = start(service, "early")
    began = time.monotonic()
    slot = worker.acquire(models(worker)).wait()
    assert (slot.confirmed, slot.model) == (False, ELEVEN)
    assert time.monotonic() - began < ANSWER_SECONDS
    service.start()
    until("attached", lambda: worker.attached, RESTART_SECONDS)
    assert worker.flush(5.0)
    assert set(service.sessions()) == {slot.session_id.hex()}
    assert worker.acquire(models(worker)).wait().confirmed
    until("both", lambda: held(service) == (2, 0))


def test_a_service_that_falls_silent_costs_one_call_a_second_and_the_others_nothing(service, start):
    service.enforce("tts", {ELEVEN: 1, SONIC: 5})
    others, worker = start(service, "others"), start(service)
    fill(others, 1)
    until("attached", lambda: worker.attached)
    service.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        slow = worker.acquire(models(worker)).wait()
        assert ANSWER_SECONDS <= time.monotonic() - began < ANSWER_SECONDS + AT_ONCE_SECONDS
        began = time.monotonic()
        quick = worker.acquire(models(worker)).wait()
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert [(slot.confirmed, slot.model) for slot in (slow, quick)] == [(False, ELEVEN)] * 2
    finally:
        service.signal(signal.SIGCONT)
    # The first was granted the fallback too late, and uses the primary: so it is counted.
    assert worker.flush(5.0)
    until("levels", lambda: held(service) == (3, 0))
    assert worker.acquire(models(worker)).wait().model == SONIC, "the service is asked again"
    for slot in (slow, quick):
        slot.release()
    until("levels", lambda: held(service) == (1, 1))


def test_a_model_that_failed_is_not_asked_for_again(service, start):
    worker = start(service)
    with worker.acquire(models(worker), session_id="call-1", job="job-1") as first:
        assert first.model == ELEVEN
        with first.failed("timeout") as second:
            assert (second.model, second.session_id) == (SONIC, b"call-1#2")
            assert worker.flush(5.0)
            until("only the second is held", lambda: held(service) == (0, 1))
            with pytest.raises(Refused, match="every model failed this session") as refused:
                second.failed("unavailable").wait()
            assert refused.value.cause == pb.REFUSAL_CAUSE_NO_MODEL
    assert worker.flush(5.0)
    closed = until("both ends", lambda: service.quota(KIND_TTS).opened == 2 and service.quota(KIND_TTS).closed)
    assert (closed.timeout, closed.unavailable) == (1, 1)


def test_many_callers_never_hold_more_than_the_limit_and_nothing_is_left(service, start, caplog):
    caplog.set_level(logging.INFO, logger="highwater")
    service.enforce("tts", {ELEVEN: 5, SONIC: 3})
    workers = [start(service, f"agent-{n}") for n in range(3)]
    refusals: list[Refused] = []
    ended = threading.Barrier(12, timeout=60.0)

    def call(worker: Worker) -> None:
        for turn in range(60):
            try:
                with worker.acquire(models(worker), wait=0.05 * (turn % 2)) as slot:
                    assert slot.confirmed
            except Refused as refused:
                refusals.append(refused)
        ended.wait()

    threads = [threading.Thread(target=call, args=(worker,)) for worker in workers for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not ended.broken, "no caller failed"
    for worker in workers:
        assert worker.flush(5.0) and not worker.live()
    until("levels", lambda: held(service) == (0, 0))
    pool = until("all is counted", lambda: (pool := service.quota(KIND_TTS)).opened == 12 * 60 - len(refusals) and pool)
    assert (pool.closed.ok, pool.closed.lost) == (pool.opened, 0)
    assert service.quota(KIND_TTS, ELEVEN).peak.level <= 5 and service.quota(KIND_TTS, SONIC).peak.level <= 3
    # Both sides agree on what is held, beat by beat.
    until("three beats", lambda: all(time.monotonic() > worker._stream.beat_at - 2.5 for worker in workers), 10.0)
    assert "snapshot" not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "models is empty, and no chain is named: one of them is needed"),
        ({"models": 1}, "models 1 is not a list"),
        ({"models": [1, 9]}, r"models\[1\] 9 is no meter of this worker"),
        ({"models": [1, 3]}, r"models\[1\] cartesia/sonic-3:anna is there twice"),
        ({"models": [1] * 9}, "models has 9 of them: at most 8 are taken"),
        ({"chain": "Not OK"}, r"chain 'Not OK' is not 1 to 64 bytes of \[a-z0-9._-\]"),
        ({"models": [1], "priority": "urgent"}, "priority 'urgent' is none: one of priority, standard, low is needed"),
        ({"models": [1], "wait": 61}, "wait 61 is not 0 to 60 seconds"),
        ({"models": [1], "wait": float("nan")}, "wait nan is not 0 to 60 seconds"),
        ({"models": [1], "session_id": ""}, "session_id '' is not at least one byte"),
    ],
)
def test_what_is_wrong_with_what_is_asked_for_is_named(wrong, told):
    worker = Worker("127.0.0.1:1", PROJECT, "nowhere")
    worker.meter(KIND_TTS, SONIC)
    worker.meter(KIND_STT, "deepgram/nova-3")
    worker.meter(KIND_TTS, SONIC + ":anna")
    with pytest.raises((ValueError, TypeError), match=told):
        worker.acquire(**wrong)
    worker.close(timeout=1.0)
