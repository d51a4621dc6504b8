import dataclasses
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from bertpipe.errors import BusyError
from bertpipe.output.lock import FolderLock, Holder


@pytest.fixture
def path(tmp_path):
    (tmp_path / "out" / "_bertpipe").mkdir(parents=True)
    return tmp_path / "out" / "_bertpipe" / "lock"


def _hold(path, **changes):
    """Leave a lock behind as another process would."""
    holder = dataclasses.replace(Holder.this_process(), **changes)
    path.write_text(json.dumps(dataclasses.asdict(holder)))
    return holder


def _age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def _ended_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_to_ask_is_told_who_holds_the_lock(path):
    lock = FolderLock.acquire(path)
    with pytest.raises(BusyError, match=rf"out is in use by process {os.getpid()} on \S+; wait"):
        FolderLock.acquire(path)
    lock.release()


def test_a_released_lock_can_be_taken(path):
    FolderLock.acquire(path).release()
    FolderLock.acquire(path).release()
    assert list(path.parent.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_at_once(path):
    _hold(path, pid=_ended_pid())
    FolderLock.acquire(path).release()


def test_a_reused_pid_does_not_keep_a_lock_alive(path):
    _hold(path, started="1")
    FolderLock.acquire(path).release()


def test_a_pid_of_another_machine_or_container_says_nothing(path):
    _hold(path, host="far", machine="another boot", pid=_ended_pid())
    with pytest.raises(BusyError, match="on far"):
        FolderLock.acquire(path)


def test_a_lock_that_nobody_renews_is_stale_after_a_minute_on_any_host(path):
    _hold(path, host="far", machine="another boot")
    _age(path, 59)
    with pytest.raises(BusyError):
        FolderLock.acquire(path)
    _age(path, 62)
    FolderLock.acquire(path).release()


def test_a_lock_with_no_readable_holder_is_stale_by_age_alone(path):
    path.write_text("")
    with pytest.raises(BusyError, match="another process"):
        FolderLock.acquire(path)
    _age(path, 62)
    FolderLock.acquire(path).release()


def test_the_holder_renews_its_lock(path):
    lock = FolderLock.acquire(path, refresh_s=0.01)
    _age(path, 62)
    deadline = time.monotonic() + 5
    while time.time() - path.stat().st_mtime > 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(BusyError):
        FolderLock.acquire(path)
    lock.release()


def test_a_holder_whose_lock_was_taken_over_notices_and_leaves_it(path):
    lock = FolderLock.acquire(path)
    lock.verify()
    _age(path, 62)
    other = FolderLock.acquire(path)
    with pytest.raises(BusyError):
        lock.verify()
    lock.release()
    other.verify()
    other.release()


def test_what_dead_processes_left_while_asking_is_deleted(path):
    of_dead, of_living, old = (path.with_name(f".lock.{name}") for name in "abc")
    _hold(of_dead, pid=_ended_pid())
    _hold(of_living)
    old.write_text("")
    _age(old, 62)
    lock = FolderLock.acquire(path)
    assert sorted(path.parent.iterdir()) == [of_living, path]
    lock.release()


def test_of_many_that_find_a_stale_lock_one_gets_it(path):
    for _ in range(20):
        _hold(path, started="1")
        won: list[FolderLock] = []
        barrier = threading.Barrier(8)

        def ask(won=won, barrier=barrier):
            barrier.wait()
            try:
                won.append(FolderLock.acquire(path))
            except BusyError:
                return

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([lock for lock in won if _is_valid(lock)]) == 1
        for lock in won:
            lock.release()


def _is_valid(lock):
    try:
        lock.verify()
    except BusyError:
        return False
    return True
