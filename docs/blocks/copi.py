"""Parts about constrained parameter inference: accuracy, rates, correlation, compression."""

import pandas as pd

from blocks.source import Blocks, Source, markdown, spread
from sascli import runs
from sascli.figures.copi_accuracy import POINTS


def copi(source: Source) -> str:
    """Test accuracy of every rule of COPI's study after its second and its last epoch."""
    history = source.rows("history")
    last = history["epoch"].max()
    records = []
    for point, (label, *_) in POINTS.items():
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
            {"k": k}
            | {f"{part} k, %": spread(own["test_accuracy"], 100) for part, own in parts.items()}
            | {f"{part} k, parameters": own["parameters"].iloc[0] for part, own in parts.items()}
            | {"seeds": some["seed"].nunique()}
        )
    said = "\n\nTest accuracy; ±: standard deviation over seeds."
    return markdown(records) + said + source.origin("compression")


BLOCKS: Blocks = {block.__name__: block for block in (copi, rates, correlation, compression)}
