"""The studio with many tasks under way: they share threads and fsyncs, and lose nothing by it."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from runner.studio import Settings, Studio, read_bills
from runner.studio.store import Move, Store
from tests.faults.world import tiny

MANY = 200
VIDEO = "/services/aigc/video-generation/video-synthesis"
HEADERS = {"X-DashScope-Async": "enable", "Authorization": "Bearer k"}


def body(number):
    return {"model": "wan2.7-t2v", "input": {"prompt": f"Pier {number}"}, "parameters": {"resolution": "720P", "duration": 2}}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path, time.time)
    yield store
    store.close()


def accept(store, number):
    return store.accept(body=body(number), take=f"s{number}@1", request_hash=f"{number:064x}", key="1", doom=None)


def lines(folder):
    return [json.loads(line) for line in (folder / "tasks.jsonl").read_bytes().splitlines()]


def test_hundreds_run_at_once_on_a_few_threads_and_all_end(tmp_path):
    now, before = [1_800_000_000.0], threading.active_count()
    settings = Settings(folder=tmp_path, seconds=1000.0, in_flight=MANY, render=tiny, clock=lambda: now[0])
    with Studio(settings) as studio, httpx.Client(base_url=studio.base_url, headers=HEADERS, trust_env=False) as http:
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda number: http.post(VIDEO, json=body(number)), range(MANY)))
        tasks = [reply.json()["output"]["task_id"] for reply in replies]
        assert {one["status"] for one in states(http)} == {"PENDING"}
        now[0] += 300
        wait(lambda: {one["status"] for one in states(http)} == {"RUNNING"})
        # The server's, and those that wait for the disk; not one a task.
        assert threading.active_count() < before + 60
        now[0] += 1000
        wait(lambda: {one["status"] for one in states(http)} == {"SUCCEEDED"})
    assert [bill.task_id for bill in read_bills(tmp_path)] == [bill.task_id for bill in studio.bills()]
    assert sorted(tasks) == sorted(bill.task_id for bill in studio.bills())


def states(http):
    found = []
    for page in (1, 2):
        found += http.get("/tasks", params={"page_size": 100, "page_no": page}).json()["data"]
    assert len(found) == MANY
    return found


def wait(is_so):
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_submits_that_come_while_the_disk_is_busy_share_the_next_fsync(store, monkeypatch):
    arrived, go, synced = threading.Barrier(2), threading.Event(), []
    real = os.fsync

    def slow(fd):
        synced.append(fd)
        if len(synced) == 1:
            arrived.wait(10)
            go.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(accept, store, 0)
        arrived.wait(10)
        others = [pool.submit(accept, store, number) for number in range(1, 21)]
        wait(lambda: len(store._waiting) == 20)
        assert store.bills() == [], "nobody hears of a task that is not on the disk"
        go.set()
        bills = [each.result(10) for each in (first, *others)]
    assert len(synced) == 2
    assert {bill.task_id for bill in bills} == {line["task_id"] for line in lines(store._path.parent)}
    assert store.bills()[0] == bills[0]


def test_a_write_that_fails_refuses_all_who_share_it_and_nobody_else(store, monkeypatch):
    kept = accept(store, 0)
    arrived, go, calls = threading.Barrier(2), threading.Event(), []
    real = os.fsync

    def failing(fd):
        calls.append(fd)
        if len(calls) == 1:
            arrived.wait(10)
            go.wait(10)
            real(fd)
        else:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, ThreadPoolExecutor(6) as pool:
        patch.setattr(os, "fsync", failing)
        first = pool.submit(accept, store, 1)
        arrived.wait(10)
        others = [pool.submit(accept, store, number) for number in range(2, 6)]
        wait(lambda: len(store._waiting) == 4)
        go.set()
        assert first.result(10)
        for each in others:
            with pytest.raises(OSError, match="No space left"):
                each.result(10)
    last = accept(store, 9)
    assert [bill.task_id for bill in store.bills()] == [kept.task_id, first.result().task_id, last.task_id]
    assert [line["task_id"] for line in lines(store._path.parent)] == [bill.task_id for bill in store.bills()]


def test_changes_written_together_see_each_other(store):
    task_id = accept(store, 0).task_id
    ran, canceled, ended, again = store.move(
        [
            Move(task_id, "RUNNING"),
            Move(task_id, "CANCELED"),
            Move(task_id, "FAILED", {"code": "X", "message": "y"}),
            Move(task_id, "SUCCEEDED", {"file": "a.mp4", "usage": {}}),
        ]
    )
    assert (ran.status, canceled, ended.status, again) == ("RUNNING", None, "FAILED", None)
    assert [line.get("status") for line in lines(store._path.parent)] == [None, "RUNNING", "FAILED"]
    assert store.get(task_id) == ended
    assert not store.cancel(task_id)
