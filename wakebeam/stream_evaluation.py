"""`wakebeam evaluate --stream`: a detector judged on long recordings with known events.

The threshold is the model's own, chosen on validation. The sweep is shown beside it, and the best
point on this stream is named as what it is: chosen on this stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from models.evaluation import Report, judge, write_report
from models.operating_points import choose_point, limit_of, sweep
from models.worst_clips import FloatArray, WorstClip
from wakebeam.stream_scoring import HeardStream, Progress, hear_stream


def evaluate_stream(
    model: Path,
    stream: Path,
    labels: Path | None,
    *,
    out: Path | None = None,
    data: str | None = None,
    allow_leak: bool = False,
    progress: Progress | None = None,
) -> tuple[Report, Path]:
    """Judge a detector on a recording or a stream set, at its own threshold; write the report.

    Args:
        model: an export, or a trained and evaluated model.
        stream: a stream set's folder, or a recording.
        labels: of a recording.
        out: folder of the report; beside the model if None.
        data: the data set that the model was trained on, where it doesn't lie beside it.
        allow_leak: judge also what the model was trained on, and say so.
        progress: called with (seconds heard, seconds in all).

    Returns:
        The report and its folder.

    Raises:
        RequestError, DatasetError: as `hear_stream` does.
    """
    heard = hear_stream(model, stream, labels, data=data, allow_leak=allow_leak, progress=progress)
    report = _judged(heard)
    name = stream.stem if stream.is_file() else stream.resolve().name
    folder = out or model.resolve().parent / f"{model.resolve().name}-on-{name}"

    def cut(clips: Sequence[WorstClip]) -> list[FloatArray]:
        return heard.cut([(clip.recording, clip.start_s, clip.stop_s) for clip in clips])

    title = f"{heard.metadata['name']} on {stream.name}"
    write_report(folder, title, report, cut, heard.sample_rate_hz)
    return report, folder


def _judged(heard: HeardStream) -> Report:
    """Count at the model's own threshold; the best on this stream is shown as that."""
    judging = heard.judging()
    points = sweep(heard.recordings, heard.labels, **judging.rule())
    report = judge(heard.recordings, heard.labels, heard.threshold, judging, points)
    limit = judging.max_false_accepts_per_hour
    best = choose_point(points, limit)
    rates = {
        "miss_rate": best.miss_rate,
        "false_accepts_per_hour": best.false_accepts_per_hour,
    }
    values = report.values | {
        "chosen_on": "validation",
        "judged_on": "stream",
        "stream": heard.about,
        "chosen_on_this_stream": asdict(best) | rates | limit_of(best, limit),
    }
    if heard.metadata.get("measured_on_validation"):
        values["validation"] = heard.metadata["measured_on_validation"]
    return Report(values, points, report.chosen)
