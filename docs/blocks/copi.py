"""Parts about constrained parameter inference: accuracy, loss, rates, gains, compression."""

import numpy as np
import pandas as pd

from blocks.source import OVER_SEEDS, Blocks, Source, fraction, spread
from sascli import runs
from sascli.claims.check import number
from sascli.claims.copi import LEARNS, largest_rates
from sascli.figures.copi.training import POINTS, SQUARED
from sascli.figures.draw.rows import plural
from sascli.figures.render import has

LABELS = {point: str(look["label"]) for point, look in POINTS.items()}
GAINS = {"copi": "COPI-BP", "bp_decor": "BP, Adam"}
"""The rules whose gains and rates are compared."""


def copi(source: Source) -> str:
    """Test accuracy of every rule of COPI's study after its second and its last epoch."""
    history = source.rows("history")
    last = history["epoch"].max()
    records = []
    for point, label in LABELS.items():
        if point not in source.manifest["rates"]:
            continue
        part = history[history["point"] == point]
        ends = {2: part[part["epoch"] == 2], last: runs.last_epochs(part)}
        records.append(
            {"rule": label, "lr": f"{source.manifest['rates'][point]:g}"}
            | {f"epoch {epoch}, %": accuracy(rows) for epoch, rows in ends.items()}
            | {"seeds": seeds(source, point, part)}
        )
    linear = 100 * source.rows("linear")["test_accuracy"].iloc[0]
    note = f"Logistic regression (scikit-learn) on the same images: {linear:.2f} %. "
    return source.part(records, note + OVER_SEEDS, "history", "linear")


def accuracy(rows: pd.DataFrame) -> str:
    """Test accuracy (%) of the networks that did not diverge."""
    return spread(rows["test_accuracy"], 100) if len(rows) else "diverged"


def seeds(source: Source, point: str, part: pd.DataFrame) -> str:
    """The number of seeds of a run that did not diverge, and of all where some did."""
    arms = source.rows("arms") if has(source.directory, "arms") else pd.DataFrame({"point": []})
    return fraction(part["seed"].nunique(), int((arms["point"] == point).sum()))


def losses(source: Source) -> str:
    """Training loss of every rule that minimises the squared error, over the epochs."""
    history = source.rows("history")
    last = int(history["epoch"].max())
    epochs = sorted({epoch for epoch in (2, 5, 10, 20, last) if epoch <= last})
    records = []
    for point in SQUARED:
        part = history[history["point"] == point]
        if len(part):
            at = {epoch: part.loc[part["epoch"] == epoch, "train_loss"] for epoch in epochs}
            cells = {f"epoch {epoch}": significant(loss) for epoch, loss in at.items()}
            count = {"seeds": seeds(source, point, part)}
            records.append({"rule": LABELS[point]} | cells | count)
    note = f"Mean of |y - t|² / 2 over the epoch's images; {OVER_SEEDS}"
    return source.part(records, note, "history")


def significant(values: "pd.Series[float]") -> str:
    """Mean and standard deviation over seeds to two significant digits."""
    return number(values.mean(), values.std())


def gains(source: Source) -> str:
    """COPI-BP at several gains beside BP with Adam at several rates."""
    if not has(source.directory, "gains"):
        return f"*Not measured: `docs/data/{source.name}` has no `gains.csv`.*"
    table, arms = source.rows("gains"), source.rows("arms")
    last = table["epoch"].max()
    diverged = arms[arms["diverged"].notna() & arms["point"].str.contains("-gain|-lr")]
    networks = pd.concat([table, diverged])
    records = []
    for rule, label in GAINS.items():
        by_setting = networks[networks["rule"] == rule].groupby(["gain", "lr"])
        for (gain, lr), part in by_setting:
            trained = part[part["epoch"].notna()]
            ends = {epoch: trained[trained["epoch"] == epoch] for epoch in (2, last)}
            loss = significant(ends[last]["train_loss"]) if len(trained) else ""
            count = fraction(trained["seed"].nunique(), part["seed"].nunique())
            records.append(
                {"rule": label, "gain": f"{gain:g}", "lr": f"{lr:g}"}
                | {f"epoch {epoch}, %": accuracy(rows) for epoch, rows in ends.items()}
                | {f"training loss, epoch {last}": loss, "seeds": count}
            )
    return source.part(records, f"Test accuracy; {OVER_SEEDS}", "gains")


def rates(source: Source) -> str:
    """Accuracy on held-out images at every rate of W, and the number of diverged networks."""

    def cell(part: pd.DataFrame) -> str:
        diverged = part["diverged"].notna().sum()
        texts = []
        if diverged < len(part):
            texts.append(spread(part["validation_accuracy"].dropna(), 100, 1))
        if diverged:
            texts.append(f"{diverged} of {len(part)} diverged")
        return ", ".join(texts)

    table = source.rows("rates")
    numbers = table.groupby("point")["seed"].nunique()
    points = [point for point in POINTS if point in numbers.index]
    records = [
        {"lr": f"{rate:g}"}
        | {LABELS[point]: cell(part[part["point"] == point]) for point in points}
        for rate, part in table.groupby("lr")
    ]
    note = f"%; ±: standard deviation over {plural(int(numbers.max()))}"
    fewer = [f"{LABELS[p]} {numbers[p]}" for p in points if numbers[p] < numbers.max()]
    note += f"; fewer: {', '.join(fewer)}." if fewer else "."
    return source.part(records, note, "rates")


def largest(source: Source) -> str:
    """The largest rate of the grid at which each rule learns, as in claim 2."""
    table, records = source.rows("rates"), []
    for point in (point for point in POINTS if point in set(table["point"])):
        tried, rates = table[table["point"] == point], largest_rates(table, point)
        bound = "≥ " if len(rates) and (rates == tried["lr"].max()).any() else ""
        low, high = (f"{end:g}" if len(rates) else "" for end in (rates.min(), rates.max()))
        records.append(
            {
                "rule": LABELS[point],
                "largest rate": bound + (low if low == high else f"{low} to {high}"),
                "mean of log10": significant(np.log10(rates)) if len(rates) else "",
                "rates tried": f"{tried['lr'].min():g} to {tried['lr'].max():g}",
                "seeds": f"{len(rates)} of {tried['seed'].nunique()}",
            }
        )
    note = (
        f"The largest rate of W at which a network learns: at least {LEARNS:.0%} of the accuracy "
        "on held-out images that its rule reaches at its best rate. ≥: the end of the grid; "
    )
    return source.part(records, note + OVER_SEEDS, "rates")


def correlation(source: Source) -> str:
    """Correlation of every layer's inputs before and after training, before R and after it."""
    table = source.rows("decorrelation")
    start, end = table[table["epoch"] == 0], runs.last_epochs(table)
    records = []
    for layer in sorted(table["layer"].unique()):
        first, last = (
            rows[(rows["layer"] == layer) & (rows["point"] == "copi-bp")] for rows in (start, end)
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
    return source.part(records, "", "decorrelation")


def compression(source: Source) -> str:
    """Accuracy and parameters with the first or the last k layers replaced by a linear map."""
    records = []
    for k, rows in source.rows("compression").groupby("k"):
        ends = {end: rows[rows["part"] == end] for end in ("first", "last")}
        records.append(
            {"k": "1 (residual correlation)" if k == 1 else k}
            | {f"{end} k, %": spread(part["test_accuracy"], 100) for end, part in ends.items()}
            | {f"{end} k, parameters": part["parameters"].iloc[0] for end, part in ends.items()}
            | {"seeds": rows["seed"].nunique()}
        )
    note = (
        f"Test accuracy; {OVER_SEEDS} k = 1 replaces a layer by its own linear map and shows the "
        "residual correlation of the layer's inputs; the published comparison replaces the last k "
        "layers and begins at k = 2."
    )
    return source.part(records, note, "compression")


BLOCKS: Blocks = {
    block.__name__: block
    for block in (copi, losses, rates, largest, gains, correlation, compression)
}
