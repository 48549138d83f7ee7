"""Parts about the recurrent network: accuracy, choices, selectivity, kernel."""

import numpy as np

from blocks.source import OVER_SEEDS, Blocks, Source, markdown, spread
from sascli import runs
from sascli.figures.draw.histograms import RECURRENT
from sascli.figures.draw.modes import NAMES
from sascli.figures.temporal.neurons import KINDS, of_network
from sascli.figures.temporal.training import field, of_criterion


def temporal(source: Source) -> str:
    """Accuracy of recurrent models after the last epoch, a row per run of `sas train`."""
    records = []
    for setting, rows in source.file.groupby("setting", sort=False):
        last = runs.last_epochs(rows)
        epochs = sorted({int(last["epoch"].min()), int(last["epoch"].max())})
        records.append(
            {
                "command": f"`{setting}`",
                "epochs": " to ".join(map(str, epochs)),
                "mean field %": spread(last["test_accuracy"], 100),
                "mean network %": spread(last["test_accuracy_mean"], 100),
                "sampled once %": spread(last["once_mean"], 100),
                "sampled at every step %": spread(last["step_mean"], 100),
                "seeds": len(last),
            }
        )
    note = f"After the last epoch; sampled: the mean over ten networks of each seed; {OVER_SEEDS}"
    return f"{markdown(records)}\n\n{note}\n\nFrom `docs/data/temporal.csv`."


def temporal_epochs(source: Source, reference: str, epochs: str) -> str:
    """Test accuracy of gBP on images in sequence by epoch, beside a reference's."""
    digits = str(source.manifest["reference"]["digits"])
    table = source.rows("history", model=digits, rule="gbp")
    by_epoch = table.groupby("epoch")["test_accuracy"]
    path = source.docs / "data" / f"{reference}.csv"
    published = (100 * runs.read_table(path).set_index("epoch")["test_accuracy"]).to_dict()
    records = [
        {
            "epoch": epoch,
            "gBP %": spread(by_epoch.get_group(epoch), 100),
            "reference %": f"{published[epoch]:.1f}" if epoch in published else "",
        }
        for epoch in map(int, epochs.split(","))
        if epoch in by_epoch.groups
    ]
    return source.part(records, OVER_SEEDS, "history")


def removed(source: Source) -> str:
    """Test error of both recurrent models with nothing and all VIP-like connections removed."""
    records = []
    for criterion, part in of_criterion(source.rows("perturbation")).items():
        for (model, kind), rows in part.groupby(["model", "kind"], sort=False):
            columns = [name for name in ("test_error", "n_weights", "m_abs") if name in rows]
            means = rows.groupby(["fraction", "seed"])[columns].mean()
            before, after = means.loc[0.0], means.loc[1.0]
            size = {"mean \\|m\\|": spread(after["m_abs"])} if "m_abs" in after else {}
            records.append(
                {"thresholds": criterion, "model": model, "kind": f"`{kind}`"}
                | {"connections": spread(after["n_weights"], 1, 0)}
                | size
                | {
                    "error at f = 0, %": spread(before["test_error"], 100),
                    "error at f = 1, %": spread(after["test_error"], 100),
                    "change": spread(after["test_error"] - before["test_error"], 100),
                    "seeds": len(after),
                }
            )
    note = "Test error, of sampled networks by our thresholds, of the mean field by the published "
    return source.part(records, f"{note}ones; {OVER_SEEDS}", "perturbation")


def redrawn(source: Source) -> str:
    """Accuracy with weights sampled once, and at every time step, beside the mean field."""
    records, tables = [], {"history": source.rows("history")}
    for model, rows in source.rows("redraw").groupby("model", sort=False):
        mean = 100 * rows.pivot_table(values="test_accuracy", index="seed", columns="redraw")
        level = field(tables, rows, str(model))
        records.append(
            {
                "model": model,
                "mean field %": spread(level),
                "sampled once %": spread(mean["once"]),
                "at every step %": spread(mean["step"]),
                "lost by sampling once, points": spread(level - mean["once"]),
                "by sampling at every step": spread(level - mean["step"]),
                "seeds": len(mean),
            }
        )
    note = "Test accuracy after the last epoch, of the task at the time step of its tests; "
    return source.part(records, note + OVER_SEEDS, "redraw", "history")


def choices(source: Source) -> str:
    """Thresholds and slopes of the psychometric curves, and whether they rise."""
    curves, records = source.rows("psychometric"), []
    for (mode, modality), fits in source.rows("sigmoids").groupby(["way", "modality"], sort=False):
        part = curves[(curves["way"] == mode) & (curves["modality"] == modality)]
        by_seed = part.pivot_table(values="high", index="seed", columns="frequency")
        step = 100 * by_seed.diff(axis=1).iloc[:, 1:]
        error = step.std() / np.sqrt(len(step))
        fall = 100 * (by_seed.cummax(axis=1) - by_seed).max(axis=1)
        mean = fits.groupby("seed")[["threshold", "slope", "correct"]].mean()
        records.append(
            {
                "network": NAMES[str(mode)],
                "modality": modality,
                "threshold, 1/s": spread(mean["threshold"]),
                "slope, s": spread(mean["slope"]),
                "right %": spread(mean["correct"], 100, 1),
                "steps that fall beyond 2 SE": f"{(step.mean() < -2 * error).sum()} of "
                f"{len(step.columns)}",
                "greatest fall, points": spread(fall, 1, 1),
                "seeds": len(mean),
            }
        )
    trials = curves["trials"].iloc[0]
    note = (
        f"{trials} trials of every frequency; steps: between neighbouring frequencies, mean over "
        "seeds, SE: standard error over seeds; greatest fall: from a frequency to any higher one; "
    )
    return source.part(records, note + OVER_SEEDS, "sigmoids", "psychometric")


def selective(source: Source) -> str:
    """Fractions of the neurons by kind: trained, with permuted labels, untrained."""
    rows = source.rows("selectivity")
    table, untrained = (of_network(rows, name) for name in ("trained", "untrained"))
    records = []
    for kind in KINDS:
        after, before = (
            part.assign(selective=1.0 * (part["kind"] == kind)).groupby("seed")["selective"].mean()
            for part in (table, untrained)
        )
        chance = table.groupby("seed")[f"control_{kind}"].mean()
        by_input = table[table["kind"] == kind].groupby("gets").size() / table["seed"].nunique()
        inputs = ", ".join(f"{gets} {count:.0f}" for gets, count in by_input.items())
        records.append(
            {
                "selective for": kind,
                "neurons %": spread(after, 100, 1),
                "with permuted labels %": spread(chance, 100, 1),
                "untrained %": spread(before, 100, 1) if len(before) else "",
                "neurons by input": inputs,
                "seeds": len(after),
            }
        )
    note = (
        "Permuted: both labels; for mixed, the fraction with permuted choices plus that with "
        "permuted modalities. Untrained networks are labelled by the right choice. "
    )
    return source.part(records, note + OVER_SEEDS, "selectivity")


def entropy_training(source: Source) -> str:
    """Entropy per connection before training and after the last epoch, by layer."""
    records = []
    table = source.rows("entropy_epochs")
    keys = ["model", "layer", "estimator"]
    for (model, layer, estimator), rows in table.groupby(keys, sort=False):
        start = rows[rows["epoch"] == 0].set_index("seed")["mean"]
        end = runs.last_epochs(rows).set_index("seed")["mean"]
        records.append(
            {
                "model": model,
                "layer": RECURRENT[int(str(layer))],
                "estimator": estimator,
                "before training": spread(start, 1, 3),
                "after": spread(end, 1, 3),
                "change": spread(end - start, 1, 3),
                "seeds": len(end),
            }
        )
    note = f"Mean entropy per connection in nats; {OVER_SEEDS}"
    return source.part(records, note, "entropy_epochs")


def convergence(source: Source) -> str:
    """Convergence of the tangent kernel of random networks to that of infinite width."""
    table, records = source.rows("kernel_decay"), []
    for alpha, rows in table.groupby("alpha"):
        deviation = {
            f"deviation % at width {width}": spread(part["deviation"], 100, 1)
            for width, part in rows.groupby("width")
        }
        exponent = rows.groupby("seed")["exponent"].first()
        records.append(
            {"alpha": f"{alpha:g}"}
            | deviation
            | {"exponent": spread(exponent), "networks": len(exponent)}
        )
    note = (
        "±: standard deviation over random networks; the standard error of the mean exponent is "
        "1/√n of that."
    )
    return source.part(records, note, "kernel_decay")


BLOCKS: Blocks = {
    block.__name__: block
    for block in (
        temporal, temporal_epochs, removed, redrawn, choices, selective, entropy_training,
        convergence,
    )
}  # fmt: skip
