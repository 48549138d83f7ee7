"""Parts about speed, measured by benchmarks/."""

from blocks.source import RULES, Blocks, Source, formatted, markdown
from sascli import runs

AXES = {"width": "width", "depth": "depth", "train_size": "T", "replicas": "replicas"}
SCALING = {
    "": "{axis}",
    "value": "{value}",
    "gBP, ms a network and step": "{ms_per_network_gbp:.2f}",
    "BP": "{ms_per_network_bp:.2f}",
    "gBP / BP": "{ratio_gbp:.2f}",
    "gBP, s an epoch": "{epoch_s_gbp:.3f}",
    "gBP, MB a replica": "{mb_per_replica_gbp:.1f}",
    "BP, MB": "{mb_per_replica_bp:.1f}",
}


def step(source: Source) -> str:
    """Time of a step by variant."""
    table = runs.read_table(source.directory / "step.csv")
    torch = table.set_index("variant")["ms"]["BP, torch nn.Linear"]
    columns = {
        "variant": "{variant}",
        "ms a step": "{ms:.2f}",
        "ratio to our BP": "{ratio:.2f}",
        "quartiles": "{ratio_low:.2f} to {ratio_high:.2f}",
        "ratio to plain torch BP": "{plain:.2f}",
    }
    return formatted(table.assign(plain=table["ms"] / torch), columns)


def budget(source: Source) -> str:
    """The time of a step by its parts."""
    table = runs.read_table(source.directory / "budget.csv")
    ratio = table["ratio"].map("{:.2f}".format).where(table["bp"] > 0, "")
    columns = {
        "ms a step": "{kind}",
        "BP": "{bp:.2f}",
        "gBP": "{gbp:.2f}",
        "ratio": "{ratio}",
    }
    return formatted(table.assign(ratio=ratio), columns)


def scaling(source: Source) -> str:
    """Time and memory along each axis, and the exponents."""
    points = runs.read_table(source.directory / "scaling.csv")
    wide = points.pivot(index=["axis", "value"], columns="rule")
    wide.columns = ["_".join(names) for names in wide.columns]
    order = points[["axis", "value"]].drop_duplicates()
    table = order.join(wide, on=["axis", "value"])
    measured = formatted(table.assign(axis=table["axis"].map(AXES)), SCALING)
    fits = runs.read_table(source.directory / "scaling_exponents.csv")
    exponents = markdown(
        {"exponent in": f"{AXES[str(axis)]}, {low} to {high}"}
        | {RULES[rule]: f"{rows.set_index('rule')['exponent'][rule]:.2f}" for rule in RULES}
        for (axis, low, high), rows in fits.groupby(["axis", "from", "to"], sort=False)
    )
    return f"{measured}\n\n{exponents}"


def recurrent(source: Source) -> str:
    """Time of an epoch in sequence, by rule."""
    table = runs.read_table(source.directory / "recurrent.csv")
    columns = {
        "variant": "{variant}",
        "s an epoch": "{seconds:.2f}",
        "ratio to BP": "{ratio:.2f}",
        "times as fast as the reference": "{speed_up:.1f}",
    }
    return formatted(table.assign(seconds=table["ms"] / 1e3), columns)


def copi_step(source: Source) -> str:
    """Time of COPI's updates beside their plain definitions."""
    table = runs.read_table(source.directory / "copi.csv")
    names = {"sas": "sas", "plain": "plain torch, as defined"}
    columns = {
        "what": "{what}",
        "variant": "{variant}",
        "ms": "{ms:.2f}",
        "ratio to sas": "{ratio:.2f}",
        "quartiles": "{ratio_low:.2f} to {ratio_high:.2f}",
    }
    return formatted(table.assign(variant=table["variant"].map(names)), columns)


def converted(source: Source) -> str:
    """Time of a step of a model in plain torch and converted."""
    columns = {
        "model": "{model}",
        "variant": "{variant}",
        "ms a step": "{ms:.1f}",
        "ratio to plain torch": "{ratio:.2f}",
        "quartiles": "{ratio_low:.2f} to {ratio_high:.2f}",
    }
    return formatted(runs.read_table(source.directory / "layers.csv"), columns)


MEASURED = (step, budget, scaling, recurrent, copi_step, converted)
BLOCKS: Blocks = {block.__name__: block for block in MEASURED}
