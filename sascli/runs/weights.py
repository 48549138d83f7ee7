"""The run that a measurement is of, and the checksum of its weights, read without torch."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sascli.runs.directories import MANIFEST

WEIGHTS = "weights.safetensors"
CHECKSUM = "sha256"


def weights_checksum(run: Path) -> str | None:
    """The checksum in the header of a run's weights; None where there is none."""
    try:
        with (run / WEIGHTS).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return str(header["__metadata__"][CHECKSUM])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return None


def measured_run(directory: Path, manifest: Mapping[str, Any]) -> Path | None:
    """The run that the measurement in `directory` is of; None where it is not there any more.

    A relative path is looked for from here, then in the outputs that contain the measurement.
    """
    path = Path(str(manifest.get("run")))
    parts = path.parts
    if "train" in parts:
        inside = Path(*parts[len(parts) - 1 - parts[::-1].index("train") :])
        places = [path, *(outputs / inside for outputs in directory.absolute().parents)]
    else:
        places = [path]
    return next((place for place in places if os.path.exists(place / MANIFEST)), None)


def is_outdated(directory: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the run of a measurement has other weights now than those that were measured."""
    weights = manifest.get("weights")
    run = measured_run(directory, manifest) if weights else None
    return run is not None and weights_checksum(run) not in (None, weights)
