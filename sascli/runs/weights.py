"""The run that a measurement is of, and the checksum of its weights, read without torch."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sascli.runs.directories import MANIFEST

WEIGHTS = "weights.safetensors"
CHECKSUM = "sha256"
OF_RUNS = ("train", "sweep-datasize", "reproduce")
"""The folders of outputs that hold runs."""


def weights_checksum(run: Path) -> str | None:
    """The checksum in the header of a run's weights; None where there is none."""
    try:
        with (run / WEIGHTS).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return str(header["__metadata__"][CHECKSUM])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return None


def places(directory: Path, path: Path) -> list[Path]:
    """The runs that a path in the manifest of `directory` can mean.

    They are in the outputs that contain the directory, or where the path leads from here.
    """
    parts = path.parts
    inside = [Path(*parts[n:]) for n, part in enumerate(parts) if part in OF_RUNS]
    around = [outputs / end for outputs in directory.absolute().parents for end in inside]
    return [place for place in (*around, path) if os.path.exists(place / MANIFEST)]


def measured_run(directory: Path, manifest: Mapping[str, Any]) -> Path | None:
    """The run that the measurement in `directory` is of; None where it is not there any more.

    Of several that it can be, one with the weights that were measured, if there is one.
    """
    found = places(directory, Path(str(manifest.get("run"))))
    same = (place for place in found if weights_checksum(place) == manifest.get("weights"))
    return next(same, next(iter(found), None))


def is_outdated(directory: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the run of a measurement has other weights now than those that were measured."""
    weights = manifest.get("weights")
    run = measured_run(directory, manifest) if weights else None
    return run is not None and weights_checksum(run) not in (None, weights)
