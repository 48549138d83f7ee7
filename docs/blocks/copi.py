"""Parts about constrained parameter inference: accuracy, loss, rates, gains, compression."""

import numpy as np
import pandas as pd

from blocks.source import Blocks, Source, markdown, spread
from sascli import runs
from sascli.claims.check import number
from sascli.claims.copi import LEARNS, largest_rates
from sascli.figures.copi.training import POINTS, SQUARED
from sascli.figures.draw.rows import plural
from sascli.figures.render import has

GAINS = {"copi": "COPI-BP", "bp_decor": "BP, Adam"}
"""The rules whose gains and rates are compared."""


def copi(source: Source) -> str:
    """Test accuracy of every rule of COPI's study after its second and its last epoch."""
    history = source.rows("history")
    last = history["epoch"].max()
    records = []
    for point, (label, *_) in POINTS.items():
        if point not in source.manifest["rates"]:
            continue
        own = history[history["point"] == point]
        chosen = {2: own[own["epoch"] == 2], last: runs.last_epochs(own)}
        at = {epoch: some["test_accuracy"] for epoch, some in chosen.items()}
        records.append(
            {
                "rule": label,
                "lr": f"{source.manifest['rates'][point]:g}",
                **{
                    f"epoch {epoch}, %": spread(found, 100) if len(found) else "diverged"
                    for epoch, found in at.items()
                },
                "seeds": seeds(source, point, own),
            }
        )
    linear = 100 * source.rows("linear")["test_accuracy"].iloc[0]
    said = f"\n\nLogistic regression (scikit-learn) on the same images: {linear:.2f} %. "
    said += "±: standard deviation over seeds."
    return markdown(records) + said + source.origin("history", "linear")


def seeds(source: Source, point: str, own: pd.DataFrame) -> str:
    """How many seeds of a run did not diverge, of how many where some did."""
    left, every = own["seed"].nunique(), 0
    if has(source.directory, "arms"):
        arms = source.rows("arms")
        every = int((arms["point"] == point).sum())
    return f"{left} of {every}" if left < every else f"{left}"


def losses(source: Source) -> str:
    """Training loss of every rule that minimises the squared error, over the epochs."""
    history = source.rows("history")
    last = int(history["epoch"].max())
    epochs = sorted({epoch for epoch in (2, 5, 10, 20, last) if epoch <= last})
    records = []
    for point, (label, *_) in POINTS.items():
        own = history[history["point"] == point]
        if len(own) and point not in OTHERS:
            at = {epoch: own.loc[own["epoch"] == epoch, "train_loss"] for epoch in epochs}
            losses = {f"epoch {epoch}": significant(loss) for epoch, loss in at.items()}
            records.append({"rule": label} | losses | {"seeds": seeds(source, point, own)})
    said = "\n\nMean of |y - t|² / 2 over the epoch's images; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("history")


def significant(values: "pd.Series[float]") -> str:
    """Mean and standard deviation over seeds to two significant digits."""
    return number(values.mean(), values.std())


def gains(source: Source) -> str:
    """COPI-BP at several gains beside BP with Adam at several rates."""
    if not has(source.directory, "gains"):
        return f"*Not measured: `docs/data/{source.name}` has no `gains.csv`.*"
    table, arms = source.rows("gains"), source.rows("arms")
    last = table["epoch"].max()
    records = []
    for rule, label in GAINS.items():
        lost = arms[arms["diverged"].notna() & arms["point"].str.contains("-gain|-lr")]
        both = pd.concat([table, lost])
        for (gain, lr), networks in both[both["rule"] == rule].groupby(["gain", "lr"]):
            own = networks[networks["epoch"].notna()]
            at = {epoch: own.loc[own["epoch"] == epoch] for epoch in (2, last)}
            cells = {
                f"epoch {epoch}, %": spread(found["test_accuracy"], 100)
                if len(found) else "diverged" for epoch, found in at.items()
            }  # fmt: skip
            loss = significant(at[last]["train_loss"]) if len(own) else ""
            left, every = own["seed"].nunique(), networks["seed"].nunique()
            records.append(
                {"rule": label, "gain": f"{gain:g}", "lr": f"{lr:g}"}
                | cells
                | {f"training loss, epoch {last}": loss}
                | {"seeds": f"{left} of {every}" if left < every else f"{left}"}
            )
    said = "\n\nTest accuracy; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("gains")


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
    numbers = table.groupby("point", sort=False)["seed"].nunique()
    said = f"\n\n%; ±: standard deviation over {plural(int(numbers.max()))}"
    fewer = [f"{POINTS[str(p)][0]} {n}" for p, n in numbers.items() if n < numbers.max()]
    said += f"; fewer: {', '.join(fewer)}." if fewer else "."
    return markdown(records) + said + source.origin("rates")


def largest(source: Source) -> str:
    """The largest rate of the grid at which each rule learns, as claim 2 takes it."""
    table, records = source.rows("rates"), []
    for point in (point for point in POINTS if point in set(table["point"])):
        tried, found = table[table["point"] == point], largest_rates(table, point)
        bound = "≥ " if len(found) and (found == tried["lr"].max()).any() else ""
        low, high = (f"{end:g}" if len(found) else "" for end in (found.min(), found.max()))
        records.append(
            {
                "rule": POINTS[point][0],
                "largest rate": bound + (low if low == high else f"{low} to {high}"),
                "mean of log10": significant(np.log10(found)) if len(found) else "",
                "rates tried": f"{tried['lr'].min():g} to {tried['lr'].max():g}",
                "seeds": f"{len(found)} of {tried['seed'].nunique()}",
            }
        )
    said = f"\n\nThe largest rate of W at which a network learns: at least {LEARNS:.0%} of the "
    said += "accuracy on held-out images that its rule reaches at its best rate. ≥: the end of "
    said += "the grid; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("rates")


def correlation(source: Source) -> str:
    """Correlation of every layer's inputs before and after training, before R and after it."""
    table = source.rows("decorrelation")
    start, end = table[table["epoch"] == 0], runs.last_epochs(table)
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
            {"k": "1 (residual correlation)" if k == 1 else k}
            | {f"{part} k, %": spread(own["test_accuracy"], 100) for part, own in parts.items()}
            | {f"{part} k, parameters": own["parameters"].iloc[0] for part, own in parts.items()}
            | {"seeds": some["seed"].nunique()}
        )
    said = "\n\nTest accuracy; ±: standard deviation over seeds. k = 1 replaces a layer by its "
    said += "own linear map and shows the residual correlation of the layer's inputs; the "
    said += "published comparison replaces the last k layers and begins at k = 2."
    return markdown(records) + said + source.origin("compression")


BLOCKS: Blocks = {
    block.__name__: block
    for block in (copi, losses, rates, largest, gains, correlation, compression)
}
