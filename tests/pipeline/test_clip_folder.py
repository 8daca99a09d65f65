"""Folders of labelled clips: which are used, how they are decoded, divided and shuffled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.inputs.clip_folder import ClipFolder, load_clip_folder
from pipeline.inputs.clip_source import ClipSource, prepare_clips
from pipeline.inputs.clip_splits import deal_as_reference
from pipeline.inputs.source import Share, batches
from schemas.errors import MaterialError
from schemas.recipe import SPLITS, Fractions
from schemas.recipe_commands import ClipAugmentation, LabelledClips
from tests.audio_factory import burst, write
from tests.clip_factory import MELODIES, SPEAKERS, melody, speech_commands

SPEAKER = r"(?:^|/)([a-z]+)_nohash_\d+\."
HASHED = Fractions()
DIGITS = Path(__file__).parents[2] / "../shared/data/digits"


def load(folder: Path, splits: Fractions = HASHED, **more) -> ClipFolder:
    return load_clip_folder(LabelledClips(path=str(folder), **more), splits, folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> ClipFolder:
    folder = speech_commands(tmp_path_factory.mktemp("clips"), takes=4)
    return load(folder, speaker_pattern=SPEAKER)


def test_R64_classes_are_the_sorted_folders_and_strays_are_no_class(clips) -> None:
    assert clips.class_names == ("down", "go", "up")
    assert clips.samples.shape == (3 * 6 * 4, 16000)
    assert clips.num_other_files == 1  # README.md; hidden files are passed over
    assert not clips.rejects
    for row, clip_id in enumerate(clips.clip_ids):
        assert clips.class_names[clips.labels[row]] == clip_id.split("/")[0]
    assert list(clips.clip_ids) == sorted(clips.clip_ids)


def test_R64_classes_by_pattern_and_a_choice_of_them(tmp_path) -> None:
    for digit in (3, 10, 2):
        for take in range(3):
            write(tmp_path / f"{digit}_ann_{take}.wav", burst(seed=10 * digit + take))
    write(tmp_path / "notes.wav", burst())
    found = load(tmp_path, label_pattern=r"(?:^|/)(\d+)_")
    assert found.class_names == ("10", "2", "3")
    assert [r.path for r in found.rejects] == ["notes.wav"]
    assert "label_pattern" in found.rejects[0].reason
    few = load(tmp_path, label_pattern=r"(?:^|/)(\d+)_", classes=("3", "2"))
    assert few.class_names == ("2", "3")


def test_R66_no_speaker_is_in_two_splits(clips) -> None:
    assert clips.speakers_known
    found = [set(clips.speakers_in(split)) for split in SPLITS]
    assert all(found)
    assert set().union(*found) == set(SPEAKERS)
    assert sum(map(len, found)) == len(SPEAKERS)
    rows = np.concatenate([clips.rows[split] for split in SPLITS])
    assert sorted(rows) == list(range(len(clips.labels)))


def test_R66_speakers_may_be_kept_in_a_split_and_unknown_ones_are_named(tmp_path) -> None:
    folder = speech_commands(tmp_path)
    keep = Fractions(keep={"emil": "test", "alma": "validation"})
    found = load(folder, keep, speaker_pattern=SPEAKER)
    assert "emil" in found.speakers_in("test")
    assert "alma" in found.speakers_in("validation")
    with pytest.raises(MaterialError, match="zoe"):
        load(folder, Fractions(keep={"zoe": "test"}), speaker_pattern=SPEAKER)


def test_R66_a_test_folder_is_apart_with_its_speakers_and_recordings(tmp_path) -> None:
    speech_commands(tmp_path / "main")
    for label in MELODIES:
        write(tmp_path / "held" / label / "fred_nohash_7.wav", melody(label, "fred", 7))
    # the same recording under another name
    write(tmp_path / "main" / "go" / "gina_nohash_0.wav", melody("go", "fred", 7))
    found = load(tmp_path / "main", test_path=str(tmp_path / "held"), speaker_pattern=SPEAKER)
    assert found.speakers_in("test") == ("fred",)
    assert len(found.rows["test"]) == 3
    used = {found.speakers[row] for split in ("train", "validation") for row in found.rows[split]}
    assert used == set(SPEAKERS) - {"fred"}
    assert len(found.rows["validation"])
    assert "7 clips left out" in found.describe()


def test_R67_reference_split_of_8000_is_6400_768_832() -> None:
    rows = deal_as_reference(8000)
    assert {split: len(rows[split]) for split in SPLITS} == {
        "train": 6400,
        "validation": 768,
        "test": 832,
    }
    assert sorted(np.concatenate(list(rows.values()))) == list(range(8000))


def test_R67_reference_split_is_the_loaders_with_batches_dealt_in_turn(tmp_path) -> None:
    """Oracle: Keras' own loader on 2 × 520 numbered clips, its validation batches sharded."""
    for i in range(1040):
        x = np.array([i, 0, 0, 0], np.int16)
        write(tmp_path / "ab"[i // 520] / f"{i:04d}.wav", x)
    _, held_out = keras.utils.audio_dataset_from_directory(
        str(tmp_path), batch_size=64, validation_split=0.2, seed=0, subset="both",
        output_sequence_length=4,
    )  # fmt: skip
    rows = deal_as_reference(1040)
    for split, index in (("test", 0), ("validation", 1)):
        audio = np.concatenate([x.numpy() for x, _ in held_out.shard(2, index)])
        numbers = np.rint(audio[:, 0, 0] * 32768).astype(int)
        assert len(numbers) in (80, 128)
        np.testing.assert_array_equal(numbers, rows[split])


def test_R67_a_recipe_may_ask_for_the_reference_split(tmp_path) -> None:
    folder = speech_commands(tmp_path, takes=4)
    found = load(folder, speaker_pattern=SPEAKER, split_by="reference")
    assert [len(found.rows[split]) for split in SPLITS] == [58, 0, 14]
    assert set(found.speakers_in("train")) & set(found.speakers_in("test"))


def batches_by_epoch(clips: ClipFolder, *, seed: int = 5, **more) -> list[list[list[int]]]:
    source = ClipSource(clips.rows["train"], seed=seed)
    data = batches(source, lambda rows, epoch: (rows, epoch), batch_size=8, epochs=range(2), **more)
    found: list[list[list[int]]] = [[], []]
    for rows, epoch in data:
        found[int(epoch)].append(rows.numpy().tolist())
    return found


def test_R68_clips_are_shuffled_so_that_batches_differ_between_epochs(clips) -> None:
    first, second = batches_by_epoch(clips)
    assert len(first) == len(clips.rows["train"]) // 8 > 3
    for epoch in (first, second):
        rows = [row for batch in epoch for row in batch]
        assert len(rows) == len(set(rows))
        assert set(rows) <= set(clips.rows["train"].tolist())
    assert not {frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}
    assert batches_by_epoch(clips) == [first, second]
    assert batches_by_epoch(clips, seed=6) != [first, second]
    halves = [batches_by_epoch(clips, share=Share(worker, 2)) for worker in (0, 1)]
    joined = [a + b for a, b in zip(halves[0][1], halves[1][1], strict=True)]
    assert joined == second


def test_R69_another_rate_is_resampled_to_the_same_length_and_pitch(tmp_path) -> None:
    for rate in (8000, 16000, 44100, 48000):
        x = burst(rate=rate, before_s=0, sound_s=1.0, after_s=0, hz=440)
        stereo = np.stack([x, 0.5 * x], axis=1)
        write(tmp_path / "tone" / f"{rate}.flac", stereo, rate, format="FLAC")
        write(tmp_path / "other" / f"{rate}.wav", burst(rate=rate, hz=900), rate)
    found = load(tmp_path, splits=Fractions(train=1.0, validation=0.0, test=0.0))
    tones = found.samples[found.labels == 1].astype(float)
    assert tones.shape == (4, 16000)
    peaks = np.abs(np.fft.rfft(tones, axis=1)).argmax(axis=1)
    np.testing.assert_array_equal(peaks, 440)  # one second: bins are Hz
    np.testing.assert_allclose(np.abs(tones).max(axis=1), 0.75 * 0.3 * 32768, rtol=0.05)


def test_clips_are_cut_or_filled_up_at_the_end(tmp_path) -> None:
    long = burst(before_s=0.2, sound_s=1.5, after_s=0.3)
    write(tmp_path / "a" / "long.wav", long)
    write(tmp_path / "b" / "short.wav", long[:6000])
    found = load(tmp_path, splits=Fractions(train=1.0, validation=0.0, test=0.0))
    whole = np.rint(long * 32768)
    assert np.abs(found.samples[0] - whole[:16000]).max() <= 1
    assert np.abs(found.samples[1, :6000] - whole[:6000]).max() <= 1
    assert not found.samples[1, 6000:].any()
    assert found.num_cut == 1


def test_unusable_clips_are_named_with_their_reasons_and_stop_nothing(tmp_path) -> None:
    folder = speech_commands(tmp_path)
    bad = folder / "go"
    (bad / "bert_nohash_90.wav").write_bytes(b"")
    (bad / "bert_nohash_91.wav").write_bytes(b"RIFF but not really")
    write(bad / "bert_nohash_92.wav", np.zeros(16000))
    write(bad / "bert_nohash_93.wav", np.full(16000, np.nan), subtype="FLOAT")
    write(bad / "bert_nohash_94.wav", np.zeros(0))
    whole = (bad / "bert_nohash_0.wav").read_bytes()
    (bad / "bert_nohash_95.wav").write_bytes(whole[:9000])
    write(bad / "nobody.wav", burst())
    write(folder / "stray.wav", burst())
    found = load(folder, speaker_pattern=SPEAKER)
    reasons = {
        reject.path.split("/")[-1].removesuffix(".wav"): reject.reason for reject in found.rejects
    }
    wanted = {
        "bert_nohash_90": "empty", "bert_nohash_91": "not readable", "bert_nohash_92": "silent",
        "bert_nohash_93": "NaN", "bert_nohash_94": "no samples", "bert_nohash_95": "truncated",
        "nobody": "speaker_pattern", "stray": "no class",
    }  # fmt: skip
    assert set(reasons) == set(wanted)
    for name, part in wanted.items():
        assert part in reasons[name], reasons[name]
    assert len(found.labels) == 36
    assert "8 files rejected" in found.describe()


def test_hostile_names_are_shown_escaped_and_read(tmp_path) -> None:
    names = ["a b", "$x_{1}$", "ligne\nbreak", "größe", "-rf", "[red]"]
    for label in names:
        write(tmp_path / label / "take one;'.wav", burst(seed=names.index(label)))
    raw = str(tmp_path).encode() + b"/\xff\xfe"
    Path(raw.decode("utf-8", "surrogateescape")).mkdir()
    write(Path(raw.decode("utf-8", "surrogateescape")) / "x.wav", burst(seed=99))
    found = load(tmp_path, splits=Fractions(train=1.0, validation=0.0, test=0.0))
    assert not found.rejects
    assert len(found.class_names) == 7
    assert all(name.isprintable() for name in (*found.class_names, *found.clip_ids))
    found.identity.encode("ascii")


def test_a_folder_beyond_the_limit_is_refused_before_it_is_read(tmp_path) -> None:
    folder = speech_commands(tmp_path)
    with pytest.raises(MaterialError, match=r"clips\.max_bytes"):
        load(folder, max_bytes="1MiB")
    assert load(folder, max_bytes=36 * 32000).samples.nbytes == 36 * 32000


@pytest.mark.parametrize(
    ("files", "part"),
    [([], "0 classes"), (["a/x.wav"], "1 classes"), (None, "can't be listed")],
)
def test_too_little_is_an_error_that_says_what_is_missing(tmp_path, files, part) -> None:
    for name in files or []:
        write(tmp_path / name, burst())
    with pytest.raises(MaterialError, match=part):
        load(tmp_path / "nowhere" if files is None else tmp_path)


def test_a_class_that_nobody_trains_is_named(tmp_path) -> None:
    folder = speech_commands(tmp_path)
    write(folder / "stop" / "alma_nohash_0.wav", burst())
    with pytest.raises(MaterialError, match="no clip of stop"):
        load(folder, Fractions(keep={"alma": "test"}), speaker_pattern=SPEAKER)


def test_identity_follows_content_and_splits_not_place(tmp_path) -> None:
    one = load(speech_commands(tmp_path / "one"), speaker_pattern=SPEAKER)
    two = load(speech_commands(tmp_path / "two"), speaker_pattern=SPEAKER)
    assert one.identity == two.identity
    other = load(
        tmp_path / "two", Fractions(keep={one.speakers_in("test")[0]: "train"}),
        speaker_pattern=SPEAKER,
    )  # fmt: skip
    assert other.identity != one.identity
    write(tmp_path / "two" / "go" / "alma_nohash_0.wav", melody("go", "alma", 50))
    assert load(tmp_path / "two", speaker_pattern=SPEAKER).identity != one.identity


AUGMENTATION = ClipAugmentation(
    speed=(0.8, 1.25), shift_s=(-0.05, 0.2), noise_snr_db=(10, 30), frequency_mask_bins=8,
    time_mask_frames=8,
)  # fmt: skip


def prepared(clips: ClipFolder, how: ClipAugmentation, rows: list[int], epoch: int) -> np.ndarray:
    prepare = prepare_clips(clips, lambda x: x[:, :, None, None], how, seed=3)
    features, labels = tf.function(prepare)(
        tf.constant(rows, tf.int64), tf.constant(epoch, tf.int64)
    )
    np.testing.assert_array_equal(labels, clips.labels[rows])
    return features.numpy()[:, :, 0, 0]


def test_without_augmentation_clips_come_as_they_are(clips) -> None:
    got = prepared(clips, ClipAugmentation(), [5, 2], 0)
    np.testing.assert_array_equal(got, clips.samples[[5, 2]] / np.float32(32768))


def test_augmentation_depends_on_seed_epoch_and_clip_alone(clips) -> None:
    together = prepared(clips, AUGMENTATION, [1, 7, 20], 4)
    alone = prepared(clips, AUGMENTATION, [20], 4)
    np.testing.assert_allclose(together[2], alone[0], atol=1e-6)
    assert np.abs(prepared(clips, AUGMENTATION, [20], 5) - alone).max() > 0.01


def test_speed_moves_the_pitch_and_noise_has_its_level(clips) -> None:
    row = [int(np.flatnonzero(clips.labels == 1)[0])]  # one steady tone
    plain = prepared(clips, ClipAugmentation(), row, 0)[0]
    fast = prepared(clips, ClipAugmentation(speed=(1.2, 1.2)), row, 0)[0]
    hz = [np.abs(np.fft.rfft(x, 2**18)).argmax() * 16000 / 2**18 for x in (plain, fast)]
    assert hz[1] / hz[0] == pytest.approx(1.2, rel=1e-3)
    late = prepared(clips, ClipAugmentation(shift_s=(0.1, 0.1)), row, 0)[0]
    np.testing.assert_allclose(late[1600:], plain[:-1600], atol=1e-6)
    assert not late[:1599].any()
    noise = prepared(clips, ClipAugmentation(noise_snr_db=(20, 20)), row, 0)[0] - plain
    assert 20 * np.log10(plain.std() / noise.std()) == pytest.approx(20, abs=0.2)


@pytest.mark.skipif(not DIGITS.is_dir(), reason=f"needs the real digits in {DIGITS}")
def test_R66_real_digits_are_split_by_speaker() -> None:
    found = load(
        DIGITS.resolve(), label_pattern=r"(?:^|/)(\d)_", speaker_pattern=r"\d_([a-z]+)_\d+\."
    )
    assert found.class_names == tuple("0123456789")
    assert len(found.labels) == 3000
    assert [len(found.speakers_in(split)) for split in SPLITS] == [4, 1, 1]
