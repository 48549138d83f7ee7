"""Parts about learning credit assignment: accuracy, layers, perturbation, ablation."""

from itertools import pairwise

import numpy as np
import pandas as pd

from blocks.source import OUTCOMES, OVER_SEEDS, RULES, Blocks, Source, markdown, outcome, spread
from sascli import runs
from sascli.claims.check import Check
from sascli.claims.credit import EXTREME, LAST_EPOCHS
from sascli.claims.shapes import by_seed, fraction, inner_excess

FRACTIONS = {"sparsity": ("sparsity", 1, 2), "vip_fraction": ("VIP %", 100, 1)}
FRACTIONS["uip_fraction"] = ("UIP %", 100, 1)
"""Head, scale and digits of a column."""


def accuracy(source: Source) -> str:
    """Test accuracy after the last epoch at the reference point in the three prediction modes."""
    records = []
    for rule, label in RULES.items():
        history = source.rows("history", rule=rule, **source.point)
        last = runs.last_epochs(history)
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
    note = f"After epoch {last['epoch'].max()}; {OVER_SEEDS}"
    return source.part(records, note, "history", "ensemble")


def layers(source: Source, reference: str = "") -> str:
    """Sparsity, VIP and UIP by layer at every depth, beside those of a reference run."""
    table = source.rows("layers", train_size=source.reference["train_size"])
    path = source.docs / "data" / f"{reference}.csv"
    published = runs.read_table(path).set_index(["depth", "layer"]) if reference else None
    records, inside = [], list[bool]()
    for (depth, layer), rows in table.groupby(["depth", "layer"]):
        record: dict[str, object] = {"L": depth, "layer": layer}
        for column, (head, scale, digits) in FRACTIONS.items():
            record[head] = spread(rows[column], scale, digits)
            if published is not None:
                value = published[column].get((depth, layer), np.nan)
                record[f"reference {head}"] = "" if np.isnan(value) else f"{scale * value:g}"
                if not np.isnan(value):
                    inside.append(rows[column].min() <= value <= rows[column].max())
        records.append(record | {"seeds": rows["seed"].nunique()})
    note = f"T = {source.reference['train_size']}; {OVER_SEEDS}"
    if inside:
        outside = len(inside) - sum(inside)
        note += f" {outside} of {len(inside)} reference values are outside the range of our seeds."
    return source.part(records, note, "layers")


def search(source: Source) -> str:
    """The search of learning rates, for every T, on images held out of the training file."""
    records, table = [], source.rows("search")
    for (size, rate), tried in table.groupby(["train_size", "lr"]):
        accuracies = {
            f"{label}, validation accuracy %": spread(
                tried.loc[tried["rule"] == rule, "validation_accuracy"], 100
            )
            for rule, label in RULES.items()
            if (table["rule"] == rule).any()
        }
        records.append({"T": size, "lr": rate} | accuracies | {"seeds": tried["seed"].nunique()})
    return source.part(records, "", "search")


def datasize(source: Source) -> str:
    """Test error of either rule against T at every depth."""
    records = []
    for (depth, size), rows in source.rows("datasize").groupby(["depth", "train_size"]):
        gbp, bp = (rows[rows["rule"] == rule] for rule in RULES)
        std = 100 * np.sqrt((gbp["sampled_error_std"] ** 2).mean())
        records.append(
            {
                "L": depth,
                "T": size,
                "gBP, mean field %": spread(gbp["test_error"], 100),
                "gBP, sampled %": spread(gbp["sampled_error_mean"], 100),
                "std over sampled networks": f"{std:.2f}",
                "BP %": spread(bp["test_error"], 100),
                "seeds": rows["seed"].nunique(),
            }
        )
    return source.part(records, f"Test error after the last epoch; {OVER_SEEDS}", "datasize")


def final_accuracies(source: Source) -> pd.DataFrame:
    """Accuracy (%) of either rule by T and seed at the depth of Fig. 2a, and the epochs averaged.

    The mean of the last epochs, as in claim 1; the last alone where history.csv lacks a T.
    """
    depth = source.reference["depth"]
    history = source.rows("history", depth=depth)
    late = history[history["epoch"] > history["epoch"].max() - LAST_EPOCHS]
    keys = ["train_size", "rule", "seed"]
    late = late.groupby(keys)["test_accuracy"].agg(["mean", "size"]).reset_index()
    late["mean"] *= 100
    late = late.rename(columns={"mean": "accuracy", "size": "epochs"})
    last = last_accuracies(source)
    last = last[~last["train_size"].isin(late["train_size"])].assign(epochs=1)
    return pd.DataFrame(pd.concat([late, last]).sort_values(keys))


def last_accuracies(source: Source) -> pd.DataFrame:
    """Accuracy (%) of either rule after the last epoch, by T and seed, at the depth of Fig. 2a."""
    last = source.rows("datasize", depth=source.reference["depth"])
    return last[["train_size", "rule", "seed"]].assign(accuracy=100 * (1 - last["test_error"]))


def last_means(source: Source) -> pd.DataFrame:
    """As `last_accuracies`, of the mean network, where history.csv has the T."""
    history = source.rows("history", depth=source.reference["depth"])
    last = history[history["epoch"] == history["epoch"].max()]
    columns = ["train_size", "rule", "seed"]
    return pd.DataFrame(last[columns]).assign(accuracy=100 * last["test_accuracy_mean"])


def pairs(accuracies: pd.DataFrame, size: int) -> pd.DataFrame:
    """Accuracies of gBP and BP at one T, a row per seed."""
    networks = accuracies[accuracies["train_size"] == size]
    return by_seed(networks, "accuracy", "rule", need=list(RULES))


def ahead(values: pd.DataFrame) -> Check:
    """gBP's accuracy minus BP's, paired by seed."""
    return Check("", values["gbp"] - values["bp"], above=0, errors=-1)


def against_bp(source: Source) -> str:
    """Accuracy of gBP minus that of BP at every T with runs of both, at the depth of Fig. 2a."""
    search = source.rows("search", rule="bp")
    tried = search.groupby(["train_size", "lr"])["validation_accuracy"].mean().reset_index()
    best = tried.sort_values("validation_accuracy").groupby("train_size")["lr"].last()
    records, since = list[dict[str, object]](), list[int]()
    table, last, mean = final_accuracies(source), last_accuracies(source), last_means(source)
    for size in table["train_size"].unique():
        values = pairs(table, size)
        difference, end = ahead(values), ahead(pairs(last, size))
        means = ahead(pairs(mean, size)) if (mean["train_size"] == size).any() else None
        # no rate is searched with all images: some of them are held out
        searched = size if size in best else best.index.max()
        since = [*since, int(size)] if difference.holds else []
        records.append(
            {
                "T": size,
                "gBP %": spread(values["gbp"]),
                "BP %": spread(values["bp"]),
                "gBP - BP, points": f"{difference.mean:.2f}",
                "SE": f"{difference.error:.2f}",
                "epochs averaged": table.loc[table["train_size"] == size, "epochs"].iloc[0],
                "last epoch alone": f"{end.mean:.2f}",
                "its SE": f"{end.error:.2f}",
                "mean networks": f"{means.mean:.2f}" if means else "",
                "their SE": f"{means.error:.2f}" if means else "",
                "BP's lr": f"{best[searched]:g}",
                "searched at T": searched,
                "seeds": len(values),
            }
        )
    verdict = (
        f"from T = {since[0]} on the mean of gBP is not below that of BP by more than one SE."
        if since
        else "at the largest T gBP is less accurate than BP, by more than one SE."
    )
    note = (
        f"L = {source.reference['depth']}, test accuracy, mean field (with noise) after the last "
        "epochs, and gBP - BP of mean networks (ε = 0) after the last one; ±: standard deviation "
        "over seeds; differences are paired by seed and have their SE beside them. By the mean "
        "field: "
    )
    return source.part(records, note + verdict, "history", "datasize", "search")


def arch(source: Source, only: str = "") -> str:
    """How far the sparsest inner layer is above both outer ones, at every T and depth, or one."""
    records = []
    depths = {"depth": int(only)} if only else {}
    table = source.rows("datasize_layers", rule="gbp", **depths)
    for (depth, size), network in table.groupby(["depth", "train_size"]):
        values = by_seed(network, "sparsity", "layer")
        if len(values.columns) > 2:
            excess = Check("", inner_excess(values), above=0)
            records.append(
                {
                    "L": depth,
                    "T": size,
                    "sparsity by layer": ", ".join(f"{mean:.2f}" for mean in values.mean()),
                    "greatest inner - greatest outer": f"{excess.mean:.3f}",
                    "SE": f"{excess.error:.3f}",
                    "grows, then drops": outcome(excess),
                    "seeds": len(values),
                }
            )
    note = f"The check: the difference is above 0 by 2 SE over seeds. {OUTCOMES}"
    return source.part(records, note, "datasize_layers")


def vips(source: Source) -> str:
    """Number and fraction of the VIPs of each layer of the deep network."""
    point = source.point | {"depth": source.reference["deep"]}
    records = [
        {
            "layer": layer,
            "connections": size,
            "VIPs": spread(rows["vip_fraction"], float(size), 0),
            "VIP %": spread(rows["vip_fraction"], 100, 1),
            "seeds": rows["seed"].nunique(),
        }
        for layer, rows in source.rows("layers", rule="gbp", **point).groupby("layer")
        for size in [(rows["n_out"] * rows["n_in"]).iloc[0]]
    ]
    note = f"L = {point['depth']}, T = {point['train_size']}; {OVER_SEEDS}"
    return source.part(records, note, "layers")


def uncertain(source: Source) -> str:
    """Fractions of the connections near pi = 0, in between, and near pi = 1."""
    table = source.rows("histograms", rule="gbp", parameter="pi", **source.point)
    edges = (0.0, EXTREME, 1 - EXTREME, 1.0)
    names = [f"π < {EXTREME:g}, %", "in between, %", f"π > {1 - EXTREME:g}, %"]
    records = []
    for layer, rows in table.groupby("layer"):
        fractions = pd.DataFrame(
            [
                [float(fraction(histogram, low, high)) for low, high in pairwise(edges)]
                for _, histogram in rows.groupby("seed")
            ],
            columns=names,
        )
        cells = {name: spread(fractions[name], 100, 1) for name in names}
        records.append({"layer": layer} | cells | {"seeds": len(fractions)})
    return source.part(records, OVER_SEEDS, "histograms")


def programs(source: Source) -> str:
    """Test error by two programs that perturb the same network."""
    table = source.file
    kinds = [name for name in table if name not in ("layer", "program")]
    records = [
        {"layer": row["layer"], "program": row["program"]}
        | {f"`{kind}` %": f"{row[kind]:.2f}" for kind in kinds}
        for row in table.to_dict("records")
    ]
    return (
        f"{markdown(records)}\n\nTest error with all candidates of a layer perturbed (f = 1). "
        f"From `docs/data/{source.name}.csv`; the rows of sas by `sas train model=mnist` (seed "
        "0), then `sas perturb run=latest`."
    )


def perturbation(source: Source) -> str:
    """Test error with nothing and with all connections of a kind perturbed, by layer."""
    table = source.rows("perturbation", rule="gbp", **source.point)
    records = []
    for (layer, kind), rows in table.groupby(["layer", "kind"], sort=False):
        means = rows.groupby(["fraction", "seed"])[["test_error", "n_weights"]].mean()
        before, after = means.loc[0.0], means.loc[1.0]
        records.append(
            {
                "layer": layer,
                "kind": f"`{kind}`",
                "connections": f"{after['n_weights'].mean():.0f}",
                "error at f = 0, %": spread(before["test_error"], 100),
                "error at f = 1, %": spread(after["test_error"], 100),
                "change": spread(after["test_error"] - before["test_error"], 100),
                "seeds": rows["seed"].nunique(),
            }
        )
    samples = table["sample"].nunique()
    note = f"Test error, each seed's the mean of {samples} sampled networks and draws; "
    return source.part(records, note + OVER_SEEDS, "perturbation")


def ablation(source: Source) -> str:
    """Accuracy and layers of each variant; layer by layer, separated by commas."""
    records, largest = [], dict.fromkeys(FRACTIONS, 0.0)
    for setting, rows in source.file.groupby("setting", sort=False):
        first = rows[rows["layer"] == 1]
        record = {"setting": f"`{setting}`", "accuracy %": spread(first["test_accuracy"], 100)}
        for column, (head, scale, digits) in FRACTIONS.items():
            by_layer = scale * rows.groupby("layer")[column].agg(["mean", "std"])
            largest[column] = max(largest[column], by_layer["std"].max())
            record[head] = ", ".join(f"{mean:.{digits}f}" for mean in by_layer["mean"])
        records.append(record | {"seeds": str(len(first))})
    most = ", ".join(f"{FRACTIONS[key][0]} {value:.2f}" for key, value in largest.items())
    return (
        f"{markdown(records)}\n\n±: standard deviation over seeds; for the layers it is at most: "
        f"{most}.\n\nFrom `docs/data/ablation.csv`, made by `python docs/ablation.py`."
    )


BLOCKS: Blocks = {
    block.__name__: block
    for block in (
        accuracy, against_bp, layers, arch, vips, uncertain, search, datasize, perturbation,
        programs, ablation,
    )
}  # fmt: skip
