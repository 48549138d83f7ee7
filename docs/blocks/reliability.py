"""Parts about faults, counted by the tests."""

from blocks.source import Blocks, Source, markdown
from sascli import runs


def faults(source: Source) -> str:
    """How many faults of each kind were injected, survived, and lost something."""
    table = runs.read_table(source.directory.with_suffix(".csv"))
    rows = [(str(kind), int(i), int(s)) for kind, i, s in table.itertuples(index=False)]
    rows.append(("**all**", int(table["injected"].sum()), int(table["survived"].sum())))
    told = markdown(
        {"fault": kind, "injected": i, "survived": s, "data lost": i - s} for kind, i, s in rows
    )
    return told + "\n\nFrom `docs/data/faults.csv`, made by `make faults`."


BLOCKS: Blocks = {block.__name__: block for block in (faults,)}
