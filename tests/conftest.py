"""For all tests: hypothesis times none, since a busy machine is no fault of theirs."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
