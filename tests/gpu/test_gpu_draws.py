"""What a GPU draws: in pieces that all models draw alike, whatever is computed together."""

import os
from importlib import import_module
from typing import Any

import pytest
import torch
from conftest import composed
from omegaconf import OmegaConf

from sascli.core import streams
from sascli.core.network import FeedForward
from sascli.core.precision import dtype_of, set_precision
from sascli.core.streams import fill_normal, fill_uniform, stream
from sascli.errors import UserError
from sascli.jobs import gpus
from sascli.training import devices
from sascli.training import run as training_run

pytestmark = pytest.mark.gpu
GPU = torch.device("cuda", 0)


@pytest.mark.parametrize("fill", [fill_normal, fill_uniform])
def test_large_draws_are_made_in_pieces(
    fill: Any, gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PIECE", 64)
    together = fill(torch.empty(2, 80, device=GPU), [stream(s, "", device=GPU) for s in (0, 1)])
    generator = stream(1, "", device=GPU)
    pieces = [fill(torch.empty(n, device=GPU), generator) for n in (64, 16)]
    assert torch.equal(together[1].cpu(), torch.cat(pieces).cpu())


def test_pieces_are_below_the_smallest_limit_of_common_models() -> None:
    limits = {"V100": 80 * 2048, "RTX 4090": 128 * 1536, "A100": 108 * 2048, "H100": 132 * 2048}
    assert min(limits.values()) > streams.PIECE


def test_cpu_draws_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PIECE", 20)
    filled = fill_normal(torch.empty(1, 90), [stream(0, "")])
    assert torch.equal(filled, torch.empty(1, 90).normal_(generator=stream(0, "")))


def test_noise_of_an_image_does_not_depend_on_the_batch(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sascli.core.network.UNIT", 4)
    network = FeedForward([3, 5, 2], 2, device=GPU)
    together, first, second = (
        [network.draw_noise(size, generators) for size in sizes]
        for sizes, generators in (
            ([10], [stream(s, "", device=GPU) for s in (0, 1)]),
            ([4, 6], [stream(s, "", device=GPU) for s in (0, 1)]),
            ([8, 2], [stream(s, "", device=GPU) for s in (0, 1)]),
        )
    )
    for parts in (first, second):
        for layer, noise in enumerate(together[0]):
            joined = torch.cat([part[layer] for part in parts], 1)
            assert torch.equal(noise.cpu(), joined.cpu())


def test_gpu_tests_more_images_together_after_the_first_chunk(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy = import_module("sascli.data.accuracy")  # the package has a function of this name
    monkeypatch.setattr(accuracy, "CHUNK", 10)
    monkeypatch.setattr(accuracy, "ON_GPU", 75)
    x, sizes = torch.rand(100, 4, device=GPU), []

    def logits(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return images.expand(2, -1, -1)

    result = accuracy.accuracy(logits, x, x.argmax(-1))
    assert sizes == [10, 30, 30, 30] and result.tolist() == [1, 1]
    sizes.clear()
    accuracy.accuracy(logits, x.cpu(), x.cpu().argmax(-1))
    assert sizes == [10] * 10


def test_precision_overrides_the_environment(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = torch.backends.cuda.matmul
    matmul.fp32_precision = "tf32"  # TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert set_precision("float32", GPU) == "float32" and matmul.fp32_precision == "ieee"
    assert "NVIDIA_TF32_OVERRIDE" not in os.environ
    set_precision("tf32", GPU)
    assert matmul.fp32_precision == "tf32"
    assert set_precision("float64", GPU) == "float64" and matmul.fp32_precision == "ieee"
    assert dtype_of("tf32") == dtype_of("float32") == torch.float32


def test_precision_that_the_device_does_not_follow_is_reported(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sascli.core.precision.rounds_to_tf32", lambda _: True)
    with pytest.raises(UserError, match="multiplies in TF32 in spite of precision=float32"):
        devices.describe(GPU, "float32")
    assert devices.describe(GPU, "tf32")["precision"] == "tf32"
    monkeypatch.setattr("sascli.core.precision.rounds_to_tf32", lambda _: False)
    assert devices.describe(GPU, "tf32")["precision"] == "float32"
    assert "has no TF32" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "index"), [(0, 0), (1, 1), (3, 0)])
def test_workers_and_jobs_are_spread_over_the_gpus(
    number: int, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[-1])
    devices.spread(number, "auto")
    for name in ("auto", "cuda"):
        assert training_run.pick_device(name) == torch.device("cuda", index)
    assert training_run.pick_device("cuda:2") == torch.device("cuda", 2)
    devices.spread(2, "cpu")
    devices.spread(None, "auto")
    assert current == [index]


def test_job_of_a_multirun_is_given_a_gpu_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, str]] = []
    monkeypatch.setattr(devices, "spread", lambda *call: calls.append(call))
    job = OmegaConf.create({"job": {"num": 3}})
    monkeypatch.setattr(gpus.HydraConfig, "get", lambda: job)
    config = composed("train", "device=cuda")
    assert gpus.with_gpu(config) is config
    job.job.num = "???"  # of a job that Hydra does not launch
    gpus.with_gpu(config)
    gpus.with_gpu(composed("plot"))
    assert calls == [(3, "cuda")]
