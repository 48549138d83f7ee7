"""Weights and resumable state on disk: equal when loaded, an error when damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sascli import runs
from sascli.core.network import KINDS, FeedForward
from sascli.errors import UserError
from sascli.training import checkpoint


@pytest.fixture
def network() -> FeedForward:
    """A network of random parameters, two replicas."""
    made = FeedForward([5, 4, 3], 2, dtype=torch.float64)
    made.all.copy_(torch.rand(made.all.shape, generator=torch.Generator().manual_seed(1)))
    return made


@pytest.fixture
def run(tmp_path: Path, network: FeedForward) -> Path:
    """A run directory of weights and a state after epoch 3."""
    runs.describe(tmp_path, format=runs.FORMAT, status="finished", start="now")
    checkpoint.save_weights(tmp_path / checkpoint.WEIGHTS, network, [3, 8])
    checkpoint.save_state(tmp_path, 3, {"rule": {"x": torch.arange(4.0), "list": [1, None]}})
    return tmp_path


def flip(path: Path, place: float = 0.5) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Remove the end of a file."""
    path.write_bytes(path.read_bytes()[:-20])


# ---------------------------------------------------------------- weights


def test_loaded_weights_equal_the_saved_ones_bit_for_bit(run: Path, network: FeedForward) -> None:
    loaded = checkpoint.load_network(run)
    assert loaded.widths == [5, 4, 3] and loaded.replicas == 2
    assert loaded.all.dtype == torch.float64 and torch.equal(loaded.all, network.all)


def test_network_without_prefactor_is_loaded_without(tmp_path: Path) -> None:
    for prefactor, scales in ((False, [1.0, 1.0]), (True, [5**-0.5, 4**-0.5])):
        made = FeedForward([5, 4, 3], 2, prefactor=prefactor)
        checkpoint.save_weights(tmp_path / checkpoint.WEIGHTS, made, [3, 8])
        loaded = checkpoint.load_weights(tmp_path / checkpoint.WEIGHTS)
        assert loaded.scales == pytest.approx(scales, rel=1e-15)


def test_weights_are_readable_without_sas(run: Path, network: FeedForward) -> None:
    with safe_open(run / "weights.safetensors", framework="numpy") as file:
        names = [f"layers.{layer}.{kind}" for layer in (1, 2) for kind in ("m", "pi", "xi")]
        assert sorted(file.keys()) == names
        assert file.get_tensor("layers.1.m").shape == (2, 4, 5)
        for layer, kind in ((1, "m"), (2, "xi")):
            value = getattr(network.layers[layer - 1], kind).detach().numpy()
            assert (file.get_tensor(f"layers.{layer}.{kind}") == value).all()
        header = file.metadata()
        assert len(header.pop("sha256")) == 64
        assert header == {"format": "1", "widths": "[5, 4, 3]", "seeds": "[3, 8]"}


def test_network_is_found_by_the_run_name(run: Path, network: FeedForward) -> None:
    place = run / "outputs" / "train" / "mine" / "v001"
    place.mkdir(parents=True)
    for name in (runs.MANIFEST, checkpoint.WEIGHTS):
        (place / name).write_bytes((run / name).read_bytes())
    for name in ("mine", "latest"):
        loaded = checkpoint.load_network(name, outputs=run / "outputs")
        assert torch.equal(loaded.all, network.all)
    with pytest.raises(UserError, match="there is no finished run 'other'"):
        checkpoint.load_network("other", outputs=run / "outputs")


@pytest.mark.parametrize("damage", [cut, lambda path: flip(path, 0.01), Path.unlink, Path.touch])
def test_damaged_weights_raise_an_error(run: Path, damage: Callable[[Path], None]) -> None:
    path = run / checkpoint.WEIGHTS
    if damage is Path.touch:
        path.unlink()
    damage(path)
    with pytest.raises(UserError, match="weights.safetensors cannot be read"):
        checkpoint.load_network(run)


@pytest.mark.parametrize("header", [None, {"format": "2", "widths": "[1, 1]"}])
def test_weights_of_another_format_raise_an_error(
    run: Path, header: dict[str, str] | None
) -> None:
    tensors = {f"layers.1.{kind}": torch.zeros(1, 1, 1) for kind in KINDS}
    save_file(tensors, run / checkpoint.WEIGHTS, metadata=header)
    with pytest.raises(UserError, match=r"format version (None|2), not 1"):
        checkpoint.load_network(run)


# ---------------------------------------------------------------- resumable state


def test_loaded_state_equals_the_saved_one(run: Path) -> None:
    state = checkpoint.load_state(run, "cpu")
    assert state is not None and (state["epoch"], state["format"]) == (3, 1)
    assert state["rule"]["list"] == [1, None] and state["rule"]["x"].tolist() == [0, 1, 2, 3]


def test_load_state_without_checkpoint_returns_none(tmp_path: Path) -> None:
    assert checkpoint.load_state(tmp_path, "cpu") is None


def test_save_state_removes_earlier_states(run: Path) -> None:
    checkpoint.save_state(run, 12, {})
    assert [path.name for path in run.glob("*.pt")] == ["state-12.pt"]
    assert json.loads((run / checkpoint.INDEX).read_text())["epoch"] == 12


def test_kill_before_the_index_keeps_the_previous_state(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, content: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_json", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save_state(run, 4, {"rule": {}})
    state = checkpoint.load_state(run, "cpu")
    assert state is not None and state["epoch"] == 3


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_state_raises_an_error(run: Path, damage: Callable[[Path], None]) -> None:
    damage(run / "state-3.pt")
    with pytest.raises(UserError, match="state-3.pt is damaged .its checksum differs."):
        checkpoint.load_state(run, "cpu")


def test_missing_state_or_damaged_index_raises_an_error(run: Path) -> None:
    (run / "state-3.pt").unlink()
    with pytest.raises(UserError, match="state-3.pt cannot be read: .*No such file"):
        checkpoint.load_state(run, "cpu")
    cut(run / checkpoint.INDEX)
    with pytest.raises(UserError, match="checkpoint.json is damaged"):
        checkpoint.load_state(run, "cpu")


def test_state_of_another_format_raises_an_error(run: Path) -> None:
    index = runs.read_json(run / checkpoint.INDEX)
    runs.write_json(run / checkpoint.INDEX, index | {"format": 2})
    with pytest.raises(UserError, match="checkpoint of format version 2, not 1"):
        checkpoint.load_state(run, "cpu")


class Trap:
    """An object that runs code when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Call `print`."""
        return print, ("trapped",)


def test_state_with_code_raises_an_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint.save_state(run, 4, {"rule": Trap()})
    with pytest.raises(UserError, match="state-4.pt cannot be read"):
        checkpoint.load_state(run, "cpu")
    assert "trapped" not in capsys.readouterr().out
