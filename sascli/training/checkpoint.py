"""Weights (safetensors) and resumable state on disk, with checksums."""

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from sascli import runs
from sascli.core.convolutional import Convolutional
from sascli.core.network import KINDS, FeedForward
from sascli.core.patches import Kernel
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.errors import UserError

FORMAT = 1
WEIGHTS, STATE, INDEX = runs.WEIGHTS, "state-{epoch}.pt", "checkpoint.json"
SNAPSHOT = "weights-{epoch:04d}.safetensors"
"""Copies of the weights during training; epoch 0 is before it."""
CHECKSUM = runs.CHECKSUM


def save_weights(path: Path, network: FeedForward, seeds: Sequence[int]) -> None:
    """Write tensors `layers.1.m` ... (replicas, n_out, n_in) in a file that any program reads."""
    tensors = {name: value.contiguous().cpu() for name, value in named(network).items()}
    header = {"format": str(FORMAT), "widths": json.dumps(network.widths)}
    if isinstance(network, Recurrent):
        header["dynamics"] = json.dumps(asdict(network.dynamics))
    if isinstance(network, Convolutional):
        header["kernel"] = json.dumps(network.kernel)
        header["sides"] = json.dumps(network.sides[0])
    if not network.prefactor:
        header["prefactor"] = "none"
    if network.r:
        header["slope"] = str(network.slope)
    header["seeds"] = json.dumps(list(seeds))
    content = to_bytes(tensors, metadata=header | {CHECKSUM: checksum(tensors, header)})
    with runs.replacing(path) as file:
        file.write(content)


def named(network: FeedForward) -> dict[str, Tensor]:
    """The tensors of a network by their names in a file."""
    tensors = {
        f"layers.{number}.{kind}": getattr(layer, kind).detach()
        for number, layer in enumerate(network.layers, 1)
        for kind in KINDS
    }
    return tensors | {f"layers.{number}.r": r for number, r in enumerate(network.r, 1)}


def checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """SHA-256 of a header, without its checksum, and of the tensors' names and numbers."""
    content = {key: value for key, value in header.items() if key != CHECKSUM}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().numpy().data)
    return digest.hexdigest()


def load_network(
    run: str | Path, *, device: torch.device | str = "cpu", outputs: Path = Path("outputs")
) -> FeedForward:
    """The trained network of a run: a path, a run's name or `latest`.

    Raises UserError for a run that does not exist, and as `load_weights`.
    """
    return load_weights(runs.locate(str(run), outputs) / WEIGHTS, device=device)


def load_weights(path: Path, *, device: torch.device | str = "cpu") -> FeedForward:
    """The network of a file that `save_weights` wrote.

    Raises UserError for a damaged file and for another format version.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            if header.get("format") != str(FORMAT):
                raise UserError(f"{path} has format version {header.get('format')}, not {FORMAT}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        actual = checksum(tensors, header)
        if header.get(CHECKSUM, actual) != actual:
            raise UserError(f"{path} is damaged (its checksum differs): train again")
        return _network(tensors, header, device)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _network(
    tensors: Mapping[str, Tensor], header: Mapping[str, str], device: torch.device | str
) -> FeedForward:
    """The network of a file's tensors. Raises ValueError, KeyError, TypeError for wrong ones."""
    widths, m = json.loads(header["widths"]), tensors["layers.1.m"]
    if min(widths) < 1:
        raise ValueError(f"{widths=} must be positive")
    if "dynamics" in header:
        time = Dynamics(**json.loads(header["dynamics"]))
        empty: FeedForward = Recurrent(widths, time, 0, dtype=m.dtype)
    elif "kernel" in header:
        kernel, sides = (json.loads(header[key]) for key in ("kernel", "sides"))
        empty = Convolutional(
            widths, sides, Kernel(*kernel), 0, dtype=m.dtype, prefactor="prefactor" not in header
        )
    else:
        empty = FeedForward(widths, 0, dtype=m.dtype, prefactor="prefactor" not in header)
    if "layers.1.r" in tensors:
        r = [m.new_empty(0, n, n) for n in widths[:-1]]
        empty.decorrelate(r, float(header["slope"]))
    for name, value in named(empty).items():  # before memory is allocated
        if tensors[name].shape != (len(m), *value.shape[1:]):
            raise ValueError(f"{name} does not have the shape of {widths=}")
    network = empty.like(len(m), device)
    for name, value in named(network).items():
        value.copy_(tensors[name])
    return network


def save_state(directory: Path, epoch: int, state: dict[str, Any]) -> None:
    """Write the state after `epoch`; the previous one remains until this one is complete."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "epoch": epoch} | state, buffer)
    name = STATE.format(epoch=epoch)
    with runs.replacing(directory / name) as file:
        file.write(buffer.getbuffer())
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    index = {"format": FORMAT, "epoch": epoch, "file": name, CHECKSUM: digest}
    runs.write_json(directory / INDEX, index)
    for old in directory.glob(STATE.format(epoch="*")):
        if old.name != name:
            with contextlib.suppress(OSError):
                old.unlink()


def load_state(directory: Path, device: torch.device | str) -> dict[str, Any] | None:
    """The last state in a run directory, None before the first.

    Raises UserError for a damaged state and for another format version.
    """
    if not (directory / INDEX).exists():
        return None
    index = runs.read_json(directory / INDEX)
    if index.get("format") != FORMAT:
        raise UserError(
            f"{directory} has a checkpoint of format version {index.get('format')}, "
            f"not {FORMAT}: start a new run"
        )
    if not index.keys() >= {"file", CHECKSUM}:
        raise UserError(f"{directory / INDEX} is damaged: start a new run")
    path = directory / str(index["file"])
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != index[CHECKSUM]:
            raise UserError(f"{path} is damaged (its checksum differs): start a new run")
        state: dict[str, Any] = torch.load(io.BytesIO(content), device, weights_only=True)
    except (OSError, ValueError, RuntimeError, UnpicklingError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    return state
