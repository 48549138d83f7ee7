"""Which settings matter: python docs/ablation.py [overrides], e.g. threads=2; it can be resumed.

Trains conf/experiment/ablation.yaml in every variant below and gathers docs/data/ablation.csv.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.cli.composition import configuration
from sascli.errors import UserError
from sascli.jobs.submit import job_name
from sascli.training import run as training_run

VARIANTS = (
    "",
    "decay.pi=0",
    "decay=0",
    "lr=0.01",
    "lr=0.03",
    "init.xi_max=0.1",
    "init.pi=0.5",
    "epochs=300",
    "depth=7",
    "depth=7 lr=0.03",
)
COLUMNS = ["sparsity", "vip_fraction", "uip_fraction"]


def trained(words: Sequence[str]) -> Path:
    """The finished run of `sas train` with these overrides."""
    return training_run.run(configuration("train", words))


def rows(setting: str, run: Path) -> pd.DataFrame:
    """One row per seed and layer: its fractions, and the seed's accuracy after the last epoch."""
    history, layers = (runs.read_table(run / f"{name}.csv") for name in ("history", "layers"))
    accuracy = runs.last_epochs(history).set_index("seed")["test_accuracy"]
    table = layers[["seed", "layer", *COLUMNS]].copy()
    table.insert(0, "setting", setting or "as published")
    table["test_accuracy"] = table["seed"].map(accuracy)
    return table


def ablation(extra: Sequence[str], out: Path) -> None:
    """Train every variant, in turn, and write the table as each is finished."""
    tables = []
    for setting in VARIANTS:
        name = f"ablation-{job_name(sorted(setting.split()) or ['as-published'])}"
        words = ["experiment=ablation", f"name={name}", *setting.split(), *extra]
        tables.append(rows(setting, trained(words)))
        runs.write_table(out, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    try:
        ablation(sys.argv[1:], Path(__file__).parent / "data" / "ablation.csv")
    except UserError as error:
        sys.exit(f"docs/ablation.py: {error}")
