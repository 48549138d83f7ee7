"""The claims of "Learning credit assignment" (Li and Huang, PRL 2020), with their rules.

Claim 15 needs two data sets: `sascli.claims.evaluate` derives it from the others.
"""

import numpy as np
import pandas as pd

from sascli import runs
from sascli.claims.check import TWICE, Check, MissingError, Register, Tables
from sascli.claims.shapes import (
    arches,
    by_seed,
    excess_at_zero,
    falls,
    fraction,
    inner_excess,
    peak_at_zero,
    rms,
)

LAST_EPOCHS = 5
CLOSE = 1.0  # percentage points: sampled networks to mean field, and their spread
UNTOUCHED = 0.5  # percentage points: UIPs on to unperturbed
END = 0.05  # width of the two ends of [0, 1] in which pi is counted
FAR = 0.1  # fraction of connections whose |m| exceeds its root mean square; 0.32 for a Gaussian
EXTREME = 0.02  # distance of pi from 0 or 1 up to which a connection is certain
FEW = 0.5  # fraction of connections below which fewer are uncertain than certain
LOW = 0.5  # fraction of connections in the lowest tenth of the range of Xi
TRAINED = "Not measured where the networks were trained for fewer steps than published."
FALLS = (
    f"In the deep network it is lower in the last layer than in the first {TWICE}, and from one "
    f"layer to the next it does not rise {TWICE}."
)

CLAIMS = Register()
claim = CLAIMS.enter


@claim(
    1,
    "gBP's test accuracy is equal to or better than BP's.",
    f"The difference of the mean accuracies of the last {LAST_EPOCHS} epochs, paired by seed, is "
    'on average not below minus one SE: "equal" must not hide a deficit that the seeds resolve. '
    f"Judged only at the published T. {TRAINED}",
)
def _accuracy(tables: Tables) -> list[Check]:
    tables.need_published_steps()
    final = {}
    for rule in ("gbp", "bp"):
        history = tables.rows("history", rule=rule, **tables.point)
        history = history.dropna(subset=["test_accuracy"])
        late = runs.last_epochs(history, LAST_EPOCHS)
        final[rule] = late.groupby("seed")["test_accuracy"].mean()
    difference = 100 * (final["gbp"] - final["bp"]).dropna()
    return [Check("gBP - BP accuracy, points", difference, above=0, errors=-1)]


@claim(
    2,
    "The test error falls with the number of training images T.",
    f"The mean-field error is lower at the largest T than at the smallest {TWICE}, and between "
    f"neighbouring T it does not rise {TWICE}.",
)
def _datasize(tables: Tables) -> list[Check]:
    table = tables.rows("datasize", depth=tables.point["depth"])
    return falls(
        100 * by_seed(table, "test_error", "train_size", least=2),
        "fall of the error (points) from T =",
    )


@claim(
    3,
    "Sampled networks predict accurately.",
    f"Their mean error is within {CLOSE:g} percentage point of the mean-field error, and the "
    f"standard deviation over the sampled networks is below {CLOSE:g} point, both {TWICE}.",
)
def _ensemble(tables: Tables) -> list[Check]:
    columns = ["test_error", "sampled_error_mean", "sampled_error_std"]
    table = 100 * tables.rows("datasize", **tables.point).set_index("seed")[columns].dropna()
    distance = (table["sampled_error_mean"] - table["test_error"]).abs()
    return [
        Check("|sampled - mean-field error|, points", distance, below=CLOSE),
        Check("std over networks, points", table["sampled_error_std"], below=CLOSE),
    ]


@claim(
    4,
    "Sparsity grows, then drops, along the layers.",
    "At every measured T and depth the sparsest layer is neither the first nor the last, "
    f"{TWICE}.",
)
def _sparsity(tables: Tables) -> list[Check]:
    return arches(tables.rows("datasize_layers"), "sparsity")


@claim(
    5,
    "The spike mass pi is U-shaped.",
    f"In every layer the density of pi within {END:g} of 0, and within {END:g} of 1, is above "
    f"its mean density in between, {TWICE}. {TRAINED}",
)
def _spike(tables: Tables) -> list[Check]:
    tables.need_published_steps()

    def excess(histogram: pd.DataFrame) -> float:
        ends = [fraction(histogram, 0, END), fraction(histogram, 1 - END, 1)]
        return float(min(ends) / END - fraction(histogram, END, 1 - END) / (1 - 2 * END))

    what = "density at the ends - in between, least of the layers"
    return [Check(what, tables.per_layer("pi", excess), above=0)]


@claim(
    6,
    "The slab mean m is broad with its peak at 0.",
    "In every layer, with windows as wide as the root mean square (rms) of m, the one centred at "
    f"0 holds the most connections {TWICE}, and more than {FAR:.0%} of the connections lie "
    f"farther than one rms from 0, {TWICE}: with fewer, m would be a needle with outliers.",
)
def _slab_mean(tables: Tables) -> list[Check]:
    peak = tables.per_layer("m", lambda h: peak_at_zero(h, rms(h)))
    tails = tables.per_layer("m", lambda h: float(1 - fraction(h, -rms(h), rms(h))))
    return [
        Check("fraction around 0 - next largest, least of the layers", peak, above=0),
        Check("fraction beyond one rms, least of the layers", tails, above=FAR),
    ]


@claim(
    7,
    "The slab variance Xi is L-shaped.",
    f"In every layer the lowest tenth of the range of Xi holds more than {LOW:.0%} of the "
    f"connections, {TWICE}.",
)
def _slab_variance(tables: Tables) -> list[Check]:
    def lowest_tenth(histogram: pd.DataFrame) -> float:
        top = histogram["bin_right"][histogram["count"] > 0].max()
        return float(fraction(histogram, 0, top / 10))

    what = "fraction in the lowest tenth, least of the layers"
    return [Check(what, tables.per_layer("xi", lowest_tenth), above=LOW)]


@claim(
    8,
    "The variance per connection is non-monotonic in T, with a residual.",
    "In every layer the variance at some inner T (the one farthest out on average) is above, or "
    f"below, the values at both ends of the range of T {TWICE}, and is above 0 at the largest T "
    f"{TWICE}.",
)
def _variance(tables: Tables) -> list[Check]:
    table = tables.rows("datasize_layers", depth=tables.point["depth"])
    checks = []
    for layer, rows in table.groupby("layer"):
        values = by_seed(rows, "variance_mean", "train_size", least=3)
        peak, dip = inner_excess(values), inner_excess(-values)
        turn = max(peak, dip, key=lambda excess: excess.mean()) / values.mean().mean()
        checks.append(Check(f"turning point / mean variance, layer {layer}", turn, above=0))
        checks.append(Check(f"variance at the largest T, layer {layer}", values.iloc[:, -1], 0))
    return checks


@claim(
    9,
    "The histogram of the entropy per connection peaks at 0.",
    f"In every layer the bin that contains 0 has the highest density, {TWICE}.",
)
def _entropy_peak(tables: Tables) -> list[Check]:
    peak = tables.per_layer("entropy", excess_at_zero)
    return [Check("density at 0 - next highest (1/nat), least of the layers", peak, above=0)]


@claim(
    10,
    "The entropy per connection grows, then drops, along the layers.",
    "In the deep network and at every measured T the layer of greatest mean entropy is neither "
    f"the first nor the last, {TWICE}.",
)
def _entropy_arch(tables: Tables) -> list[Check]:
    table = tables.rows("datasize_layers", depth=tables.reference["deep"])
    return arches(table, "entropy")


@claim(
    11,
    "More data lower the entropy, not to zero, until it saturates.",
    f"In the deep network the mean over layers of the entropy falls from the smallest to the "
    f"largest T {TWICE}, differs from 0 at the largest T {TWICE}, and falls less per image over "
    f"the last step in T than over the first, {TWICE}.",
)
def _entropy_saturation(tables: Tables) -> list[Check]:
    table = tables.rows("datasize_layers", depth=tables.reference["deep"])
    values = by_seed(table, "entropy", "train_size", least=3)
    sizes = values.columns.to_numpy(float) / 1000
    last = values.iloc[:, -1]
    pace = -np.diff(values.to_numpy(), axis=1) / np.diff(sizes)
    return [
        Check("fall from the smallest to the largest T, nats",
              values.iloc[:, 0] - last, above=0),
        # of the mean's sign: absolute values of noise around 0 would have a mean above it
        Check("|entropy| at the largest T, nats", last * np.sign(last.mean()), above=0),
        Check("first less last pace of the fall, nats per 1000 images",
              pd.Series(pace[:, 0] - pace[:, -1]), above=0),
    ]  # fmt: skip


@claim(
    12,
    "Error: VIPs off > random dilution > UIPs on, which is almost untouched.",
    f"With all of them perturbed (f = 1, layer 1) both inequalities hold {TWICE}, and UIPs on "
    f"changes the error by less than {UNTOUCHED:g} percentage points, {TWICE}.",
)
def _perturbation(tables: Tables) -> list[Check]:
    def error(kind: str) -> pd.DataFrame:
        table = tables.rows("perturbation", kind=kind, layer=1, **tables.point)
        return 100 * by_seed(table, "test_error", "fraction", need=(0.0, 1.0))

    vip, dilution, uip = (error(kind) for kind in ("vip_off", "random_off", "uip_on"))
    return [
        Check("VIPs off - random dilution, points", (vip[1.0] - dilution[1.0]).dropna(), 0),
        Check("random dilution - UIPs on, points", (dilution[1.0] - uip[1.0]).dropna(), 0),
        Check("|UIPs on - untouched|, points", (uip[1.0] - uip[0.0]).abs(), below=UNTOUCHED),
    ]


@claim(
    13,
    "The number of VIP connections falls with depth.",
    f"{FALLS} Claim 17 judges the fraction.",
)
def _vip_number(tables: Tables) -> list[Check]:
    table = tables.rows("layers", **tables.deep)
    table = table.assign(number=table["vip_fraction"] * table["n_out"] * table["n_in"])
    return falls(by_seed(table, "number", "layer", least=2), "fall of the VIPs from layer")


@claim(
    14,
    "The effect of perturbation weakens in deeper layers.",
    "The rise in error with all VIPs of a layer off (f = 1 against 0) is smaller in the deepest "
    f"perturbed layer than in the first {TWICE}, and from one layer to the next it does not grow "
    f"{TWICE}, at the greatest depth where several layers were perturbed.",
)
def _deeper(tables: Tables) -> list[Check]:
    table = tables.rows("perturbation", kind="vip_off", train_size=tables.point["train_size"])
    layers = table.groupby("depth")["layer"].nunique()
    if layers.max() < 2:
        raise MissingError("perturbation.csv has one layer only")
    table = table[table["depth"] == layers.index[layers > 1].max()]
    rise = {}
    for layer, rows in table.groupby("layer"):
        error = by_seed(rows, "test_error", "fraction", need=(0.0, 1.0))
        rise[layer] = 100 * (error[1.0] - error[0.0])
    return falls(pd.DataFrame(rise).dropna(), "fall of the rise in error (points) from layer")


@claim(
    16,
    "Apart from the extremes, relatively few connections can be present or absent.",
    f"In every layer the fraction of the connections whose pi is between {EXTREME:g} and "
    f"{1 - EXTREME:g} is below {FEW:g}, {TWICE}: fewer than at the two extremes together, the "
    f"weakest reading of the statement. {TRAINED}",
)
def _uncertain(tables: Tables) -> list[Check]:
    tables.need_published_steps()
    table = tables.rows("histograms", parameter="pi", **tables.point)
    fractions = table.groupby(["layer", "seed"]).apply(
        lambda histogram: float(fraction(histogram, EXTREME, 1 - EXTREME))
    )
    checks = [
        Check(f"fraction of layer {layer}", values.droplevel("layer"), below=FEW)
        for layer, values in fractions.groupby("layer")
    ]
    return sorted(checks, key=lambda check: check.mean, reverse=True)


@claim(
    17,
    "The fraction of VIP connections falls with depth.",
    FALLS,
)
def _vip_fraction(tables: Tables) -> list[Check]:
    table = tables.rows("datasize_layers", **tables.deep)
    return falls(
        100 * by_seed(table, "vip_fraction", "layer", least=2),
        "fall of the VIP fraction (points) from layer",
    )
