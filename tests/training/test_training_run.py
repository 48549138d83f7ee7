"""One run from settings to a finished directory: its files, and how it is resumed."""

import os
import re
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import (
    DATA,
    Making,
    assert_same_run,
    assert_same_weights,
    composed,
    have,
    run_killed,
    tables,
)
from counting import Fault

from sascli import runs
from sascli.cli import main
from sascli.config import DataSettings, Init, Model, Train
from sascli.core.streams import streams
from sascli.data.accuracy import accuracy
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.checkpoint import load_network, load_state
from sascli.training.signals import Stopped

LEFT = {
    ".lock",
    "checkpoint.json",
    "config.json",
    "ensemble.csv",
    "histograms.csv",
    "history.csv",
    "layers.csv",
    "manifest.json",
    "state-4.pt",
    "weights.safetensors",
}


def words(config: Train) -> list[str]:
    """The command line of a tiny run."""
    names = ("width", "train_size", "test_size", "batch_size", "epochs", "checkpoint_every")
    settings = [f"{name}={getattr(config, name)}" for name in (*names, "threads", "outputs")]
    return ["train", *settings, "eval.mean_every=2"]


def status(directory: Path) -> str:
    """The status in the manifest."""
    return str(runs.manifest_of(directory)["status"])


# ---------------------------------------------------------------- files of a run


@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_files_and_tables_of_a_run(rule: str, tiny: Making) -> None:
    config = tiny(rule={"name": rule}, seed=3, replicas=2)
    directory = training_run.run(config)
    assert directory == Path(config.outputs) / f"train/digits-{rule}-L4-T120/v001"
    assert {path.name for path in directory.iterdir()} == LEFT
    assert runs.read_json(directory / "config.json") == asdict(config)
    left = {path.stem: pd.read_csv(path) for path in directory.glob("*.csv")}
    assert {name: len(table) for name, table in left.items()} == {
        "history": 2 * 4, "layers": 2 * 3, "ensemble": 2 * 2,
        "histograms": 2 * 3 * (50 + 51 + 50 + 51),
    }  # fmt: skip
    for table in left.values():
        assert (table["seed"] == table["replica"] + 3).all() and set(table["replica"]) == {0, 1}
    history = left["history"]
    assert list(history["epoch"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert history["test_accuracy_mean"].isna().tolist() == [True, True, False, False] * 2
    assert history["train_loss"].between(0.5, 3).all() and (history["seconds"] > 0).all()
    assert history["test_accuracy"].between(0.02, 0.98).all()
    layers = left["layers"]
    assert list(layers["layer"]) == [1, 2, 3] * 2
    assert list(layers["layer_name"]) == ["input", "hidden", "output"] * 2
    assert (layers[["n_out", "n_in"]].to_numpy()[:3] == [[8, 64], [8, 8], [10, 8]]).all()


def test_manifest_of_a_run(tiny: Making) -> None:
    before = runs.now()
    directory = training_run.run(tiny(seeds=[5, 2]))
    manifest = runs.manifest_of(directory)
    assert (manifest["kind"], manifest["model"], manifest["rule"]) == ("train", "digits", "gbp")
    assert (manifest["status"], manifest["error"]) == ("finished", None)
    assert manifest["seeds"] == [5, 2] and manifest["threads"] == 1
    assert manifest["device"] in ("cpu", "cuda") and manifest["command"].startswith("sas")
    assert before <= manifest["start"] <= manifest["end"] <= runs.now()
    assert manifest["data"]["name"] == "digits"
    assert re.fullmatch("sha256:[0-9a-f]{64}", manifest["data"]["checksum"])
    assert re.fullmatch("[0-9a-f]{16}", manifest["config_hash"])
    other = runs.manifest_of(training_run.run(tiny(train_size=119)))
    assert other["data"]["checksum"] != manifest["data"]["checksum"]


def test_bp_has_no_spike_mass_and_no_variance(tiny: Making) -> None:
    directory = training_run.run(tiny(rule={"name": "bp"}, init=Init(pi=0.5)))
    layers = tables(directory)["layers"]
    assert (layers[["sparsity", "uip_fraction", "xi_mean", "variance_mean", "entropy"]] == 0).all(
        axis=None
    )
    assert (layers["vip_fraction"] == 1).all() and (layers["m_std"] > 0).all()
    history = tables(directory)["history"].dropna()
    assert (history["test_accuracy"] == history["test_accuracy_mean"]).all()
    assert set(tables(directory)["ensemble"]["test_accuracy"]) == {
        history["test_accuracy"].iloc[-1]
    }


def test_accuracies_are_those_of_the_weights_on_disk(tiny: Making) -> None:
    config = tiny(test_size="all", width=12, init=Init(xi_max=0.1))
    directory = training_run.run(config)
    network = load_network(directory)
    data = training_run.load_data(config, torch.device("cpu"))
    x, y = data.test_x, data.test_y
    noise = torch.empty(1, len(y) * network.noise_size).normal_(
        generator=streams([0], "evaluation", 4)[0]
    )
    eps = network.split_noise(noise, len(y))
    sampled = network.sample(generator=streams([0], "ensemble", 1))
    with torch.no_grad():
        expected = [
            accuracy(lambda images: network.forward(images, eps), x, y),
            accuracy(network.forward, x, y),
            accuracy(lambda images: network.run(sampled, images), x, y),
        ]
    last = tables(directory)["history"].iloc[-1]
    drawn = tables(directory)["ensemble"]["test_accuracy"]
    written = [last["test_accuracy"], last["test_accuracy_mean"], drawn[1]]
    assert [value.item() for value in expected] == written
    assert len(set(written)) == 3


def test_snapshots_are_the_weights_of_their_epochs(tiny: Making) -> None:
    directory = training_run.run(tiny(snapshot_every=2))
    assert sorted(path.name for path in directory.glob("weights*")) == [
        "weights-0000.safetensors",
        "weights-0002.safetensors",
        "weights-0004.safetensors",
        "weights.safetensors",
    ]
    half = training_run.run(tiny(epochs=2))
    for run, epoch in ((half, 2), (directory, 4)):
        snapshot = directory / f"weights-000{epoch}.safetensors"
        assert_same_weights(snapshot, run / "weights.safetensors")


# ---------------------------------------------------------------- seeds


@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_same_settings_give_the_same_run_bit_for_bit(rule: str, tiny: Making) -> None:
    config = tiny(rule={"name": rule}, replicas=2)
    torch.manual_seed(1)
    first = training_run.run(config)
    torch.manual_seed(2)
    second = training_run.run(config)
    assert (first.name, second.name) == ("v001", "v002")
    assert_same_run(first, second)
    other = training_run.run(replace(config, seed=7))
    assert not tables(other)["history"].equals(tables(first)["history"])


@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_replica_is_the_same_alone_and_in_a_population(rule: str, tiny: Making) -> None:
    """20 steps in double precision, with companions of other seeds and of other rates."""
    config = tiny(
        rule={"name": rule}, batch_size=12, epochs=2, precision="float64", init=Init(pi=0.1)
    )
    alone = load_network(training_run.run(replace(config, seed=4))).all
    seeds = load_network(training_run.run(replace(config, seeds=[3, 4, 5])))
    rates = replace(config, lr={"default": [0.01, 0.05, 0.09]}, seeds=[3, 4])
    by_rate = load_network(training_run.run(rates))
    for population, place in ((seeds, 1), (by_rate, 3)):
        m = torch.cat([part[place].flatten() for part in population.split(population.flat["m"])])
        assert torch.allclose(m, alone[0], rtol=0, atol=1e-6)
    for kind in ("pi", "xi"):
        parts = by_rate.split(by_rate.flat[kind])
        values = torch.cat([part[3].flatten() for part in parts])
        assert torch.allclose(values, alone[("m", "pi", "xi").index(kind)], rtol=0, atol=1e-6)
    assert not torch.allclose(by_rate.layers[0].m[1], by_rate.layers[0].m[3], atol=1e-3)


def test_every_table_has_the_rates_of_a_list(tiny: Making) -> None:
    directory = training_run.run(tiny(lr={"default": [0.01, 0.05]}, replicas=2))
    for table in tables(directory).values():
        assert (table["lr"] == table["replica"].map({0: 0.01, 1: 0.01, 2: 0.05, 3: 0.05})).all()
        assert (table["seed"] == table["replica"] % 2).all() and "decay" not in table
    assert runs.manifest_of(directory)["lr"] == [0.01, 0.01, 0.05, 0.05]


def test_decay_of_pi_can_be_zero(tiny: Making) -> None:
    start = Init(pi=0.5)
    slow = tiny(init=start, lr={"default": 0.001})
    published = replace(slow, decay={"default": 50.0})
    text = replace(slow, decay={"default": 50.0, "pi": 0.0})
    sparsity = [
        tables(training_run.run(config))["layers"]["sparsity"].mean()
        for config in (published, text, slow)
    ]
    assert sparsity[0] < 0.4 < 0.49 < sparsity[1]
    assert sparsity[1] == pytest.approx(sparsity[2], abs=0.005)


# ---------------------------------------------------------------- stopped, killed and resumed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_run_stopped_by_a_signal_resumes_bit_for_bit(
    number: int,
    code: int,
    epoch: int,
    tiny: Making,
    signal_in: Callable[..., None],
    fault: Fault,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tiny(checkpoint_every=100, replicas=2)
    with fault("SIGINT or SIGTERM in training"):
        signal_in(epoch, number)
        with pytest.raises(Stopped) as stop:
            training_run.run(config)
        assert stop.value.code == code
        directory = Path(config.outputs) / "train/digits-gbp-L4-T120/v001"
        assert status(directory) == "interrupted"
        assert tables(directory)["history"]["epoch"].max() == epoch
        message = f"stopped; resume with sas train resume={directory}\n"
        assert capsys.readouterr().out.endswith(message)
        assert training_run.run(replace(config, resume=True)) == directory
        assert status(directory) == "finished"
        assert_same_run(directory, training_run.run(config))


def test_manifest_lists_other_code_that_resumed_the_run(
    tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, first = training_run.run(tiny(epochs=1)), runs.code_version()

    def resumed(epochs: int) -> Any:
        training_run.run(tiny(epochs=epochs, resume=str(directory)))
        return runs.manifest_of(directory)["resumed_by"]

    assert resumed(2) == []
    other = first | {"git_commit": "b", "code": "sha256:b"}
    monkeypatch.setattr("sascli.runs.code.code_version", lambda: other)
    assert resumed(3) == [other] == resumed(4)
    monkeypatch.undo()
    assert resumed(5) == [other, first]


def killed_at_write(config: Train, number: int) -> None:
    """Train in this process, which is killed when it is about to put its n-th file in place."""
    replace_file, left = os.replace, iter(range(1, number))

    def counted(source: str, target: Path) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        replace_file(source, target)

    os.replace = counted  # type: ignore[assignment]
    training_run.run(config)


def writes(config: Train, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, int]:
    """Train, and count the files that are put in place."""
    count, replace_file = [0], os.replace

    def counted(source: str, target: Path) -> None:
        count[0] += 1
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted)
        return training_run.run(config), count[0]


@pytest.mark.slow
def test_run_killed_at_any_file_resumes_bit_for_bit(
    tiny: Making, forks: ForkServerContext, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    config = tiny(epochs=3, snapshot_every=2)
    unbroken, count = writes(config, monkeypatch)
    assert count == 2 + 2 * 3 + 2 + 4 + 1  # begun, saved twice, two snapshots, tables, the end
    with fault("SIGKILL as a file is put in place", count):
        for number in range(1, count + 1):
            outputs = f"{config.outputs}-{number}"
            broken = replace(config, outputs=outputs)
            assert run_killed(forks, killed_at_write, (broken, number), 60)
            directory = training_run.run(replace(broken, resume=True))
            assert status(directory) == "finished"
            assert_same_run(unbroken, directory)
            assert sorted(directory.glob("*.safetensors")) == [
                directory / path.name for path in sorted(unbroken.glob("*.safetensors"))
            ]


@pytest.mark.slow
def test_extended_run_killed_at_any_file_resumes_bit_for_bit(
    tiny: Making, forks: ForkServerContext, fault: Fault
) -> None:
    unbroken = training_run.run(tiny(epochs=6))
    with fault("SIGKILL as a file is put in place", 4):
        for number in range(1, 5):
            config = tiny(outputs=f"{tiny().outputs}-{number}")
            longer = replace(config, epochs=6, resume=str(training_run.run(config)))
            assert run_killed(forks, killed_at_write, (longer, number), 60)
            assert_same_run(unbroken, training_run.run(longer))


def command(line: list[str]) -> None:
    """Run a command as a separate process would."""
    raise SystemExit(main(line))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_exit_code_is_that_of_the_signal(
    number: int, code: int, tiny: Making, forks: ForkServerContext, fault: Fault
) -> None:
    line = words(tiny(epochs=100_000, checkpoint_every=1))
    directory = Path(tiny().outputs) / "train/digits-gbp-L4-T120/v001"
    process = forks.Process(target=command, args=(line,))
    process.start()
    while not (directory / "checkpoint.json").exists():
        assert process.is_alive()
        time.sleep(0.01)
    with fault("SIGINT or SIGTERM in training"):
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join()
        assert process.exitcode == code and status(directory) == "interrupted"


@pytest.mark.parametrize(
    ("model", "loader"), [("digits", "load"), ("multisensory", "multisensory")]
)
def test_data_out_of_memory_raises_an_error(
    model: str, loader: str, tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training_run, loader, full)
    config = composed("train", f"model={model}", f"outputs={tiny().outputs}", "device=cpu")
    with pytest.raises(UserError, match="the data do not fit into the memory of cpu: lower train"):
        training_run.run(config)
    assert not Path(tiny().outputs).exists()


def test_run_on_a_full_disk_fails_and_resumes(tiny: Making, fault: Fault) -> None:
    config = tiny(width=30, checkpoint_every=1)
    with fault("disk full"):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(UserError, match="cannot write to .*state-1.pt: File too large"):
                training_run.run(config)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        (directory,) = Path(config.outputs).glob("train/*/*")
        assert status(directory) == "failed" and "File too large" in str(
            runs.manifest_of(directory)["error"]
        )
        assert training_run.run(replace(config, resume=True)) == directory
        assert status(directory) == "finished"
        assert_same_run(directory, training_run.run(config))


def test_divergence_keeps_the_last_finite_state(tiny: Making, fault: Fault) -> None:
    config = tiny(checkpoint_every=1, epochs=100, lr={"default": 1e6})
    with fault("divergence of training"):
        message = (
            r"diverged in epoch \d+: the largest parameter is (m|xi) of layer \d, .* lower lr"
        )
        with pytest.raises(UserError, match=message) as raised:
            training_run.run(config)
        (directory,) = Path(config.outputs).glob("train/*/*")
        assert status(directory) == "failed"
        assert runs.manifest_of(directory)["error"] == str(raised.value)
        (epoch,) = map(int, re.findall(r"epoch (\d+)", str(raised.value)))
        state = load_state(directory, "cpu")
        assert state is not None and state["epoch"] == epoch - 1 > 0
        assert all(value.isfinite().all() for value in state["rule"]["parameters"].values())
        assert tables(directory)["history"]["epoch"].max() == epoch - 1


# ---------------------------------------------------------------- resume


def test_resume_without_a_run_starts_one(tiny: Making) -> None:
    directory = training_run.run(tiny(resume=True))
    assert directory.name == "v001" and status(directory) == "finished"


def test_resume_of_a_finished_run_changes_nothing(
    tiny: Making, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = training_run.run(tiny())
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    capsys.readouterr()
    assert training_run.run(tiny(resume=True, device="cpu", threads=None)) == directory
    assert training_run.run(tiny(resume=str(directory))) == directory
    assert capsys.readouterr().out == f"{directory} is already finished\n" * 2
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_resume_continues_the_newest_unfinished_run(tiny: Making) -> None:
    versions = [training_run.run(tiny()) for _ in range(4)]
    for directory, start, end in zip(
        versions, ("10", "12", "11", "13"), ("failed", "interrupted", "running", "finished"),
        strict=True,
    ):  # fmt: skip
        runs.describe(directory, start=f"2026-01-01T{start}:00:00+0000", status=end)
    other = training_run.run(tiny(seed=1))
    runs.describe(other, status="interrupted")
    assert training_run.run(tiny(resume=True)) == versions[1]
    assert training_run.run(tiny(resume=True)) == versions[2]
    assert training_run.run(tiny(resume=True)) == versions[0]
    assert training_run.run(tiny(resume=True)) == versions[3]
    assert training_run.run(tiny(seed=2, resume=True)) not in [*versions, other]


def test_resume_of_a_path_allows_more_epochs_only(tiny: Making) -> None:
    directory = training_run.run(tiny())
    for changes, named in (
        ({"lr": {"default": 0.1}}, "lr 0.05 → 0.1"),
        ({"epochs": 3}, "epochs 4 → 3"),
        ({"seed": 1, "epochs": 6}, "seed 0 → 1"),
        ({"width": 9, "depth": 5}, "depth 4 → 5, width 8 → 9"),
    ):
        with pytest.raises(UserError, match=f"different settings: {named}; only epochs may grow$"):
            training_run.run(tiny(resume=str(directory), **changes))
    assert training_run.run(tiny(resume=str(directory), epochs=6)) == directory
    assert_same_run(directory, training_run.run(tiny(epochs=6)))
    assert runs.read_json(directory / "config.json")["epochs"] == 6
    assert (
        training_run.run(tiny(resume=True, epochs=6)).name == "v002"
    )  # both finished: the newest
    with pytest.raises(UserError, match="was run with different settings: epochs"):
        training_run.run(tiny(resume=str(directory)))


def test_resume_of_a_missing_run_raises_an_error(tiny: Making) -> None:
    with pytest.raises(UserError, match="there is no run 'nowhere'"):
        training_run.run(tiny(resume="nowhere"))
    assert not list(Path(tiny().outputs).glob("**/v*"))


def test_second_writer_raises_an_error(tiny: Making, fault: Fault) -> None:
    directory = training_run.run(tiny())
    longer = tiny(resume=str(directory), epochs=6)
    with fault("a second writer to a run"):
        with runs.lock(directory), pytest.raises(UserError, match="another process is writing to"):
            training_run.run(longer)
        assert status(directory) == "finished"


# ---------------------------------------------------------------- errors before any work


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_size": 1298}, "train_size=1298 must be between 1 and 1297"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda or cuda:N, not 'gpu'"),
        ({"device": "meta"}, "device must be auto, cpu, cuda or cuda:N, not 'meta'"),
        ({"device": "cuda:99"}, r"device=cuda:99, but there are \d+ CUDA devices"),
        ({"rule": {"name": "gpb"}}, "no learning rule 'gpb'; did you mean 'gbp'?"),
        ({"rule": {"name": "gbp", "gain": 1}}, "no setting of the rule gbp called 'gain'"),
        ({"width": [1]}, "width lists 1 hidden layers"),
    ],
)
def test_invalid_settings_claim_no_directory(
    changes: dict[str, Any], message: str, tiny: Making
) -> None:
    with pytest.raises(UserError, match=message):
        training_run.run(tiny(**changes))
    assert not Path(tiny().outputs).exists()


def test_outputs_not_writable_raises_an_error(tiny: Making) -> None:
    Path(tiny().outputs).touch()
    with pytest.raises(UserError, match="cannot write to .*outputs"):
        training_run.run(tiny())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_read_only_folder_raises_an_error(tiny: Making, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="cannot write to .*Permission denied"):
            training_run.run(tiny())
    finally:
        tmp_path.chmod(0o700)


# ---------------------------------------------------------------- the command


def test_train_from_the_command_line(tiny: Making, capsys: pytest.CaptureFixture[str]) -> None:
    line = words(tiny())
    assert main([*line, "-m", "seed=0,1"]) == 0
    multirun = Path(tiny().outputs) / "train/multirun/v001"
    assert sorted(path.name for path in multirun.glob("*/")) == ["conf", "seed-0", "seed-1"]
    for seed in (0, 1):
        job = multirun / f"seed-{seed}"
        assert {path.name for path in job.iterdir()} == LEFT | {"overview.pdf", "overview.png"}
        assert runs.manifest_of(job)["seeds"] == [seed] and status(job) == "finished"
    capsys.readouterr()
    for message in ("epochs 100%", "is already finished"):
        assert main([*line, "resume=true"]) == 0
        assert message in capsys.readouterr().out
    (directory,) = Path(tiny().outputs).glob("train/digits-gbp-L4-T120/*")
    assert main([*line, f"resume={directory}", "lr=0.2"]) == 2
    assert "was run with different settings: lr" in capsys.readouterr().err


@pytest.mark.mnist
def test_gbp_learns_mnist(tiny: Making) -> None:
    have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")
    images = {"model": Model("mnist", "mnist"), "data": DataSettings(str(DATA))}
    sizes = {"train_size": 2000, "test_size": 2000, "batch_size": 100, "width": 50}
    directory = training_run.run(tiny(epochs=5, **images, **sizes))
    last = tables(directory)["history"].iloc[-1]
    assert last["test_accuracy"] > 0.75 and last["test_accuracy_mean"] > 0.75
    assert (tables(directory)["ensemble"]["test_accuracy"] > 0.7).all()
    assert (tables(directory)["layers"]["sparsity"] > 0.05).all()
