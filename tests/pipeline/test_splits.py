"""One group, one split; stable; never empty where that can be helped."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.splits import _home, _intervals, assign_splits, group_position, split_clips
from schemas.recipe import SPLITS, Fractions
from tests.fakes import clip

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=80, unique=True)


@given(NAMES, st.randoms())
def test_a_group_is_in_one_split_whatever_the_order(names: list[str], random) -> None:
    clips = [clip(f"{n}{i}.wav", 10, group=n) for n in names for i in range(2)]
    clips += [clip(f"{n}.wav", 10, group=n, role="background") for n in names[::2]]
    home = assign_splits(clips, Fractions())
    shuffled = clips[:]
    random.shuffle(shuffled)
    assert assign_splits(shuffled, Fractions()) == home
    by_split = split_clips(clips, Fractions())
    groups = [{c.group for c in by_split[split]} for split in SPLITS]
    assert sum(map(len, groups)) == len(set(names))
    assert sum(map(len, by_split.values())) == len(clips)


@given(st.integers(3, 40), st.integers(0, 1000))
def test_no_split_is_empty_with_three_groups_or_more(n: int, seed: int) -> None:
    clips = [clip(f"{i}.wav", 10, group=f"{seed}-{i}") for i in range(n)]
    by_split = split_clips(clips, Fractions())
    assert all(by_split[split] for split in SPLITS)


@given(st.integers(10, 120), st.integers(0, 1000))
def test_little_material_gives_each_split_its_share(n: int, seed: int) -> None:
    clips = [clip(f"{i}.wav", 10, group=f"{seed}-{i}") for i in range(n)]
    by_split = split_clips(clips, Fractions())
    assert min(len(by_split["validation"]), len(by_split["test"])) >= min(n // 10, 5)
    plain = {c.group: _home(c.group, _intervals(Fractions())) for c in clips}
    home = assign_splits(clips, Fractions())
    assert len(by_split["train"]) >= 8 * n // 10 * 3 // 4
    due = {"train": 8 * n // 10 * 3 // 4, "validation": min(n // 10, 5), "test": min(n // 10, 5)}
    lacking = {s for s in SPLITS if list(plain.values()).count(s) < due[s]}
    assert {home[g] for g in home if home[g] != plain[g]} <= lacking, "nobody else moves"


def test_many_words_by_the_same_speakers_leave_training_most() -> None:
    """Thirty-five words, thirty speakers each of two hundred: a lack moves whole speakers."""
    rng = np.random.default_rng(5)
    clips = [
        clip(f"{word}-{speaker}.wav", 10, group=f"speaker {speaker}", label=f"word {word}")
        for word in range(35)
        for speaker in rng.choice(200, 30, replace=False)
    ]
    home = assign_splits(clips, Fractions())
    of_train = sum(split == "train" for split in home.values()) / len(home)
    assert of_train > 0.7
    for word in range(35):
        of = [home[c.group] for c in clips if c.label == f"word {word}"]
        assert of.count("train") >= 18, "three quarters of its share"


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), min_size=9, max_size=24),
    st.integers(0, 10**6),
)
def test_filling_one_class_never_empties_another(takes: list, seed: int) -> None:
    roles = ("keyword", "negative", "background")
    clips = [
        clip(f"{i}.wav", 10, group=f"{seed}-{speaker}", role=roles[role])
        for i, (speaker, role) in enumerate(takes)
    ]
    plain = {c.group: _home(c.group, _intervals(Fractions())) for c in clips}
    by_split = split_clips(clips, Fractions())
    for role in roles:
        before = {plain[c.group] for c in clips if c.role == role}
        after = {split for split in SPLITS if any(c.role == role for c in by_split[split])}
        assert before <= after


def test_the_same_recording_is_never_in_two_splits_whatever_it_is_called() -> None:
    clips = [
        clip(f"spk{i}_take.wav", 10, group=f"spk{i}", content_sha256=f"recording {i % 10}")
        for i in range(40)
    ]
    home = assign_splits(clips, Fractions())
    heard: dict[str, set[str]] = {}
    for item in clips:
        heard.setdefault(item.content_sha256, set()).add(home[item.group])
    assert all(len(splits) == 1 for splits in heard.values())
    assert set(home.values()) == set(SPLITS)


def test_adding_material_moves_nobody() -> None:
    old = [clip(f"{i}.wav", 10, group=f"speaker {i}") for i in range(300)]
    new = old + [clip(f"n{i}.wav", 10, group=f"newcomer {i}") for i in range(300)]
    before, after = (assign_splits(clips, Fractions()) for clips in (old, new))
    assert all(after[group] == split for group, split in before.items())
    shares = [list(after.values()).count(split) / 600 for split in SPLITS]
    assert abs(shares[0] - 0.8) < 0.06


def test_positions_are_pinned() -> None:
    """Golden: a change would move speakers between the splits of existing recipes."""
    assert round(group_position("speaker 1"), 6) == 0.224038


def test_a_shared_recording_is_in_all_splits_and_moves_nobody() -> None:
    clips = [clip(f"{i}.wav", 10, group=f"speaker {i}") for i in range(30)]
    shared = clip("b.wav", 10, role="background", group="speaker 3", shared=True)
    by_split = split_clips([*clips, shared], Fractions())
    assert all(shared in by_split[split] for split in SPLITS)
    alone = split_clips(clips, Fractions())
    assert all(set(by_split[split]) - {shared} == set(alone[split]) for split in SPLITS)


def test_a_recipe_may_keep_a_speaker_in_a_split() -> None:
    clips = [clip(f"{i}.wav", 10, group=f"s{i}") for i in range(5)]
    free = assign_splits(clips, Fractions())
    other = next(split for split in SPLITS if split != free["s3"])
    kept = assign_splits(clips, Fractions(keep={"s3": other, "nobody": "test"}))
    assert kept["s3"] == other
    assert kept.keys() == free.keys()
