"""Recipes: what init writes loads; what is wrong is named with its place and its cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe_file import guess_speaker_pattern, load_recipe
from pipeline.recipe_template import preset_names, recipe_template
from schemas.errors import RecipeError, RequestError
from schemas.scene import SceneSpec
from tests.fakes import recipe

TEXT = recipe_template(
    name="athena",
    keyword=[("takes", "athena", None)],
    negative=[("speech", "speech", r"_(.+)_")],
    background=[("noise", None)],
)


def _load(folder: Path, text: str, *overrides: str):
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


def test_the_template_is_a_valid_recipe_with_the_documented_defaults(tmp_path) -> None:
    loaded = _load(tmp_path, TEXT)
    assert loaded.labels == ("athena",)
    assert loaded.scene.on_infeasible == "condition"
    assert loaded.dataset.shard_bytes == 64 * 2**20
    assert loaded.material.negative[0].speaker_pattern == r"_(.+)_"


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_a_valid_recipe(tmp_path, preset: str) -> None:
    folders = {
        "keyword": [("takes @name@", "kw", None), ("b", "b", None)],
        "negative": [("speech", "speech", None)],
        "background": [("noise", None)],
    }
    loaded = _load(tmp_path, recipe_template(name="x", preset=preset, **folders))
    assert loaded.material.keyword[0].path == "takes @name@"
    assert loaded.scene.num_negatives.range[1] > 0
    with pytest.raises(RequestError, match="wake-word"):
        recipe_template(name="x", preset="frobnicate", **folders)


@given(st.text(min_size=1, max_size=30).filter(lambda s: s.isprintable() or "\n" in s))
def test_hostile_paths_survive_the_template(name: str) -> None:
    import tempfile

    if any(0xD800 <= ord(c) <= 0xDFFF for c in name):
        return
    text = recipe_template(
        name="x", keyword=[(name, "kw", None)], negative=[], background=[(name, None)]
    )
    with tempfile.TemporaryDirectory() as folder:
        assert _load(Path(folder), text).material.keyword[0].path == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("duration_s: 5.0", "duratoin_s: 10.0"), "scene.duratoin_s is not .*'duration_s'"),
        (("scene:", "scnee:"), "scnee is not a known key .*'scene'"),
        (('label: "athena"', 'lable: "athena"'), r"material.keyword\[0\].lable .*'label'"),
        (("num_keywords: [0, 2]", "num_keywords: [3, 0]"), "upside down"),
        (("train: 0.8", "train: 0.9"), "sum to 1"),
        (("shard_bytes: 64MiB", "shard_bytes: lots"), "'lots' is not a size"),
        (("seed: 7", "seed: 7\nseed: 8"), "line 6: the key 'seed' is given twice"),
        (("seed: 7", "seed: [7"), "line"),
        (("schema: 1", "schema: 2"), "schema"),
        (("duration_s: 5.0", "duration_s: .nan"), "scene.duration_s"),
        (("family: stream_tcn", "family: trigger_gru"), "specgram"),
        (("hop_s: 0.010", "hop_s: 0.025"), "longer than a hop"),
        (("hop_s: 0.010", "hop_s: 0.00001"), "features.*hop_s"),
        (("num_mels: 40", "num_mels: 40, fft_size: 601"), "power of two"),
        (("num_keywords: [0, 2]", "num_keywords: [0, 300000000]"), "num_keywords"),
        (("train: 16000", "train: 100000000000"), "num_examples.train"),
        (("min_gap_s: 0.1", "min_gap_s: 1.0e+308"), "min_gap_s"),
        (("margin_s: 0.0", "margin_s: 1.0e+300"), "margin_s"),
        (("shard_bytes: 64MiB", f"shard_bytes: '1{'0' * 400}'"), "twenty digits"),
        (("snr_db: [0, 20]", "snr_db: [0, 100000]"), "SNR must lie"),
        (("level_dbfs: [-35, -12]", "level_dbfs: [-100000, -12]"), "less than one bit"),
        (("seed: 7", "seed: true"), "seed"),
        (('label: "athena"', r'label: "a\e[2Jb"'), "printable"),
        (("speed: [0.88, 1.14]", "speed: [0.551, 1.1]"), "multiples of 0.01"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path, change, says) -> None:
    assert change[0] in TEXT
    with pytest.raises(RecipeError, match=says):
        _load(tmp_path, TEXT.replace(*change, 1))


def test_all_problems_are_listed_at_once(tmp_path) -> None:
    text = TEXT.replace("epochs: 4", "epochs: 0").replace("batch_size: 32", "batchsize: 32")
    with pytest.raises(RecipeError) as error:
        _load(tmp_path, text)
    assert "training.epochs" in str(error.value)
    assert "training.batchsize" in str(error.value)


def test_overrides(tmp_path) -> None:
    loaded = _load(tmp_path, TEXT, "seed=0", "scene.snr_db=[5, 6]", "dataset.num_examples.train=3")
    assert (loaded.seed, loaded.scene.snr_db, loaded.dataset.num_examples.train) == (0, (5, 6), 3)
    for wrong, says in (
        ("seed", "section.key=value"), ("seed.x=1", "is a value"), ("sceen.x=1", "'scene'"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=says):
            _load(tmp_path, TEXT, wrong)


def test_multiples_of_the_median_lie_around_it() -> None:
    with pytest.raises(ValueError, match=r"around 1, got \[1.2, 1.5\]"):
        recipe(scene={"keyword_lengths": [1.2, 1.5]})


def test_lengths_become_samples_in_one_place() -> None:
    spec = SceneSpec.of(recipe(scene={"duration_s": 1.00003, "min_gap_s": 0.1, "margin_s": 0.5}))
    assert (spec.num_samples, spec.min_gap_samples, spec.margin_samples) == (16000, 1600, 8000)


def test_the_content_digest_covers_what_decides_bytes_and_nothing_else() -> None:
    base = recipe().content_digest("bank")
    assert recipe(training={"epochs": 3}).content_digest("bank") == base
    assert recipe(dataset={"num_examples": {"train": 1}}).content_digest("bank") == base
    for changed in (
        recipe(seed=8), recipe(scene={"snr_db": [0, 19]}), recipe(dataset={"encoding": "flac"}),
        recipe(scene={"keyword_lengths": [0.5, 1.5]}),
    ):  # fmt: skip
        assert changed.content_digest("bank") != base
    assert recipe().content_digest("other bank") != base


def test_keys_younger_than_data_sets_are_in_the_digest_only_where_they_are_set() -> None:
    content = recipe().content("bank")
    assert "keep" not in content["splits"]
    assert "keyword_lengths" not in content["scene"]


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (["0_george_0.wav", "1_lucas_3.wav"], "george"),
        (["1-100032-A-0.ogg", "2-5555-B-3.ogg"], "100032"),
        (["bed/00176480_nohash_0.wav", "bed/ffffffff_nohash_1.wav"], "00176480"),
        (["x/hi__en-us+f1__r175__p50.wav", "x/hi__en+m1__r175__p50.wav"], "en-us+f1"),
        (["anna__0001.wav", "bert__0001.wav"], "anna"),
        (["mo__0123456789ab__t000000500.wav", "tu__ba9876543210__t1.wav"], None),
        (["mo__0123456789ab__t000000500.wav", "tu__ba9876543210__t000000001.wav"], "0123456789ab"),
        (["a.wav", "b.wav"], None),
    ],
)
def test_well_known_names_give_a_pattern(names, group) -> None:
    import re

    pattern = guess_speaker_pattern(names)
    assert (pattern and re.search(pattern, names[0])[1]) == group
