"""The accuracy of recurrent networks over training: python docs/temporal.py DIRECTORY ...

Gathers docs/data/temporal.csv from finished runs of `sas train` on recurrent models, and tests
their effective networks with weights drawn once and drawn at every time step.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from sascli import runs
from sascli.analysis.ensemble import ensemble
from sascli.errors import UserError
from sascli.measure.run import TrainedRun

ASIDE = ("outputs", "name", "threads", "checkpoint_every", "snapshot_every")
"""Settings that do not change the numbers."""


def rows(run: TrainedRun) -> pd.DataFrame:
    """One row per seed and shown epoch; effective networks belong to the last."""
    words = run.manifest["command"].split()
    history = runs.read_table(run.directory / "history.csv")
    epoch, last = history["epoch"], runs.last_epochs(history)
    shown = (epoch <= 10) | (epoch % 10 == 0) | history.index.isin(last.index)
    table = history[shown][["seed", "epoch", "train_loss", "test_accuracy", "test_accuracy_mean"]]
    ends = last.set_index("seed")["epoch"]
    table.insert(0, "setting", " ".join(word for word in words if word.split("=")[0] not in ASIDE))
    for redraw in ("once", "step"):
        samples, score = run.config.eval.samples, run.data.accuracy
        drawn = ensemble(run.network, run.seeds, score, samples, redraw)
        by_seed = (
            drawn.groupby("seed")["test_accuracy"].agg(["mean", "std"]).add_prefix(f"{redraw}_")
        )
        table = table.merge(by_seed.assign(epoch=ends).reset_index(), "left", ["seed", "epoch"])
    return table


def gather(directories: Sequence[Path], out: Path) -> None:
    """The rows of all runs in one table."""
    trained = [TrainedRun(directory, torch.device("cpu")) for directory in directories]
    runs.write_table(out, pd.concat([rows(run) for run in trained], ignore_index=True))


if __name__ == "__main__":
    try:
        gather([Path(word) for word in sys.argv[1:]], Path(__file__).parent / "data/temporal.csv")
    except UserError as error:
        sys.exit(f"docs/temporal.py: {error}")
