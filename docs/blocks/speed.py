"""Parts about speed, measured by benchmarks/."""

from blocks.source import RULES, Blocks, Source, markdown
from sascli import runs


def step(source: Source) -> str:
    """Time of a step by variant."""
    table = runs.read_table(source.directory / "step.csv")
    table = table.assign(
        plain=table["ms"] / table.set_index("variant")["ms"]["BP, torch nn.Linear"]
    )
    return markdown(
        {
            "variant": row.variant,
            "ms a step": f"{row.ms:.2f}",
            "ratio to our BP": f"{row.ratio:.2f}",
            "quartiles": f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
            "ratio to plain torch BP": f"{row.plain:.2f}",
        }
        for row in table.itertuples()
    )


def budget(source: Source) -> str:
    """Where a step's time goes."""
    table = runs.read_table(source.directory / "budget.csv")
    return markdown(
        {
            "ms a step": row.kind,
            "BP": f"{row.bp:.2f}",
            "gBP": f"{row.gbp:.2f}",
            "ratio": f"{row.ratio:.2f}" if row.bp else "",
        }
        for row in table.itertuples()
    )


def scaling(source: Source) -> str:
    """Time and memory along each axis, and the exponents."""
    points = runs.read_table(source.directory / "scaling.csv")
    names = {"width": "width", "depth": "depth", "train_size": "T", "replicas": "replicas"}
    wide = points.pivot(index=["axis", "value"], columns="rule")
    measured = markdown(
        {
            "": names[str(axis)],
            "value": value,
            "gBP, ms a network and step": f"{wide['ms_per_network', 'gbp'][axis, value]:.2f}",
            "BP": f"{wide['ms_per_network', 'bp'][axis, value]:.2f}",
            "gBP / BP": f"{wide['ratio', 'gbp'][axis, value]:.2f}",
            "gBP, s an epoch": f"{wide['epoch_s', 'gbp'][axis, value]:.3f}",
            "gBP, MB a replica": f"{wide['mb_per_replica', 'gbp'][axis, value]:.1f}",
            "BP, MB": f"{wide['mb_per_replica', 'bp'][axis, value]:.1f}",
        }
        for axis, value in points[["axis", "value"]].drop_duplicates().itertuples(index=False)
    )
    fits = runs.read_table(source.directory / "scaling_exponents.csv")
    exponents = markdown(
        {
            "exponent in": f"{names[str(axis)]}, {low} to {high}",
            **{RULES[rule]: f"{rows.set_index('rule')['exponent'][rule]:.2f}" for rule in RULES},
        }
        for (axis, low, high), rows in fits.groupby(["axis", "from", "to"], sort=False)
    )
    return f"{measured}\n\n{exponents}"


def recurrent(source: Source) -> str:
    """Time of an epoch in sequence, by rule."""
    table = runs.read_table(source.directory / "recurrent.csv").set_index("variant")
    return markdown(
        {
            "variant": variant,
            "s an epoch": f"{table['ms'][variant] / 1e3:.2f}",
            "ratio to BP": f"{table['ratio'][variant]:.2f}",
            "times as fast as the reference": f"{table['speed_up'][variant]:.1f}",
        }
        for variant in table.index
    )


def copi_step(source: Source) -> str:
    """Time of COPI's updates beside their plain definitions."""
    table = runs.read_table(source.directory / "copi.csv")
    names = {"sas": "sas", "plain": "plain torch, as defined"}
    return markdown(
        {
            "what": row.what,
            "variant": names[str(row.variant)],
            "ms": f"{row.ms:.2f}",
            "ratio to sas": f"{row.ratio:.2f}",
            "quartiles": f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
        }
        for row in table.itertuples()
    )


BLOCKS: Blocks = {block.__name__: block for block in (step, budget, scaling, recurrent, copi_step)}
