"""Settings for weak and for strong machines: what a recipe's model and training become on them.

They come after the recipe file and before `--set`, so what is set by hand counts. A weak machine
has two cores and no GPU: small batches, few examples held for mixing, a network of some ten
thousand weights. A strong one has a GPU: large batches in mixed precision, a larger network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Machine:
    """What a recipe becomes.

    Attributes:
        training: keys of the section `training`.
        models: keys of the section `model` for each family.
        memory_bytes: what training stays within on scenes of ten seconds at 16 kHz (1.5 GiB were
            measured on longer ones); None: not said.
    """

    training: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    memory_bytes: int | None = field(default=None)

    def settings(self, family: str) -> list[str]:
        """Return overrides of the form `section.key=value`, as `--set` takes them."""
        sections = {"training": self.training, "model": self.models[family]}
        return [
            f"{section}.{key}={json.dumps(value)}"
            for section, values in sections.items()
            for key, value in values.items()
        ]


MACHINES: dict[str, Machine] = {
    "weak": Machine(
        training={"batch_size": 4, "shuffle_examples": 64, "mixed_precision": False},
        models={
            "stream_tcn": {"channels": 32, "num_blocks": 4},
            "trigger_gru": {"filters": 32, "units": 32},
            "bc_resnet": {"channels": 8},
            "crnn": {"filters": 8, "units": 28},
            "sed_crnn": {"filters": 8, "units": 24},
        },
        memory_bytes=2 * 2**30,
    ),
    "strong": Machine(
        training={"batch_size": 64, "shuffle_examples": 4096, "mixed_precision": True},
        models={
            "stream_tcn": {"channels": 160, "num_blocks": 12},
            "trigger_gru": {"filters": 256, "units": 128},
            "bc_resnet": {"channels": 54},
            "crnn": {"filters": 40, "units": 128},
            "sed_crnn": {"filters": 40, "units": 128},
        },
    ),
}
"""What `--machine` takes."""
