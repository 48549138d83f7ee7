"""A picture: a function that draws tables into a figure, with the tables' names and a caption."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from sascli.config import Figures
from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, first_rate

Values = Mapping[str, object]
"""The values of a caption's fields that are not in the reference point."""
Function = Callable[[Figure, Tables, Reference], Values]


@dataclass(frozen=True)
class Picture:
    """The function of a figure and what it needs.

    `optional` tables are used where they exist; `on_images` is False where the directory's data
    set has no part in the figure. With `one_rate` only the first of a run's rates is drawn.
    """

    tables: list[str]
    caption: str
    function: Function
    optional: list[str]
    on_images: bool
    one_rate: bool

    def draw(
        self, tables: Tables, reference: Reference, settings: Figures = style.DEFAULT
    ) -> Figure:
        """Draw the figure at the reference point; its label is the caption, filled in.

        The heights that the function sets are for one column's width: others are in proportion.
        """
        note = ""
        if self.one_rate:
            tables, note = first_rate(tables, [*self.tables, *self.optional])
        with style.styled(settings):
            fig = style.figure(settings.width)
            values = self.function(fig, tables, reference)
            fig.set_figheight(fig.get_figheight() * settings.width / style.WIDTH)
        fig.set_label(self.caption.format(**{**reference, **values}) + note)
        return fig


PICTURES: dict[str, Picture] = {}
"""By name, filled as the modules of the studies are imported."""


def picture(
    tables: str,
    caption: str,
    optional: str = "",
    on_images: bool = True,
    one_rate: bool = False,
) -> Callable[[Function], Function]:
    """Register a function as the picture of its name; names of tables are separated by spaces."""

    def register(function: Function) -> Function:
        PICTURES[function.__name__] = Picture(
            tables.split(), caption, function, optional.split(), on_images, one_rate
        )
        return function

    return register
