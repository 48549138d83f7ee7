"""`sas compare`: several runs of `sas train` in one table and one picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.config import Compare, config_hash, plain
from sascli.errors import UserError

JOINED = ("history", "layers", "histograms")


def compare(config: Compare, directory: Path | None = None) -> Path:
    """Join the runs' tables in a new directory. Raises UserError for fewer than two runs."""
    outputs = Path(config.outputs)
    paths = [runs.locate(run, outputs).resolve() for run in config.runs]
    if len(set(paths)) < max(2, len(paths)):
        raise UserError(f"`sas compare` needs two or more different runs, not {config.runs}")
    start, parts = runs.now(), dict(zip(labels(paths), paths, strict=True))
    manifests = {label: runs.manifest_of(path) for label, path in parts.items()}
    images = {manifest["data"]["checksum"]: manifest["data"] for manifest in manifests.values()}
    if len(images) > 1:
        print("warning: the runs are of different images: their accuracies are not comparable")
    tables = {name: joined(parts, name) for name in JOINED}
    tables["comparison"] = comparison(tables, manifests)
    directory = directory or runs.claim(outputs / "compare" / config.name)
    for name, table in tables.items():
        runs.write_table(directory / f"{name}.csv", table)
    runs.write_json(directory / runs.CONFIG, plain(config))
    runs.describe(
        directory,
        **runs.provenance(),
        **({"data": next(iter(images.values()))} if len(images) == 1 else {}),
        kind="compare",
        seeds=sorted({seed for manifest in manifests.values() for seed in manifest["seeds"]}),
        runs={label: str(path) for label, path in parts.items()},
        config_hash=config_hash(config),
        start=start,
        end=runs.now(),
        status="finished",
    )
    return directory


def labels(paths: Sequence[Path]) -> list[str]:
    """A name for each run: that of the run, with its version where several have it."""
    names = [path.parent.name if path.name.startswith("v") else path.name for path in paths]
    count = Counter(names)
    texts = [
        f"{path.parent.name}/{path.name}" if count[name] > 1 else name
        for name, path in zip(names, paths, strict=True)
    ]
    return texts if len(set(texts)) == len(texts) else [str(path) for path in paths]


def joined(parts: Mapping[str, Path], name: str) -> pd.DataFrame:
    """A table of all runs, led by `run`."""
    tables = {label: runs.read_table(path / f"{name}.csv") for label, path in parts.items()}
    together = pd.concat(tables, names=["run", None]).reset_index("run")
    return together.reset_index(drop=True)


def comparison(
    tables: Mapping[str, pd.DataFrame], manifests: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """comparison.csv: a row per run, and per rate where a run has several."""
    last = runs.last_epochs(tables["history"])
    layers = tables["layers"]
    size = layers["n_out"] * layers["n_in"]
    weights = layers.assign(size=size, zeros=size * layers["sparsity"])
    sums = weights.groupby(runs.replica_keys(weights), dropna=False)[["zeros", "size"]].sum()
    sparsity = (sums["zeros"] / sums["size"]).rename("sparsity").reset_index()
    last = last.merge(sparsity, on=runs.replica_keys(last))
    records = []
    for (label, rates), part in last.groupby(["run", runs.rate_names(last)], sort=False):
        manifest = manifests[str(label)]
        records.append(
            {
                "run": label,
                "rates": rates,
                "model": manifest["model"],
                "rule": manifest["rule"],
                "networks": len(part),
                "epochs": part["epoch"].max(),
                "train_loss": part["train_loss"].mean(),
                "test_accuracy": part["test_accuracy"].mean(),
                "test_accuracy_std": part["test_accuracy"].std(),
                "sparsity": part["sparsity"].mean(),
            }
        )
    return runs.rows(records)


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """comparison.csv for the terminal, the best accuracy first."""
    table = tables["comparison"].sort_values("test_accuracy", ascending=False)
    rates = table["rates"].astype(object).fillna("")
    names = table["run"].str.cat(rates.where(rates == "", ", " + rates))
    short = table.rename(columns={"test_accuracy": "accuracy", "test_accuracy_std": "std"})
    columns = ["rule", "networks", "epochs", "train_loss", "accuracy", "std", "sparsity"]
    return short[columns].set_axis(list(names))
