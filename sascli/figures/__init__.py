"""Tables -> pictures: one function per figure, in a folder per study."""

from sascli.figures.render import picture, pictures, plot, possible, read_tables, reference_of

__all__ = ["picture", "pictures", "plot", "possible", "read_tables", "reference_of"]
