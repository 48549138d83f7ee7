"""The wheel works outside the checkout and includes the YAML files."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import CHECKOUT, env


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*line, str(CHECKOUT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_wheel_has_the_package_and_its_data(unpacked: Path) -> None:
    packed = {str(path.relative_to(unpacked / "sascli")) for path in unpacked.rglob("*.yaml")}
    assert packed == {str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("conf/**/*.yaml")}
    code = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*.py")}
    assert code == {
        str(path.relative_to(CHECKOUT))
        for folder in ("sascli", "hydra_plugins") for path in CHECKOUT.glob(f"{folder}/**/*.py")
    }  # fmt: skip
    assert (unpacked / "sascli" / "studies" / "report.html.j2").exists()
    (entry,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "sas = sascli.cli:main" in entry.read_text()


@pytest.mark.slow
def test_wheel_trains_outside_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    variables = env(PYTHONPATH=str(unpacked), SAS_OUTPUTS="here", OMP_NUM_THREADS="1")
    line = [sys.executable, "-m", "sascli", "train", "epochs=1", "width=[9,7]"]
    result = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    directory = tmp_path / "here/train/digits-gbp-L4-Tall/v001"
    assert f"run directory: {directory.relative_to(tmp_path)}" in result.stdout
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["git_commit"] is None  # no checkout
    assert json.loads((directory / "config.json").read_text())["width"] == [9, 7]
