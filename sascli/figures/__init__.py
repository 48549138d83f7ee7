"""Tables -> pictures: one module per figure, in a folder per study."""

from sascli.figures.registry import FIGURES
from sascli.figures.render import plot, possible
from sascli.figures.tables import read_tables, reference_of

__all__ = ["FIGURES", "plot", "possible", "read_tables", "reference_of"]
