"""Streams of sound files: the same numbers as reading them whole, the same refusals."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from pipeline.audio_file import read_audio, resample, to_mono
from pipeline.audio_stream import stream_audio
from schemas.errors import AudioError
from tests.audio_factory import burst, write


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", [".wav", ".mkv"])
def test_a_stream_mixes_channels_as_the_bank_does(tmp_path, suffix: str, channels: int) -> None:
    import imageio_ffmpeg

    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((44100 * 2 + 77, channels))
    path = write(tmp_path / "x.wav", x, 44100)
    if suffix == ".mkv":
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-c:a", "flac"]
        path = path.with_suffix(suffix)
        subprocess.run([*command, path], check=True)
    whole, rate = read_audio(path)
    wanted = resample(to_mono(whole), rate, 16000)
    streamed = np.concatenate(list(stream_audio(path, 16000, block_s=0.3)))
    assert abs(len(streamed) - len(wanted)) <= 1
    n = min(len(streamed), len(wanted))
    np.testing.assert_allclose(streamed[:n], wanted[:n], atol=2e-4)


@pytest.mark.parametrize("size", [44, 20_000])
def test_a_truncated_file_is_refused_as_a_stream_too(tmp_path, size: int) -> None:
    path = write(tmp_path / "x.wav", burst(), 16000)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(AudioError, match="truncated"):
        list(stream_audio(path, 16000))


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_ffmpeg_that_is_killed_makes_no_sound_unreadable(
    tmp_path, monkeypatch, signal_name: str, whole: bool
) -> None:
    """A crash is the file's fault, a kill is the machine's; a codec asks the same question."""
    import imageio_ffmpeg

    from pipeline.audio_file import open_audio
    from pipeline.effects.codec import through_opus

    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nkill -{signal_name.removeprefix('SIG')} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    (tmp_path / "sound.m4a").write_bytes(b"whatever")
    wanted = AudioError if signal_name == "SIGSEGV" else OSError
    with pytest.raises(wanted):
        if whole:
            read_audio(tmp_path / "sound.m4a")
        else:
            with open_audio(tmp_path / "sound.m4a") as (_, blocks):
                list(blocks)
    with pytest.raises(wanted):
        through_opus(np.zeros(100, np.float32), 16_000, 24)


@pytest.mark.parametrize(
    "number, wanted", [(errno.EACCES, AudioError), (errno.EIO, OSError), (errno.EMFILE, OSError)]
)
def test_only_the_files_own_faults_make_it_unreadable(
    tmp_path, monkeypatch, number: int, wanted: type[Exception]
) -> None:
    write(tmp_path / "sound.wav", burst())
    real = Path.open

    def refused(path: Path, *mode: str, **more: object) -> object:
        if path.name == "sound.wav":
            raise OSError(number, os.strerror(number))
        return real(path, *mode, **more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(wanted, match=os.strerror(number)):
        read_audio(tmp_path / "sound.wav")


def test_a_file_that_promises_more_than_memory_is_refused(tmp_path) -> None:
    path = write(tmp_path / "x.flac", burst(), 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    # STREAMINFO: 20 bits rate, 3 bits channels − 1, 5 bits width − 1, 36 bits samples
    promise = (655_350 << 44) | (7 << 41) | (15 << 36) | 14_000_000_000
    data[18:26] = promise.to_bytes(8, "big")
    path.write_bytes(data)
    with pytest.raises(AudioError, match="too large|longer than"):
        read_audio(path)


def test_whole_flac_files_that_libsndfile_gives_up_on_are_read(tmp_path, monkeypatch) -> None:
    """Some encoders write whole files in which it loses sync, at any place."""
    path = write(tmp_path / "x.flac", burst(rate=44100), 44100, format="FLAC")
    whole, rate = read_audio(path)
    streamed = np.concatenate(list(stream_audio(path, 16000, block_s=0.1)))
    real = soundfile.SoundFile.read

    def loses_sync(file, frames=-1, **more):
        if file.tell() >= 2 * 4410 or frames < 0:
            raise soundfile.LibsndfileError(0, "flac decoder lost sync")
        return real(file, frames, **more)

    monkeypatch.setattr(soundfile.SoundFile, "read", loses_sync)
    again, same_rate = read_audio(path)
    assert same_rate == rate
    np.testing.assert_array_equal(again, whole)
    np.testing.assert_array_equal(
        np.concatenate(list(stream_audio(path, 16000, block_s=0.1))), streamed
    )
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(AudioError, match="truncated|not readable"):
        read_audio(path)
    with pytest.raises(AudioError, match="truncated|not readable"):
        list(stream_audio(path, 16000))


@pytest.mark.parametrize("suffix", [".m4a", ".ogg", ".xyz"])
def test_a_list_of_other_files_is_no_sound(tmp_path, suffix: str) -> None:
    """ffmpeg takes such a list for sound by its content, whatever it is called, and reads on."""
    write(tmp_path / "secret.wav", burst())
    (tmp_path / "link.wav").symlink_to(tmp_path / "secret.wav")
    path = tmp_path / f"list{suffix}"
    for text in (
        "ffconcat version 1.0\nfile secret.wav\n",
        "ffconcat version 1.0\nfile link.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
    ):
        path.write_text(text)
        with pytest.raises(AudioError, match="not readable"):
            read_audio(path)
        with pytest.raises(AudioError, match="not readable"):
            list(stream_audio(path, 16000))


@pytest.mark.parametrize(
    "suffix",
    ".m4a .mp4 .aac .webm .mka .mov .wma .3gp .amr .ac3 .wv .mp3 .ogg .aiff .au .caf .ts".split(),
)
def test_what_ffmpeg_knows_is_read(tmp_path, suffix: str) -> None:
    """Named as nothing that libsndfile is asked about, so that ffmpeg finds out what it is."""
    write(tmp_path / "x.wav", burst())
    made, path = tmp_path / f"x{suffix}", tmp_path / "unknown.weba"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "x.wav"]
    how = ["-ar", "8000"] if suffix in (".3gp", ".amr") else []
    subprocess.run([*command, *how, made], check=True)
    made.rename(path)
    x, rate = read_audio(path)
    assert len(x) / rate == pytest.approx(len(burst()) / 16000, abs=0.2)
