"""Matrix products by BLAS and by oneDNN."""

from pathlib import Path

import pytest
import torch
from reference import error, normal

from sascli.core import products


@pytest.mark.parametrize(("name", "intel"), [("GenuineIntel", True), ("AuthenticAMD", False)])
def test_manufacturer_is_read_from_the_system(name: str, intel: bool, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    assert not products.by_intel(info)
    info.write_text(f"processor\t: 0\nvendor_id\t: {name}\n")
    assert products.by_intel(info) is intel


@pytest.mark.parametrize("replicas", [1, 2])
def test_both_libraries_agree(replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(replicas, 40, 30).float(), normal(replicas, 20, 30, seed=1).float().mT
    expected, out = x.double() @ y.double(), torch.empty(replicas, 40, 20)
    for onednn in {False, torch.backends.mkldnn.is_available()}:
        monkeypatch.setattr(products, "ONEDNN", onednn)
        monkeypatch.setattr(products, "LARGE", 1)
        assert products.product(x, y, out=out) is out
        assert error(out, expected) < 1e-6
        assert error(products.product(x, y), expected) < 1e-6
    added = products.add_product(x, y, out=out.clone())
    assert error(added, 2 * expected) < 1e-6
