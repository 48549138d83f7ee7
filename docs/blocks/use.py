"""Parts about the use of credit: calibration, pruning, tasks in sequence."""

from itertools import product

import pandas as pd

from blocks.source import RULES, Blocks, Source, markdown, spread
from sascli.figures.draw.ways import NAMES
from sascli.figures.use.continual import METHODS
from sascli.figures.use.pruning import WORDS


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
    table, search = source.rows("continual_summary"), source.rows("continual_search")
    tried = dict(list(search.groupby(["protocol", "method"])))
    records = [
        {
            "tasks": protocol,
            "method": METHODS[str(method)][0],
            "lr": f"{some['lr'].iloc[0]:g}",
            "strength": f"{some['strength'].iloc[0]:g}",
            "at the end of the grid": ends(tried.get((protocol, method), search[:0]), some),
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


def ends(tried: pd.DataFrame, best: pd.DataFrame) -> str:
    """Which of the best rate and strength is the smallest or the largest of those tried."""
    return ", ".join(
        name
        for column, name in (("lr", "rate"), ("strength", "strength"))
        if tried[column].nunique() > 1
        and best[column].iloc[0] in (tried[column].min(), tried[column].max())
    )


BLOCKS: Blocks = {block.__name__: block for block in (ways, pruning, sparse, protection)}
