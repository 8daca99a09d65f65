"""One at a time, and who only looks is in nobody's way."""

from __future__ import annotations

import fcntl
import threading

import pytest

from pipeline.lock_file import held_alone, is_held
from schemas.errors import RequestError

REFUSAL = RequestError("another is at work")


def test_the_second_is_refused_and_looking_says_so(tmp_path) -> None:
    path = tmp_path / "lock"
    assert is_held(path) is None
    with held_alone(path, REFUSAL):
        assert is_held(path) is True
        with pytest.raises(RequestError, match="another"), held_alone(path, REFUSAL):
            pass
    assert is_held(path) is False


def test_a_look_in_the_very_moment_refuses_nobody(tmp_path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # what is_held holds, for longer
        timer = threading.Timer(0.02, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        timer.start()
        with held_alone(path, REFUSAL):
            pass
        timer.join()
