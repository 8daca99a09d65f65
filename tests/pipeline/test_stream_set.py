"""Stream sets: what they promise of places, levels, repeats, bytes, memory and leaks."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.bank_building import build_bank
from pipeline import stream_writer
from pipeline.activity import rms_dbfs
from pipeline.clip_bank import ClipBank
from pipeline.splits import split_clips
from pipeline.stream_leaks import find_leaks
from pipeline.stream_plan import StreamPlanner
from pipeline.stream_renderer import render_file
from pipeline.stream_writer import file_digest, make_stream_set, read_stream_set
from schemas.errors import DatasetError, MaterialError, RequestError
from schemas.stream_set import StreamOptions
from tests.audio_factory import material, write
from tests.fakes import MemoryBank, clip, recipe

RATE = 16000


def _clips(keywords=20, negatives=60, backgrounds=8):
    made = [clip(f"k{i}", 9000 + 100 * i) for i in range(keywords)]
    made += [clip(f"n{i}", 12000 + 777 * i, role="negative") for i in range(negatives)]
    return made + [
        clip(f"b{i}", 80000 + 30000 * i, role="background", level_dbfs=-30.0)
        for i in range(backgrounds)
    ]


def _plans(**options):
    planner = StreamPlanner(StreamOptions(**({"seed": 3} | options)), _clips(), RATE)
    return planner, list(planner.files())


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**63 - 1),
    st.floats(0.01, 0.4),
    st.sampled_from([0.0, 5.0, 80.0, 300.0]),
    st.integers(0, 40),
)
def test_events_never_overlap_and_lie_in_their_stretch(seed, hours, per_hour, negatives) -> None:
    options = StreamOptions(hours=hours, seed=seed, keywords_per_hour=per_hour, file_s=600.0)
    planner = StreamPlanner(options, _clips(negatives=negatives), RATE)
    plans = list(planner.files())
    assert sum(plan.num_samples for plan in plans) == int(3600 * hours * RATE + 0.5)
    for plan in plans:
        edges = [(s.start, s.stop) for s in plan.stretches]
        assert edges[0][0] == 0
        assert edges[-1][1] == plan.num_samples
        assert all(a[1] == b[0] for a, b in zip(edges, edges[1:], strict=False))
        for stretch in plan.stretches:
            at = stretch.start
            for sound in stretch.sounds:
                assert sound.onset_samples >= at + 0.1 * RATE - 1
                at = sound.offset_samples
            assert at <= stretch.stop
            roles = {s.part.clip.role for s in stretch.sounds}
            assert stretch.kind == "conversation" or "keyword" not in roles
            assert stretch.kind in ("conversation", "talk") or not stretch.sounds
        end = 0
        for piece in plan.backgrounds:  # no gap, and never three at once
            assert piece.onset_samples == end - piece.fade_in_samples
            assert piece.fade_in_samples + piece.fade_out_samples <= piece.part.num_samples
            assert piece.part.offset_samples >= 0
            stop = piece.part.offset_samples + piece.part.num_samples
            assert stop <= piece.part.clip.num_samples
            end = piece.onset_samples + piece.part.num_samples
        assert end == plan.num_samples


def test_keywords_come_as_often_as_asked_10_to_30_s_apart_with_natural_gaps() -> None:
    _, plans = _plans(hours=10.0)
    sounds = [s for plan in plans for stretch in plan.stretches for s in stretch.sounds]
    keywords = [s for s in sounds if s.part.clip.role == "keyword"]
    assert len(keywords) == pytest.approx(800, rel=0.08)
    apart, gaps = [], []
    for plan in plans:
        for stretch in plan.stretches:
            times = [s.onset_samples for s in stretch.sounds if s.part.clip.role == "keyword"]
            apart += np.diff(times).tolist()
            gaps += [
                b.onset_samples - a.offset_samples
                for a, b in zip(stretch.sounds, stretch.sounds[1:], strict=False)
            ]
    apart_s, gaps_s = np.array(apart) / RATE, np.array(gaps) / RATE
    assert 18 < apart_s.mean() < 22
    assert np.mean((apart_s > 8) & (apart_s < 32)) > 0.95
    assert 0.1 <= gaps_s.min() <= gaps_s.max() <= 2.001
    assert np.mean((gaps_s >= 0.2) & (gaps_s <= 0.8)) == pytest.approx(0.8, abs=0.03)
    quiet = [s for plan in plans for s in plan.stretches if not s.sounds]
    assert sum(s.stop - s.start for s in quiet) / RATE > 0.25 * 36000
    assert max(s.stop - s.start for s in quiet) / RATE > 120


def test_no_take_is_heard_twice_before_all_have_been_heard() -> None:
    planner, plans = _plans(hours=2.0)
    heard = [
        s.part.clip.clip_id
        for plan in plans
        for stretch in plan.stretches
        for s in stretch.sounds
        if s.part.clip.role == "keyword"
    ]
    for start in range(0, len(heard) - 20, 20):
        assert len(set(heard[start : start + 20])) == 20
    assert heard[:20] != heard[20:40], "each pass has an order of its own"
    counts = planner.repeats()["keyword"]
    assert counts == {"different": 20, "heard": len(heard), "repeats": len(heard) - 20}


def test_several_keywords_and_long_negatives() -> None:
    clips = [*_clips(), *(clip(f"z{i}", 9000, label="zz") for i in range(3))]
    clips.append(clip("lecture", 100 * RATE, role="negative"))
    planner = StreamPlanner(StreamOptions(hours=3.0, seed=1), clips, RATE)
    sounds = [s for p in planner.files() for stretch in p.stretches for s in stretch.sounds]
    labels = Counter(s.part.clip.label for s in sounds if s.part.clip.role == "keyword")
    assert labels["zz"] / labels["kw"] == pytest.approx(1.0, abs=0.35)
    lecture = {s.part.offset_samples for s in sounds if s.part.clip.clip_id.endswith("lecture")}
    assert lecture == {20 * RATE * i for i in range(5)}
    with pytest.raises(MaterialError, match="longer than 20 s"):
        StreamPlanner(StreamOptions(hours=1, seed=1), [clip("long", 400_000), *_clips()], RATE)
    with pytest.raises(MaterialError, match="no keyword"):
        StreamPlanner(StreamOptions(hours=1, seed=1), _clips(keywords=0), RATE)


def test_levels_and_snrs_are_what_was_asked_and_nothing_clips() -> None:
    clips, (_, (plan,)) = _clips(), _plans(hours=0.2, snr_db=(0.0, 20.0))
    bank = MemoryBank(clips)
    how = {"background_dbfs": -40.0, "sample_rate_hz": RATE}
    done = list(render_file(plan, bank, **how))
    assert [len(part.audio) for part in done] == [s.stop - s.start for s in plan.stretches]
    quiet = replace(plan, stretches=tuple(replace(s, sounds=()) for s in plan.stretches))
    under = np.concatenate([part.audio for part in render_file(quiet, bank, **how)])
    whole = np.concatenate([part.audio for part in done])
    asked = [s for stretch in plan.stretches for s in stretch.sounds]
    events = [event for part in done for event in part.events]
    assert len(events) == len(asked) > 20
    for sound, event in zip(asked, events, strict=True):
        span = slice(event.onset_samples, event.onset_samples + event.num_samples)
        alone = whole[span].astype(np.float64) - under[span]
        below = rms_dbfs(under[span])
        assert rms_dbfs(alone.astype(np.float32)) - below == pytest.approx(event.snr_db, abs=0.3)
        assert event.snr_db == pytest.approx(sound.snr_db, abs=0.01)
    for stretch, part in zip(plan.stretches, done, strict=True):
        if stretch.kind == "silence":
            assert not part.audio.any()
        elif stretch.kind == "ambient":
            assert rms_dbfs(part.audio) - 90.31 == pytest.approx(-40.0, abs=4.5)
    assert np.abs(whole.astype(int)).max() < 32767
    loud = [replace(c, peak=32768, level_dbfs=-6.0) for c in clips]
    parts = list(render_file(plan, MemoryBank(loud), background_dbfs=-20.0, sample_rate_hz=RATE))
    assert max(np.abs(part.audio.astype(int)).max() for part in parts) < 32767
    assert sum(part.num_limited for part in parts) > 0


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    material(folder, keywords=40, negatives=40, backgrounds=16)
    return folder


@pytest.fixture(scope="module")
def bank(place) -> ClipBank:
    return build_bank(recipe(), base_dir=place, bank_root=place / "bank")


OPTIONS = StreamOptions(hours=0.06, seed=5, snr_db=(5.0, 15.0), file_s=72.0)


def _bytes(folder: Path) -> dict[str, str]:
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def test_a_stream_set_holds_what_it_says(bank, tmp_path) -> None:
    made, reused = make_stream_set(recipe(), bank, OPTIONS, tmp_path / "s")
    assert not reused
    assert sorted(_bytes(tmp_path / "s")) == sorted(
        f"stream-{i:03d}{end}" for i in range(3) for end in (".others.txt", ".txt", ".wav")
    ) + ["stream-set.json"]
    assert read_stream_set(tmp_path / "s") == made
    assert made.hours == pytest.approx(0.06, abs=1e-4)
    test = {c.clip_id for c in split_clips(bank.clips, recipe().splits)["test"]}
    assert {c.clip_id for c in made.clips} <= test
    kinds = {c.clip_id: c.kind for c in made.clips}
    for file in made.files:
        path = tmp_path / "s" / file.name
        assert soundfile.info(path).frames == file.num_samples
        assert soundfile.info(path).subtype == "PCM_16"
        assert file_digest(path) == file.sha256
        lines = path.with_suffix(".txt").read_text().splitlines()
        keywords = [e for e in file.events if kinds[e.clip] == "keyword"]
        assert [line.split("\t")[2] for line in lines] == ["kw"] * len(keywords)
        for line, event in zip(lines, keywords, strict=True):
            assert float(line.split("\t")[0]) == pytest.approx(event.onset_samples / RATE, abs=1e-6)
    uses = Counter(e.clip for file in made.files for e in file.events)
    assert all(uses[c.clip_id] == c.uses for c in made.clips if c.role != "background")
    assert made.counts["keywords"] == sum(n for c, n in uses.items() if kinds[c] == "keyword")
    assert made.leak_check["leaks"] == 0
    assert made.leak_check["against"]["train"] > 0


def test_the_same_bytes_again_whatever_was_killed(bank, tmp_path, monkeypatch) -> None:
    make_stream_set(recipe(), bank, OPTIONS, tmp_path / "one")
    whole = _bytes(tmp_path / "one")
    real = stream_writer._write_file
    calls = []

    def killed(out, plan, *more):
        calls.append(plan.index)
        if plan.index == 2 and len(calls) == 3:
            (out / "stream-002.writing").write_bytes(b"half")
            raise KeyboardInterrupt
        return real(out, plan, *more)

    monkeypatch.setattr(stream_writer, "_write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        make_stream_set(recipe(), bank, OPTIONS, tmp_path / "two")
    with pytest.raises(RequestError, match=r"no stream-set\.json"):
        read_stream_set(tmp_path / "two")
    first = (tmp_path / "two" / "stream-000.wav").stat().st_mtime_ns
    make_stream_set(recipe(), bank, OPTIONS, tmp_path / "two")
    assert _bytes(tmp_path / "two") == whole
    assert (tmp_path / "two" / "stream-000.wav").stat().st_mtime_ns == first, "it was kept"
    again, reused = make_stream_set(recipe(), bank, OPTIONS, tmp_path / "two")
    assert reused
    (tmp_path / "two" / "stream-001.wav").unlink()
    remade, reused = make_stream_set(recipe(), bank, OPTIONS, tmp_path / "two")
    assert (remade.identity(), reused) == (again.identity(), False)
    assert _bytes(tmp_path / "two") == whole


def test_other_options_never_replace_silently(bank, tmp_path) -> None:
    make_stream_set(recipe(), bank, OPTIONS, tmp_path / "s")
    before = _bytes(tmp_path / "s")
    other = replace(OPTIONS, seed=6)
    with pytest.raises(RequestError, match=r"options\.seed: 5 → 6"):
        make_stream_set(recipe(), bank, other, tmp_path / "s")
    assert _bytes(tmp_path / "s") == before
    other_scenes = recipe(scene={"duration_s": 5.0})
    assert make_stream_set(other_scenes, bank, OPTIONS, tmp_path / "s")[1], "scenes play no part"
    (tmp_path / "s" / "notes.md").write_text("mine")
    make_stream_set(recipe(), bank, other, tmp_path / "s", overwrite=True)
    after = _bytes(tmp_path / "s")
    assert "notes.md" in after
    assert after["stream-000.wav"] != before["stream-000.wav"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("important")
    for overwrite in (False, True):
        with pytest.raises(RequestError, match="something else than a stream set"):
            make_stream_set(recipe(), bank, OPTIONS, tmp_path / "thesis", overwrite=overwrite)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.txt"]


def test_a_leak_is_caught_whatever_name_it_has(place, tmp_path) -> None:
    """The same recording in another container is another file by another name: samples tell."""
    material(tmp_path, keywords=40, negatives=20, backgrounds=16)
    clean = build_bank(recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    splits = split_clips(clean.clips, recipe().splits)
    test = sorted(c.clip_id for c in splits["test"] if c.role == "keyword")
    for i, clip_id in enumerate(test):  # so many copies that some go to training
        x, rate = soundfile.read(tmp_path / "kw" / clip_id.rpartition("/")[2], dtype="int16")
        for copy in range(6):
            comment = {"format": "FLAC"} if copy == 0 else {}
            path = tmp_path / "kw" / f"copy {i} {copy}.{'flac' if copy == 0 else 'wav'}"
            write(path, x, rate, **comment)
            if copy:  # another file, the same sound
                path.write_bytes(path.read_bytes() + b"LIST" + bytes([copy, 0, 0, 0]) + b"x" * copy)
    leaky = build_bank(recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    with pytest.raises(DatasetError, match="has the same samples as keyword/kw/copy") as caught:
        make_stream_set(recipe(), leaky, OPTIONS, tmp_path / "s")
    assert "train or validation" in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_each_way_to_leak(bank, tmp_path) -> None:
    made, _ = make_stream_set(recipe(), bank, OPTIONS, tmp_path / "s")
    used = [c for c in made.clips if c.role == "keyword"][:1]
    other = next(c for c in split_clips(bank.clips, recipe().splits)["train"])
    assert find_leaks(used, [other], bank.samples) == []
    same_file = replace(other, content_sha256=used[0].content_sha256)
    same_speaker = replace(other, group=used[0].speaker)
    (leak,) = find_leaks(used, [same_file], bank.samples)
    assert (leak.clip, leak.other) == (used[0].clip_id, other.clip_id)
    assert "file" in leak.why
    assert "speaker" in find_leaks(used, [same_speaker], bank.samples)[0].why
    shared = [replace(used[0], shared=True)]
    assert find_leaks(shared, [same_file], bank.samples) == []


def test_memory_does_not_grow_with_hours(bank) -> None:
    """A stretch at a time: three minutes of sound at most, whatever the stream's length."""
    planner = StreamPlanner(
        StreamOptions(hours=1.0, seed=1), split_clips(bank.clips, recipe().splits)["test"], RATE
    )
    (plan,) = planner.files()
    longest = max(s.stop - s.start for s in plan.stretches)
    assert longest <= 190 * RATE
    parts = render_file(plan, bank, background_dbfs=-35.0, sample_rate_hz=RATE)
    assert max(len(part.audio) for part in parts) == longest


@pytest.mark.parametrize(
    "wrong",
    [{"hours": 0}, {"snr_db": (9.0, 3.0)}, {"keywords_per_hour": 900}, {"split": "all"}],
)
def test_options_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(RequestError):
        StreamOptions(**({"hours": 1.0, "seed": 0} | wrong))


def test_a_damaged_summary_says_so(bank, tmp_path) -> None:
    make_stream_set(recipe(), bank, OPTIONS, tmp_path / "s")
    path = tmp_path / "s" / "stream-set.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"version": 99}))
    with pytest.raises(DatasetError, match="version 99"):
        read_stream_set(tmp_path / "s")
