"""Parts about faults, counted by the tests."""

from blocks.source import Blocks, Source, markdown


def faults(source: Source) -> str:
    """Faults of each kind: injected, survived, and with loss of data."""
    table = source.file
    rows = [(str(kind), int(i), int(s)) for kind, i, s in table.itertuples(index=False)]
    rows.append(("**all**", int(table["injected"].sum()), int(table["survived"].sum())))
    text = markdown(
        {"fault": kind, "injected": i, "survived": s, "data lost": i - s} for kind, i, s in rows
    )
    return text + "\n\nFrom `docs/data/faults.csv`, made by `make faults`."


BLOCKS: Blocks = {block.__name__: block for block in (faults,)}
