"""The generated parts of the documents, each a function of the tables in docs/data."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sascli import claims as judged
from sascli import figures, runs
from sascli.figures.continual import METHODS
from sascli.figures.copi_accuracy import POINTS
from sascli.figures.pruning import WORDS
from sascli.figures.rows import rows as rows_of
from sascli.figures.ways import NAMES
from sascli.studies import study_of

RULES = {"gbp": "gBP", "bp": "BP"}
FRACTIONS = {"sparsity": ("sparsity", 1), "vip_fraction": ("VIP %", 100)}
FRACTIONS["uip_fraction"] = ("UIP %", 100)


@dataclass(frozen=True)
class Source:
    """docs/data/NAME, and the folder of the document that shows it."""

    docs: Path
    name: str
    folder: Path

    @property
    def directory(self) -> Path:
        """Where the tables lie."""
        return self.docs / "data" / self.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What made the tables."""
        return runs.manifest_of(self.directory)

    @property
    def reference(self) -> dict[str, int]:
        """The point that the figures are drawn at."""
        return figures.reference_of(self.directory)

    @property
    def point(self) -> dict[str, int]:
        """Depth and training size of that point."""
        return {key: self.reference[key] for key in ("depth", "train_size")}

    def rows(self, table: str, **keys: str | int) -> pd.DataFrame:
        """The rows of one table that have the given keys."""
        return rows_of(figures.read_tables(self.directory, [table]), table, **keys)

    def origin(self, *tables: str) -> str:
        """The line that says where the numbers above it come from."""
        files = ", ".join(f"`docs/data/{self.name}/{table}.csv`" for table in tables)
        return f"\n\nFrom {files}, made by `{self.manifest['command']}`."


def markdown(records: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table of records that have the same keys."""
    listed = list(records)
    heads: list[object] = list(listed[0])
    lines: list[list[object]] = [heads, ["-"] * len(heads)]
    lines += [list(record.values()) for record in listed]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def spread(values: "pd.Series[float]", scale: float = 1, digits: int = 2) -> str:
    """Mean and standard deviation (ddof 1) of one number per seed."""
    mean, std = scale * values.mean(), scale * values.std()
    return f"{mean:.{digits}f}" if np.isnan(std) else f"{mean:.{digits}f} ± {std:.{digits}f}"


def accuracy(source: Source) -> str:
    """Test accuracy after the last epoch at the reference point, three ways to evaluate."""
    records = []
    for rule, label in RULES.items():
        history = source.rows("history", rule=rule, **source.point)
        last = history[history["epoch"] == history["epoch"].max()]
        networks = source.rows("ensemble", rule=rule, **source.point).groupby("seed")
        over = networks["test_accuracy"].std()
        rate = source.manifest["rates"][rule]
        records.append(
            {
                "rule": label,
                "lr": rate["default"] if isinstance(rate, dict) else rate,
                "mean field %": spread(last["test_accuracy"], 100),
                "mean network %": spread(last["test_accuracy_mean"], 100),
                "sampled networks %": spread(networks["test_accuracy"].mean(), 100),
                "std over sampled networks": f"{100 * np.sqrt((over**2).mean()):.2f}",
                "seeds": last["seed"].nunique(),
            }
        )
    said = f"\n\nAfter epoch {history['epoch'].max()}; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("history", "ensemble")


def layers(source: Source, reference: str = "") -> str:
    """Sparsity, VIP and UIP by layer at every depth, beside those of a reference run."""
    table = source.rows("layers", train_size=source.reference["train_size"])
    columns = {column: label for column, (label, _) in FRACTIONS.items()}
    path = source.docs / "data" / f"{reference}.csv"
    other = runs.read_table(path).set_index(["depth", "layer"]) if reference else None
    records = []
    for (depth, layer), some in table.groupby(["depth", "layer"]):
        record: dict[str, object] = {"L": depth, "layer": layer}
        for column, label in columns.items():
            scale = FRACTIONS[column][1]
            record[label] = spread(some[column], scale, 2 if scale == 1 else 1)
            if other is not None:
                value = other[column].get((depth, layer), np.nan)
                record[f"reference {label}"] = "" if np.isnan(value) else f"{scale * value:g}"
        records.append(record | {"seeds": some["seed"].nunique()})
    said = f"\n\nT = {source.reference['train_size']}; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("layers")


def search(source: Source) -> str:
    """The search of learning rates on images held out of the training file."""
    records, table = [], source.rows("search")
    for rate, some in table.groupby("lr"):
        own = {
            f"{label}, validation accuracy %": spread(
                some.loc[some["rule"] == rule, "validation_accuracy"], 100
            )
            for rule, label in RULES.items()
            if (table["rule"] == rule).any()
        }
        records.append({"lr": rate} | own | {"seeds": some["seed"].nunique()})
    return markdown(records) + source.origin("search")


def datasize(source: Source) -> str:
    """Test error of either rule against T at every depth."""
    records = []
    for (depth, size), some in source.rows("datasize").groupby(["depth", "train_size"]):
        gbp, bp = (some[some["rule"] == rule] for rule in RULES)
        std = 100 * np.sqrt((gbp["sampled_error_std"] ** 2).mean())
        records.append(
            {
                "L": depth,
                "T": size,
                "gBP, mean field %": spread(gbp["test_error"], 100),
                "gBP, sampled %": spread(gbp["sampled_error_mean"], 100),
                "std over sampled networks": f"{std:.2f}",
                "BP %": spread(bp["test_error"], 100),
                "seeds": some["seed"].nunique(),
            }
        )
    said = "\n\nTest error after the last epoch; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("datasize")


def perturbation(source: Source) -> str:
    """Test error with nothing and with all connections of a kind perturbed, by layer."""
    table = source.rows("perturbation", rule="gbp", **source.point)
    records = []
    for (layer, kind), some in table.groupby(["layer", "kind"], sort=False):
        means = some.groupby(["fraction", "seed"])[["test_error", "n_weights"]].mean()
        before, after = means.loc[0.0], means.loc[1.0]
        records.append(
            {
                "layer": layer,
                "kind": f"`{kind}`",
                "connections": f"{after['n_weights'].mean():.0f}",
                "f = 0 %": spread(before["test_error"], 100),
                "f = 1 %": spread(after["test_error"], 100),
                "change": spread(after["test_error"] - before["test_error"], 100),
                "seeds": some["seed"].nunique(),
            }
        )
    samples = table["sample"].nunique()
    said = f"\n\nTest error, each seed's the mean of {samples} sampled networks and draws; "
    return (
        markdown(records)
        + f"{said}±: standard deviation over seeds."
        + source.origin("perturbation")
    )


def claims(source: Source, other: str = "") -> str:
    """The paper's claims; `other` is a second data set for claim 15."""

    def measured(directory: Path) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
        return figures.read_tables(directory), figures.reference_of(directory)

    second = source.docs / "data" / other
    compared = measured(second) if other and second.is_dir() else None
    register = study_of(source.manifest).claims
    table = judged.evaluate(*measured(source.directory), compared, register=register)
    return f"{judged.as_markdown(table)}\n\nFrom the tables of `docs/data/{source.name}`."


def provenance(source: Source) -> str:
    """What made the tables, on what, and how long it took."""
    about, times = source.manifest, source.rows("times")
    dirty = " with changes" if about["git_dirty"] else ""
    facts = {
        "command": f"`{about['command']}`",
        "code": f"{about['git_commit']}{dirty}",
        "data": f"{about['data']['name']}, {about['data']['checksum']}",
        "machine": f"{about['device']}, {about['cores']} cores",
        "versions": ", ".join(f"{name} {version}" for name, version in about["packages"].items()),
        "start, end": f"{about['start']}, {about['end']} ({about['status']})",
        "training": f"{times['replicas'].sum()} networks in {len(times)} runs, "
        f"{times['seconds'].sum() / 60:.1f} min",
    }
    return markdown({"": key, "made by": value} for key, value in facts.items())


def figure(source: Source, name: str) -> str:
    """One picture with the caption that it carries."""
    path = source.docs / "figures" / source.name / f"{name}.png"
    with Image.open(path) as image:
        caption = str(image.info["Description"])
    return f"![{name}]({os.path.relpath(path, source.folder)})\n\n{caption}"


def ways(source: Source) -> str:
    """Accuracy, calibration and uncertainty of either rule, asked in three ways."""
    whole, areas = source.rows("evaluation"), source.rows("uncertainty")
    records = []
    for (rule, way), some in whole.groupby(["rule", "way"], sort=False):
        if rule == "gbp" or way == "mean":  # BP's three ways are one
            own = areas[(areas["rule"] == rule) & (areas["way"] == way)]
            records.append(
                {
                    "": f"{RULES[str(rule)]}, {NAMES[str(way)]}" if rule == "gbp" else "BP",
                    "accuracy %": spread(some["test_accuracy"], 100),
                    "log loss, nats": spread(some["log_loss"], 1, 3),
                    "calibration error %": spread(some["calibration_error"], 100),
                    **{
                        f"AUROC, {kind}": spread(part["auroc"], 1, 3)
                        for kind, part in own.groupby("kind", sort=False)
                    },
                    "seeds": some["seed"].nunique(),
                }
            )
    said = "\n\nAUROC: of the entropy of the prediction; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("evaluation", "uncertainty")


def pruning(source: Source) -> str:
    """Accuracy against the fraction that stays, as cut and after fine-tuning."""
    table = source.rows("pruning", format="csr")
    table = table[table["criterion"].isin([*WORDS])]
    curves = [("gbp", name) for name in WORDS] + [("bp", "magnitude")]
    records = []
    for after, level in product(table["epochs"].unique(), table["level"].unique()):
        some = table[(table["epochs"] == after) & (table["level"] == level)]
        record = {"fine-tuning": f"{after} epochs" if after else "none"}
        record["stays %"] = f"{100 * level:g}"
        for rule, name in curves:
            own = some[(some["rule"] == rule) & (some["criterion"] == name)]
            record[f"{RULES[rule]}, {WORDS[name]}"] = spread(own["test_accuracy"], 100, 1)
        records.append(record)
    said = f"\n\nTest accuracy, %; ±: standard deviation over {table['seed'].nunique()} seeds."
    return markdown(records) + said + source.origin("pruning")


def sparse(source: Source, criterion: str) -> str:
    """What gBP's networks cost as cut by a criterion, beside the dense network."""
    table = source.rows("pruning", rule="gbp", epochs=0)
    chosen = table[table["criterion"].isin(["none", "threshold", criterion])]
    names = {"none": "everything", "threshold": "π < {:g}"}
    order = chosen.sort_values(["format", "criterion", "level"], ascending=[False, True, False])
    kinds = order.groupby(["format", "criterion", "level"], sort=False)
    records = [
        {
            "what stays": names.get(str(name), "{:.0%}").format(level),
            "kept as": form,
            "connections": f"{some['n_weights'].mean():.0f}",
            "hidden neurons": f"{some['n_neurons'].mean():.0f}",
            "kB": f"{some['bytes'].mean() / 1000:.0f}",
            "ms": spread(some["seconds"], 1000, 1),
            "images classified otherwise": f"{some['n_changed'].mean():.0f}",
            "accuracy %": spread(some["test_accuracy"], 100),
        }
        for (form, name, level), some in kinds
    ]
    images = source.rows("evaluation")["n_images"].iloc[0]
    said = f"\n\nBy {WORDS[criterion]}; ms: to classify {images} images on one core, the least "
    said += "of three times; means over seeds, ±: standard deviation."
    return markdown(records) + said + source.origin("pruning")


def protection(source: Source) -> str:
    """Tasks in sequence: what each method keeps, at the rate and strength of its search."""
    table = source.rows("continual_summary")
    records = [
        {
            "tasks": protocol,
            "method": METHODS[str(method)][0],
            "lr": f"{some['lr'].iloc[0]:g}",
            "strength": f"{some['strength'].iloc[0]:g}",
            **{
                f"{name} %": spread(some[name.replace(" ", "_")], 100, 1)
                for name in ("average accuracy", "learning accuracy", "forgetting")
            },
            "seeds": some["seed"].nunique(),
        }
        for (protocol, method), some in table.groupby(["protocol", "method"], sort=False)
    ]
    said = "\n\nAfter the last task; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("continual_summary")


def copi(source: Source) -> str:
    """Test accuracy of every rule of COPI's study after its second and its last epoch."""
    history = source.rows("history")
    last = history["epoch"].max()
    records = []
    for point, (label, *_) in POINTS.items():
        own = history[history["point"] == point]
        at = {epoch: own.loc[own["epoch"] == epoch, "test_accuracy"] for epoch in (2, last)}
        records.append(
            {
                "rule": label,
                "lr": f"{source.manifest['rates'][point]:g}",
                **{
                    f"epoch {epoch}, %": spread(found, 100) if len(found) else "diverged"
                    for epoch, found in at.items()
                },
                "seeds": own["seed"].nunique(),
            }
        )
    linear = 100 * source.rows("linear")["test_accuracy"].iloc[0]
    said = f"\n\nLogistic regression (scikit-learn) on the same images: {linear:.2f} %. "
    said += "±: standard deviation over seeds."
    return markdown(records) + said + source.origin("history", "linear")


def rates(source: Source) -> str:
    """Accuracy on held-out images at every rate of W, and how many networks diverged."""

    def cell(own: pd.DataFrame) -> str:
        lost = own["diverged"].notna().sum()
        told = [f"{lost} of {len(own)} diverged"] if lost else []
        if lost < len(own):
            told.insert(0, spread(own["validation_accuracy"].dropna(), 100, 1))
        return ", ".join(told)

    table = source.rows("rates")
    records = []
    for rate, some in table.groupby("lr"):
        of = {point: some[some["point"] == point] for point in POINTS}
        cells = {
            POINTS[point][0]: cell(own) if len(own) else ""
            for point, own in of.items()
            if point in set(table["point"])
        }
        records.append({"lr": f"{rate:g}"} | cells)
    said = f"\n\n%; ±: standard deviation over {table['seed'].nunique()} seeds."
    return markdown(records) + said + source.origin("rates")


def correlation(source: Source) -> str:
    """Correlation of every layer's inputs before and after training, before R and after it."""
    table = source.rows("decorrelation")
    start, end = (table[table["epoch"] == n] for n in (0, table["epoch"].max()))
    records = []
    for layer in sorted(table["layer"].unique()):
        first, last = (
            some[(some["layer"] == layer) & (some["point"] == "copi-bp")] for some in (start, end)
        )
        record = {
            "layer": layer,
            "untrained": spread(first["before"], 1, 3),
            "trained, before R": spread(last["before"], 1, 3),
            "trained, after R": spread(last["after"], 1, 3),
        }
        local = end[(end["layer"] == layer) & (end["point"] == "copi-local")]
        if len(local):  # it did not diverge
            record["trained, after R, local"] = spread(local["after"], 1, 3)
        records.append(record | {"seeds": last["seed"].nunique()})
    return markdown(records) + source.origin("decorrelation")


def compression(source: Source) -> str:
    """Accuracy and parameters with the first or the last k layers replaced by a linear map."""
    table = source.rows("compression")
    records = []
    for k, some in table.groupby("k"):
        parts = {part: some[some["part"] == part] for part in ("first", "last")}
        records.append(
            {"k": k}
            | {f"{part} k, %": spread(own["test_accuracy"], 100) for part, own in parts.items()}
            | {f"{part} k, parameters": own["parameters"].iloc[0] for part, own in parts.items()}
            | {"seeds": some["seed"].nunique()}
        )
    said = "\n\nTest accuracy; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("compression")


def copi_step(source: Source) -> str:
    """Time of COPI's updates beside their plain definitions."""
    table = runs.read_table(source.directory / "copi.csv")
    names = {"sas": "sas", "plain": "plain torch, as defined"}
    return markdown(
        {
            "what": row.what,
            "variant": names[str(row.variant)],
            "ms": f"{row.ms:.2f}",
            "ratio to sas": f"{row.ratio:.2f}",
            "quartiles": f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
        }
        for row in table.itertuples()
    )


def ablation(source: Source) -> str:
    """Accuracy and layers of each variant; layer by layer, separated by commas."""
    table = runs.read_table(source.directory.with_suffix(".csv"))
    records, largest = [], dict.fromkeys(FRACTIONS, 0.0)
    for setting, some in table.groupby("setting", sort=False):
        first = some[some["layer"] == 1]
        record = {"setting": f"`{setting}`", "accuracy %": spread(first["test_accuracy"], 100)}
        for column, (label, scale) in FRACTIONS.items():
            by_layer = scale * some.groupby("layer")[column].agg(["mean", "std"])
            largest[column] = max(largest[column], by_layer["std"].max())
            digits = 2 if scale == 1 else 1
            record[label] = ", ".join(f"{mean:.{digits}f}" for mean in by_layer["mean"])
        records.append(record | {"seeds": str(len(first))})
    most = ", ".join(f"{FRACTIONS[key][0]} {value:.2f}" for key, value in largest.items())
    said = f"\n\n±: standard deviation over seeds; for the layers it is at most: {most}."
    return (
        markdown(records)
        + said
        + "\n\nFrom `docs/data/ablation.csv`, made by "
        + ("`python docs/ablation.py`.")
    )


def faults(source: Source) -> str:
    """How many faults of each kind were injected, survived, and lost something."""
    table = runs.read_table(source.directory.with_suffix(".csv"))
    rows = [(str(kind), int(i), int(s)) for kind, i, s in table.itertuples(index=False)]
    rows.append(("**all**", int(table["injected"].sum()), int(table["survived"].sum())))
    told = markdown(
        {"fault": kind, "injected": i, "survived": s, "data lost": i - s} for kind, i, s in rows
    )
    return told + "\n\nFrom `docs/data/faults.csv`, made by `make faults`."


def step(source: Source) -> str:
    """Time of a step by variant."""
    table = runs.read_table(source.directory / "step.csv")
    table = table.assign(
        plain=table["ms"] / table.set_index("variant")["ms"]["BP, torch nn.Linear"]
    )
    return markdown(
        {
            "variant": row.variant,
            "ms a step": f"{row.ms:.2f}",
            "ratio to our BP": f"{row.ratio:.2f}",
            "quartiles": f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
            "ratio to plain torch BP": f"{row.plain:.2f}",
        }
        for row in table.itertuples()
    )


def budget(source: Source) -> str:
    """Where a step's time goes."""
    table = runs.read_table(source.directory / "budget.csv")
    return markdown(
        {
            "ms a step": row.kind,
            "BP": f"{row.bp:.2f}",
            "gBP": f"{row.gbp:.2f}",
            "ratio": f"{row.ratio:.2f}" if row.bp else "",
        }
        for row in table.itertuples()
    )


def scaling(source: Source) -> str:
    """Time and memory along each axis, and the exponents."""
    points = runs.read_table(source.directory / "scaling.csv")
    names = {"width": "width", "depth": "depth", "train_size": "T", "replicas": "replicas"}
    wide = points.pivot(index=["axis", "value"], columns="rule")
    measured = markdown(
        {
            "": names[str(axis)],
            "value": value,
            "gBP, ms a network and step": f"{wide['ms_per_network', 'gbp'][axis, value]:.2f}",
            "BP": f"{wide['ms_per_network', 'bp'][axis, value]:.2f}",
            "gBP / BP": f"{wide['ratio', 'gbp'][axis, value]:.2f}",
            "gBP, s an epoch": f"{wide['epoch_s', 'gbp'][axis, value]:.3f}",
            "gBP, MB a replica": f"{wide['mb_per_replica', 'gbp'][axis, value]:.1f}",
            "BP, MB": f"{wide['mb_per_replica', 'bp'][axis, value]:.1f}",
        }
        for axis, value in points[["axis", "value"]].drop_duplicates().itertuples(index=False)
    )
    fits = runs.read_table(source.directory / "scaling_exponents.csv")
    exponents = markdown(
        {
            "exponent in": f"{names[str(axis)]}, {low} to {high}",
            **{RULES[rule]: f"{rows.set_index('rule')['exponent'][rule]:.2f}" for rule in RULES},
        }
        for (axis, low, high), rows in fits.groupby(["axis", "from", "to"], sort=False)
    )
    return f"{measured}\n\n{exponents}"


def recurrent(source: Source) -> str:
    """Time of an epoch in sequence, by rule."""
    table = runs.read_table(source.directory / "recurrent.csv").set_index("variant")
    return markdown(
        {
            "variant": variant,
            "s an epoch": f"{table['ms'][variant] / 1e3:.2f}",
            "ratio to BP": f"{table['ratio'][variant]:.2f}",
            "times as fast as the reference": f"{table['speed_up'][variant]:.1f}",
        }
        for variant in table.index
    )


def temporal(source: Source) -> str:
    """Accuracy of recurrent models after the last epoch, a row per run of `sas train`."""
    table = runs.read_table(source.directory.with_suffix(".csv"))
    records = []
    for setting, rows in table.groupby("setting", sort=False):
        last = rows[rows["epoch"] == rows["epoch"].max()]
        records.append(
            {
                "command": f"`{setting}`",
                "epochs": last["epoch"].max(),
                "mean field %": spread(last["test_accuracy"], 100),
                "mean network %": spread(last["test_accuracy_mean"], 100),
                "weights drawn once %": spread(last["once_mean"], 100),
                "at every step %": spread(last["step_mean"], 100),
                "seeds": len(last),
            }
        )
    said = "After the last epoch; of drawn weights the mean over ten networks of each seed; ±: "
    said += "standard deviation over seeds."
    return f"{markdown(records)}\n\n{said}\n\nFrom `docs/data/temporal.csv`."


def temporal_epochs(source: Source, reference: str, epochs: str) -> str:
    """Test accuracy by epoch of the longest run of gBP on rows, beside a reference's."""
    table = runs.read_table(source.directory.with_suffix(".csv"))
    rows = table[table["setting"].str.contains("model=rnn_rows(?!.*rule=)")]
    longest = rows.sort_values("epoch")["setting"].iloc[-1]
    by_epoch = rows[rows["setting"] == longest].groupby("epoch")["test_accuracy"]
    path = source.docs / "data" / f"{reference}.csv"
    other = (100 * runs.read_table(path).set_index("epoch")["test_accuracy"]).to_dict()
    return markdown(
        {
            "epoch": epoch,
            "gBP %": spread(by_epoch.get_group(epoch), 100),
            "reference %": f"{other[epoch]:.1f}" if epoch in other else "",
        }
        for epoch in map(int, epochs.split(","))
        if epoch in by_epoch.groups
    )


BLOCKS: dict[str, Callable[..., str]] = {
    block.__name__: block
    for block in (
        accuracy, layers, search, datasize, perturbation, claims, provenance, figure, ablation,
        faults, step, budget, scaling, ways, pruning, sparse, protection, recurrent, temporal,
        temporal_epochs, copi, rates, correlation, compression, copi_step,
    )
}  # fmt: skip
