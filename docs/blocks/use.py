"""Parts about the use of credit: calibration, pruning, tasks in sequence."""

from itertools import product

import pandas as pd

from blocks.source import OVER_SEEDS, RULES, Blocks, Source, spread
from sascli.figures.draw.modes import NAMES
from sascli.figures.use.continual import METHODS
from sascli.figures.use.pruning import WORDS


def ways(source: Source) -> str:
    """Accuracy, calibration and uncertainty of either rule in the three prediction modes."""
    evaluation, areas = source.rows("evaluation"), source.rows("uncertainty")
    records = []
    for (rule, mode), rows in evaluation.groupby(["rule", "way"], sort=False):
        if rule == "gbp" or mode == "mean":  # BP's three modes are the same
            part = areas[(areas["rule"] == rule) & (areas["way"] == mode)]
            records.append(
                {
                    "": f"{RULES[str(rule)]}, {NAMES[str(mode)]}" if rule == "gbp" else "BP",
                    "accuracy %": spread(rows["test_accuracy"], 100),
                    "log loss, nats": spread(rows["log_loss"], 1, 3),
                    "calibration error %": spread(rows["calibration_error"], 100),
                    **{
                        f"AUROC, {kind}": spread(area["auroc"], 1, 3)
                        for kind, area in part.groupby("kind", sort=False)
                    },
                    "seeds": rows["seed"].nunique(),
                }
            )
    note = f"AUROC: of the entropy of the prediction; {OVER_SEEDS}"
    return source.part(records, note, "evaluation", "uncertainty")


def pruning(source: Source) -> str:
    """Accuracy against the fraction that remains, before and after fine-tuning."""
    table = source.rows("pruning", format="csr")
    table = table[table["criterion"].isin([*WORDS])]
    curves = [("gbp", name) for name in WORDS] + [("bp", "magnitude")]
    keys = ["epochs", "level", "rule", "criterion"]
    accuracies = dict(list(table.groupby(keys)["test_accuracy"]))
    none = table["test_accuracy"][:0]
    records = [
        {"fine-tuning": f"epochs: {epochs}" if epochs else "none", "remains %": f"{100 * level:g}"}
        | {
            f"{RULES[rule]}, {WORDS[name]}": spread(
                accuracies.get((epochs, level, rule, name), none), 100, 1
            )
            for rule, name in curves
        }
        for epochs, level in product(table["epochs"].unique(), table["level"].unique())
    ]
    seeds = table["seed"].nunique()
    note = f"Test accuracy, %; ±: standard deviation over {seeds} seeds."
    return source.part(records, note, "pruning")


def sparse(source: Source, criterion: str) -> str:
    """Cost of gBP's networks pruned by a criterion, beside the dense network."""
    table = source.rows("pruning", rule="gbp", epochs=0)
    table = table[table["criterion"].isin(["none", "threshold", criterion])]
    names = {"none": "everything", "threshold": "π < {:g}"}
    keys = ["format", "criterion", "level"]
    ordered = table.sort_values(keys, ascending=[False, True, False])
    records = [
        {
            "what remains": names.get(str(name), "{:.0%}").format(level),
            "stored as": form,
            "connections": f"{rows['n_weights'].mean():.0f}",
            "hidden neurons": f"{rows['n_neurons'].mean():.0f}",
            "kB": f"{rows['bytes'].mean() / 1000:.0f}",
            "ms": spread(rows["seconds"], 1000, 1),
            "images classified differently": f"{rows['n_changed'].mean():.0f}",
            "accuracy %": spread(rows["test_accuracy"], 100),
        }
        for (form, name, level), rows in ordered.groupby(keys, sort=False)
    ]
    images = source.rows("evaluation")["n_images"].iloc[0]
    note = (
        f"By {WORDS[criterion]}; ms: to classify {images} images on one core, the least of three "
        "times; means over seeds, ±: standard deviation."
    )
    return source.part(records, note, "pruning")


def protection(source: Source) -> str:
    """Tasks in sequence: what each method retains, at the rate and strength of its search."""
    table, search = source.rows("continual_summary"), source.rows("continual_search")
    tried = dict(list(search.groupby(["protocol", "method"])))
    records = [
        {
            "tasks": protocol,
            "method": METHODS[str(method)]["label"],
            "lr": f"{rows['lr'].iloc[0]:g}",
            "strength": f"{rows['strength'].iloc[0]:g}",
            "at the end of the grid": ends(tried.get((protocol, method), search[:0]), rows),
            **{
                f"{name} %": spread(rows[name.replace(" ", "_")], 100, 1)
                for name in ("average accuracy", "learning accuracy", "forgetting")
            },
            "seeds": rows["seed"].nunique(),
        }
        for (protocol, method), rows in table.groupby(["protocol", "method"], sort=False)
    ]
    return source.part(records, f"After the last task; {OVER_SEEDS}", "continual_summary")


def ends(tried: pd.DataFrame, best: pd.DataFrame) -> str:
    """Which of the best rate and strength is the smallest or the largest of those tried."""
    return ", ".join(
        name
        for column, name in (("lr", "rate"), ("strength", "strength"))
        if tried[column].nunique() > 1
        and best[column].iloc[0] in (tried[column].min(), tried[column].max())
    )


BLOCKS: Blocks = {block.__name__: block for block in (ways, pruning, sparse, protection)}
