"""Parts about learning credit assignment: accuracy, layers, perturbation, ablation."""

import numpy as np

from blocks.source import RULES, Blocks, Source, markdown, spread
from sascli import runs

FRACTIONS = {"sparsity": ("sparsity", 1), "vip_fraction": ("VIP %", 100)}
FRACTIONS["uip_fraction"] = ("UIP %", 100)


def accuracy(source: Source) -> str:
    """Test accuracy after the last epoch at the reference point, three ways to evaluate."""
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
    said = f"\n\nAfter epoch {last['epoch'].max()}; ±: standard deviation over seeds."
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


BLOCKS: Blocks = {
    block.__name__: block for block in (accuracy, layers, search, datasize, perturbation, ablation)
}
