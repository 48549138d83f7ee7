"""Parts about speed, measured by benchmarks/."""

import pandas as pd

from blocks.source import RULES, Blocks, Source, formatted, markdown
from sascli import runs

EPOCH, MEMORY, LARGEST = "s an epoch", "bytes a replica", "largest population"
"""What benchmarks.gpu measures."""
NAMES = RULES | {"copi": "COPI"}
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


def products(source: Source) -> str:
    """Time of a product by oneDNN relative to BLAS, by processor."""
    table = runs.read_table(source.directory / "products.csv")
    processors = table["machine"].str.split(",").str[0]
    ratios = table[table["variant"] == "oneDNN"].assign(processor=processors)
    wide = ratios.pivot(index="product", columns="processor", values="ratio")
    names = {"AMD EPYC": "AMD", "Intel(R) Xeon(R) Processor": "Intel"}
    rows = wide.loc[ratios["product"].unique()].rename(columns=names).reset_index()
    columns = {"oneDNN / MKL": "{product}"} | {name: f"{{{name}:.2f}}" for name in names.values()}
    return formatted(rows, columns)


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


def gpu(source: Source) -> str:
    """The section about GPUs: what each of the tables gpu-<name>.csv has; empty without any."""
    tables = [runs.read_table(path) for path in sorted(source.directory.glob("gpu-*.csv"))]
    return "\n\n".join(["## On a GPU", *map(one_gpu, tables)]) if tables else ""


def one_gpu(table: pd.DataFrame) -> str:
    """Times and memory on one GPU, how many checks agree, the largest population."""
    name, version = table.loc[0, ["gpu", "torch"]]
    keys = ["model", "rule", "replicas", "precision", "capture"]
    values = table[table["what"].isin([EPOCH, MEMORY])]
    order = pd.MultiIndex.from_frame(values[keys].drop_duplicates())
    wide = values.pivot(index=keys, columns="what", values="value").loc[order].reset_index()
    rows = wide.assign(
        rule=wide["rule"].map(NAMES),
        capture=wide["capture"].map({"always": "yes", "never": "no"}),
        epoch=wide[EPOCH],
        per_network=1e3 * wide[EPOCH] / wide["replicas"],
        memory=wide[MEMORY] / 1e6,
    )
    columns = {
        "network": "{model}",
        "rule": "{rule}",
        "replicas": "{replicas}",
        "products": "{precision}",
        "captured": "{capture}",
        "s an epoch": "{epoch:.3f}",
        "ms a network and epoch": "{per_network:.2f}",
        "MB a replica": "{memory:.1f}",
    }
    checks = table["agrees"].dropna()
    text = f"{name}, torch {version}. {checks.sum()} of {len(checks)} checks agree: the "
    text += "CPU with the GPU, captured with eager steps."
    for count in table.loc[table["what"] == LARGEST, "value"]:
        text += f" The largest population of the published setting that fits: {count:.0f}."
    note = "`make gpu-check`; an epoch includes the test after it."
    return "\n\n".join([text, formatted(rows, columns), note])


def startup(source: Source) -> str:
    """CPU time of a first epoch beside the import of torch."""
    columns = {
        "process": "`{variant}`",
        "CPU time, s": "{cpu_s:.1f}",
        "ratio": "{cpu_ratio:.2f}",
    }
    return formatted(runs.read_table(source.directory / "startup.csv"), columns)


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


MEASURED = (step, budget, products, scaling, recurrent, copi_step, startup, gpu, converted)
BLOCKS: Blocks = {block.__name__: block for block in MEASURED}
