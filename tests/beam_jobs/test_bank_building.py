"""The bank as a Beam job: parts fan out, a killed build goes on, the bank is always the same."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import beam_jobs.bank_building as building
from beam_jobs.bank_building import build_bank, open_or_build_bank
from pipeline import bank_part
from pipeline.clip_bank import ClipBank
from schemas.errors import DatasetError, MaterialError
from tests.audio_factory import burst, material, write
from tests.beam_jobs.small_job import job_recipe


def _content(bank: ClipBank) -> dict[str, tuple]:
    return {
        clip.clip_id: (dataclasses.replace(clip, pack="", first_sample=0), samples.tobytes())
        for clip in bank.clips
        for samples in [bank.samples(clip)]
    }


def test_many_parts_on_two_workers_give_the_bank_of_one_part(tmp_path, monkeypatch) -> None:
    material(tmp_path)
    (tmp_path / "kw" / "broken.wav").write_bytes(b"not sound")
    whole = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "one")
    monkeypatch.setattr(bank_part, "PART_FILES", 7)
    seen: list[tuple[int, int]] = []
    parted, reused = open_or_build_bank(
        job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "many",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert not reused
    assert len(whole.packs) == 1
    assert len(parted.packs) == 5
    assert parted.digest == whole.digest, "parts are no part of the content"
    assert _content(parted) == _content(whole)
    assert parted.rejects == whole.rejects
    assert [reject.path for reject in parted.rejects] == ["keyword/kw/broken.wav"]
    assert all(total == 31 for _, total in seen)
    assert not list((tmp_path / "many").glob("building-*"))


@pytest.mark.parametrize(
    "fault, named",
    [(OSError(5, "Input/output error"), "Input/output error"), (MemoryError(), "memory")],
)
def test_the_machines_faults_end_the_build_and_are_no_rejects(
    tmp_path, monkeypatch, fault: BaseException, named: str
) -> None:
    material(tmp_path)
    real = Path.open

    def failing(path, *mode, **more):
        if path.name == "0.wav" and path.parent.name == "other":
            raise fault
        return real(path, *mode, **more)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises((OSError, MaterialError), match=named):
        build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    monkeypatch.undo()
    bank = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    assert not bank.rejects


def test_a_damaged_pack_is_found_where_it_is_copied_or_compared(tmp_path, monkeypatch) -> None:
    material(tmp_path)
    bank = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    (name,) = bank.packs
    pack = bank.directory / name
    whole = pack.read_bytes()
    damaged = bytearray(whole)
    damaged[1000] ^= 1
    pack.write_bytes(damaged)
    opened = ClipBank.open(bank.directory)
    checked = dataclasses.replace(opened, checked=True)
    fetched = ClipBank.open(bank.directory, fetch=lambda _: None)
    for one in (checked, fetched):
        with pytest.raises(DatasetError, match="not what the index says"):
            one.samples(one.clips[0])
    pack.write_bytes(whole)
    assert len(checked.samples(checked.clips[0])) == checked.clips[0].num_samples


def test_a_killed_build_goes_on_with_the_parts_that_are_done(tmp_path, monkeypatch) -> None:
    material(tmp_path)
    for i in range(300):
        write(tmp_path / "kw" / f"more{i}.wav", burst(hz=300 + i, seed=i))
    recipe_json = job_recipe().model_dump_json(by_alias=True)
    code = (
        "import sys; from pathlib import Path; from schemas.recipe import Recipe\n"
        "from pipeline import bank_part; bank_part.PART_FILES = 16\n"
        "from beam_jobs.bank_building import build_bank\n"
        "build_bank(Recipe.model_validate_json(sys.argv[1]), base_dir=Path(sys.argv[2]), "
        "bank_root=Path(sys.argv[2]) / 'bank')"
    )
    command = [sys.executable, "-c", code, recipe_json, str(tmp_path)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    root = tmp_path / "bank"
    while len(list(root.glob("building-*/part-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in root.glob("building-*/part-*.json")}
    assert 3 <= len(kept) < 21, "killed too late to show anything"
    monkeypatch.setattr(bank_part, "PART_FILES", 16)
    real = building.MakePart._make
    made: list[int] = []

    def counting(self, index, *more):
        made.append(index)
        return real(self, index, *more)

    monkeypatch.setattr(building.MakePart, "_make", counting)
    arguments = ["--runner=FnApiRunner"]  # in this process, so that it can be counted
    bank, _ = open_or_build_bank(
        job_recipe(), base_dir=tmp_path, bank_root=root, beam_arguments=arguments
    )
    assert len(made) == len(bank.packs) - len(kept)
    calm = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "calm")
    assert bank.digest == calm.digest
    assert _content(bank) == _content(calm)


def _interrupt_while_packs_move(monkeypatch, where: dict[str, Path]) -> list[str]:
    """Write material, begin its bank of five parts, and return the two packs that were moved."""
    material(where["base_dir"])
    monkeypatch.setattr(bank_part, "PART_FILES", 7)
    real, moved = building.files.rename, []

    def failing(source: str, target: str) -> None:
        if len(moved) == 2:
            raise OSError("pulled the plug")
        moved.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(building.files, "rename", failing)
        with pytest.raises(OSError, match="plug"):
            build_bank(job_recipe(), **where)
    return moved


def test_killed_while_the_packs_move_it_goes_on_too(tmp_path, monkeypatch) -> None:
    where = {"base_dir": tmp_path, "bank_root": tmp_path / "bank"}
    _interrupt_while_packs_move(monkeypatch, where)
    bank = build_bank(job_recipe(), **where)
    assert len(_content(bank)) == 30
    assert not list((tmp_path / "bank").glob("building-*"))


def test_a_pack_is_mapped_when_a_clip_of_it_is_wanted(tmp_path, monkeypatch) -> None:
    material(tmp_path)
    monkeypatch.setattr(bank_part, "PART_FILES", 7)
    made = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    fetched: list[str] = []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("index.json", "rejects.json"):
        (elsewhere / name).write_bytes((made.directory / name).read_bytes())

    def fetch(name: str) -> None:
        fetched.append(name)
        (elsewhere / name).write_bytes((made.directory / name).read_bytes())

    bank = ClipBank.open(elsewhere, fetch)
    clips = sorted(bank.clips, key=lambda clip: (clip.pack, clip.first_sample))
    assert fetched == []
    for clip in (clips[0], clips[1], clips[-1]):
        assert np.array_equal(bank.samples(clip), made.samples(made.clip(clip.clip_id)))
    assert fetched == [clips[0].pack, clips[-1].pack]
    (elsewhere / clips[0].pack).write_bytes(b"short")
    with pytest.raises(DatasetError, match="another size"):
        ClipBank.open(elsewhere, fetch)


def test_material_that_can_not_be_used_leaves_nothing_behind(tmp_path) -> None:
    material(tmp_path, keywords=0)
    write(tmp_path / "kw" / "silent.wav", np.zeros(16000))
    with pytest.raises(MaterialError, match=r"no usable keyword .*silent"):
        build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    assert [path.name for path in (tmp_path / "bank").iterdir()] == ["bank.lock"]


def test_parts_follow_from_the_material_alone(monkeypatch) -> None:
    from pipeline.material import SourceFile

    monkeypatch.setattr(bank_part, "PART_BYTES", 1000)
    monkeypatch.setattr(bank_part, "PART_FILES", 4)
    sizes = [400, 400, 400, 1, 1, 1, 1, 1, 5000, 10]
    files = [
        SourceFile(str(Path("x")), f"keyword/{i}", "keyword", "keyword", "kw", None, None,
                   num_bytes=size)
        for i, size in enumerate(sizes)
    ]  # fmt: skip
    parts = bank_part.plan_parts(files)
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 7), (7, 9), (9, 10)]
    assert bank_part.plan_parts([]) == ()
    assert json.dumps([part.index for part in parts]) == "[0, 1, 2, 3]"


def test_a_pack_that_was_removed_is_made_again(tmp_path, monkeypatch) -> None:
    where = {"base_dir": tmp_path, "bank_root": tmp_path / "bank"}
    moved = _interrupt_while_packs_move(monkeypatch, where)
    Path(moved[1]).unlink()
    with pytest.raises(DatasetError, match="makes that part again"):
        build_bank(job_recipe(), **where)
    assert len(_content(build_bank(job_recipe(), **where))) == 30
