"""A small clip bank that the tests of the job share."""

from __future__ import annotations

import pytest

from beam_jobs.bank_building import build_bank
from pipeline.clip_bank import ClipBank
from tests.audio_factory import material
from tests.beam_jobs.small_job import job_recipe


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> ClipBank:
    folder = tmp_path_factory.mktemp("material")
    material(folder)
    return build_bank(job_recipe(), base_dir=folder, bank_root=folder / "bank")
