"""Material to bank: any file in, one rate out, everything unusable named, nothing touched."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.bank_building import build_bank, open_or_build_bank
from pipeline.audio_file import read_audio
from pipeline.audio_stream import stream_audio
from pipeline.clip_bank import ClipBank
from schemas.errors import AudioError, DatasetError, MaterialError
from tests.audio_factory import burst, material, write
from tests.fakes import recipe

MATERIAL = {
    "keyword": [{"path": "kw", "label": "kw"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
}


def _recipe(**more):
    return recipe(material=MATERIAL | more)


def _build(folder: Path, name: str = "bank") -> ClipBank:
    return build_bank(_recipe(), base_dir=folder, bank_root=folder / name)


def test_R14_bank_is_independent_of_listing_order(tmp_path, monkeypatch) -> None:
    material(tmp_path)
    first = _build(tmp_path, "one")
    real_walk = os.walk

    def backwards(top, **more):
        for root, folders, names in real_walk(top, **more):
            yield root, folders[::-1], names[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    assert _build(tmp_path, "two").digest == first.digest


def test_R15_inputs_are_untouched_and_two_builds_at_once_agree(tmp_path) -> None:
    material(tmp_path)
    before = _digests(tmp_path)
    with ProcessPoolExecutor(2) as pool:
        banks = list(pool.map(_build, [tmp_path, tmp_path]))
    assert banks[0].digest == banks[1].digest
    assert [p for p in (tmp_path / "bank").iterdir() if p.name.startswith(".")] == []
    shutil.rmtree(tmp_path / "bank")
    assert _digests(tmp_path) == before


def test_R16_clips_of_any_rate_width_and_channels_become_one_format(tmp_path) -> None:
    material(tmp_path)
    for rate, subtype, channels in (
        (48000, "PCM_16", 2), (44100, "PCM_24", 1), (8000, "PCM_U8", 1), (16000, "FLOAT", 6),
        (96000, "DOUBLE", 1),
    ):  # fmt: skip
        x = np.repeat(burst(rate=rate, sound_s=0.5)[:, None], channels, axis=1)
        write(tmp_path / "kw" / f"z{rate}-{subtype}-{channels}.wav", x, rate, subtype)
    bank = _build(tmp_path)
    assert bank.rejects == ()
    assert bank.sample_rate_hz == 16000
    odd = [clip for clip in bank.clips if "/z" in clip.clip_id]
    assert len(odd) == 5
    for clip in odd:
        assert clip.num_samples / 16000 == pytest.approx(0.5 + 0.06, abs=0.03)
        samples = bank.samples(clip)
        assert samples.dtype == np.int16
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
        assert np.argmax(spectrum) * 16000 / (1 << 16) == pytest.approx(600, abs=2)
        assert clip.level_dbfs == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.7)


def test_R50_wav_works_without_ffmpeg(tmp_path) -> None:
    path = write(tmp_path / "a.wav", burst())
    code = (
        "import sys; sys.modules['imageio_ffmpeg'] = None; sys.modules['pydub'] = None\n"
        "from pathlib import Path\nfrom pipeline.audio_file import read_audio\n"
        f"x, rate = read_audio(Path({str(path)!r}))\nprint(x.shape, rate)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(19200, 1) 16000"


def test_hostile_folder_uses_what_is_usable_and_names_the_rest(tmp_path) -> None:
    import imageio_ffmpeg

    material(tmp_path)
    kw = tmp_path / "kw"
    good = burst()
    (kw / "empty.wav").write_bytes(b"")
    (kw / "text.wav").write_text("this is not sound")
    whole = write(kw / "truncated.wav", good).read_bytes()
    (kw / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    write(kw / "20ms.wav", burst(before_s=0, sound_s=0.02, after_s=0))
    write(kw / "silence.wav", np.zeros(16000))
    write(kw / "nan.wav", np.where(np.arange(16000) == 5000, np.nan, 0.1), subtype="FLOAT")
    usable = ["a b.wav", "quo'te\".wav", "new\nline.wav", "grüße 漢字.wav", "-dash.wav"]
    for i, name in enumerate(usable):
        write(kw / name, burst(seed=i))
    write(Path(os.fsdecode(os.fsencode(kw) + b"/not\xffutf8.wav")), burst(seed=9))
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    source = str(write(tmp_path / "source.wav", burst(seed=10)))
    for name in ("x.m4a", "y.opus", "z.webm"):
        command = [ffmpeg, "-v", "error", "-i", source, str(kw / name)]
        subprocess.run(command, check=True, capture_output=True)
    (kw / "README.txt").write_text("not material")
    bank = _build(tmp_path)
    reasons = {r.path.rsplit("/", 1)[-1]: r.reason for r in bank.rejects}
    assert set(reasons) == {
        "empty.wav", "text.wav", "truncated.wav", "20ms.wav", "silence.wav", "nan.wav",
    }  # fmt: skip
    for name, word in (
        ("empty.wav", "empty file"), ("text.wav", "not readable"), ("truncated.wav", "truncated"),
        ("20ms.wav", "too short"), ("silence.wav", "silent"), ("nan.wav", "NaN"),
    ):  # fmt: skip
        assert word in reasons[name]
    assert sum(c.role == "keyword" for c in bank.clips) == 12 + len(usable) + 1 + 3
    assert all(c.clip_id.isprintable() for c in bank.clips)


def test_unchanged_material_is_not_decoded_again(tmp_path) -> None:
    material(tmp_path)
    where = {"base_dir": tmp_path, "bank_root": tmp_path / "bank"}
    first, reused = open_or_build_bank(_recipe(), **where)
    assert not reused
    again, reused = open_or_build_bank(_recipe(), **where)
    assert reused
    assert again.digest == first.digest
    write(tmp_path / "kw" / "new.wav", burst())
    third, reused = open_or_build_bank(_recipe(), **where)
    assert not reused
    assert third.digest != first.digest
    take = tmp_path / "kw" / "new.wav"
    times = take.stat()
    write(take, burst(hz=900.0))
    os.utime(take, ns=(times.st_atime_ns, times.st_mtime_ns))
    fourth, reused = open_or_build_bank(_recipe(), **where)
    assert not reused, "other sound of the same size and time"
    assert fourth.digest != third.digest


def test_planning_reads_no_audio(tmp_path) -> None:
    """With the pack replaced by a hole of the same size, plans come out the same."""
    from pipeline.scene_planner import ScenePlanner

    material(tmp_path)
    bank = _build(tmp_path)
    plan = ScenePlanner(_recipe(), bank.clips, "train").plan(3)
    pack = bank.directory / "clips-00000.pcm16"
    size = pack.stat().st_size
    os.truncate(pack, 0)
    os.truncate(pack, size)
    assert ScenePlanner(_recipe(), ClipBank.open(bank.directory).clips, "train").plan(3) == plan


def test_errors_name_the_cure(tmp_path) -> None:
    material(tmp_path)
    with pytest.raises(MaterialError, match="does not exist"):
        missing = _recipe(background=[{"path": "nowhere"}])
        build_bank(missing, base_dir=tmp_path, bank_root=tmp_path / "bank")
    bank = _build(tmp_path)
    with (bank.directory / "clips-00000.pcm16").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DatasetError, match="delete the folder"):
        ClipBank.open(bank.directory)


def test_streamed_blocks_equal_the_whole_file(tmp_path) -> None:
    path = write(tmp_path / "a.wav", burst(rate=44100, before_s=2.0), 44100)
    blocks = list(stream_audio(path, 16000, block_s=0.25))
    assert max(len(block) for block in blocks) <= 16000
    assert sum(len(block) for block in blocks) == pytest.approx(2.9 * 16000, abs=2)
    x, rate = read_audio(path)
    assert (x.shape[1], rate) == (1, 44100)
    empty = tmp_path / "c.wav"
    empty.write_bytes(b"")
    with pytest.raises(AudioError, match="empty"):
        list(stream_audio(empty, 16000))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.wav"))
    }


def test_rejects_are_those_of_the_material_as_it_is_now(tmp_path) -> None:
    material(tmp_path)
    broken = tmp_path / "kw" / "broken.wav"

    def rejects() -> list[str]:
        wanted = {"base_dir": tmp_path, "bank_root": tmp_path / "bank"}
        bank, _ = open_or_build_bank(_recipe(), **wanted)
        assert ClipBank.open(bank.directory).rejects == bank.rejects
        return [reject.path for reject in bank.rejects]

    assert rejects() == []
    broken.write_bytes(b"not sound")
    assert rejects() == ["keyword/kw/broken.wav"]
    broken.unlink()
    assert rejects() == []


def test_what_killed_builds_left_is_removed(tmp_path) -> None:
    """Nobody else builds while the folder is locked, so whatever else is there is of the dead."""
    material(tmp_path)
    (tmp_path / "bank" / "building-0123456789abcdef").mkdir(parents=True)
    (tmp_path / "bank" / "building-0123456789abcdef" / "clips-00000.pcm16").write_bytes(b"half")
    build_bank(_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    assert not list((tmp_path / "bank").glob("building-*"))


def test_folders_behind_links_are_material_and_loops_end(tmp_path) -> None:
    material(tmp_path)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "kw")
    (tmp_path / "kw" / "loop").symlink_to(tmp_path / "all")
    made = recipe(
        material={
            "keyword": [{"path": "all", "label": "kw"}],
            "background": [{"path": "noise"}],
        }
    )
    bank = build_bank(made, base_dir=tmp_path, bank_root=tmp_path / "bank")
    assert len([c for c in bank.clips if c.role == "keyword"]) == 12


def test_parts_of_keywords_become_near_misses_of_the_same_group(tmp_path) -> None:
    material(tmp_path)
    bank = build_bank(_recipe(keyword_parts=True), base_dir=tmp_path, bank_root=tmp_path / "bank")
    takes = {clip.clip_id: clip for clip in bank.clips if clip.role == "keyword"}
    parts = [clip for clip in bank.clips if clip.kind == "near_miss"]
    assert len(parts) == 3 * len(takes) == 36
    assert [clip.clip_id for clip in bank.clips] == sorted(clip.clip_id for clip in bank.clips)
    for part in parts:
        path, name = part.clip_id.split("#")
        take = takes["keyword/kw/" + path.split("/", 2)[2]]
        whole, samples = bank.samples(take), bank.samples(part)
        start = len(whole) - len(samples) if name == "last half" else 0
        np.testing.assert_array_equal(samples, whole[start : start + len(samples)])
        assert part.group == take.group
        assert part.peak == np.abs(samples.astype(int)).max()
