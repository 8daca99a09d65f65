"""For all tests: hypothesis times none, since a busy machine is no fault of theirs."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_LONGEST = ("tests/wakebeam/", "tests/integration/", "tests/models/", "tests/beam_jobs/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: a file at the end would keep one process busy alone."""
    rank = {folder: at for at, folder in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get("/".join(item.nodeid.split("/")[:2]) + "/", len(rank)))
