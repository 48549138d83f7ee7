"""The generated parts of the documents, each a function of the tables in docs/data."""

from blocks import atlas, copi, credit, reliability, replication, speed, study, temporal, use
from blocks.source import Blocks, Source

__all__ = ["BLOCKS", "Source"]

BLOCKS: Blocks = {
    name: block
    for module in (study, credit, replication, atlas, use, copi, temporal, speed, reliability)
    for name, block in module.BLOCKS.items()
}
