"""A picture: a function that draws tables into a figure, with the tables' names and a caption."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from sascli.config import Figures
from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables

Values = Mapping[str, object]
"""The values of a caption's fields that are not in the reference point."""
Function = Callable[[Figure, Tables, Reference], Values]


@dataclass(frozen=True)
class Picture:
    """The function of a figure and what it needs.

    `optional` tables are used where they exist; `on_images` is False where the directory's data
    set has no part in the figure.
    """

    tables: list[str]
    caption: str
    function: Function
    optional: list[str]
    on_images: bool

    def draw(
        self, tables: Tables, reference: Reference, settings: Figures = style.DEFAULT
    ) -> Figure:
        """Draw the figure at the reference point; its label is the caption, filled in.

        The heights that the function sets are for one column's width: others are in proportion.
        """
        with style.styled(settings):
            fig = style.figure(settings.width)
            values = self.function(fig, tables, reference)
            fig.set_figheight(fig.get_figheight() * settings.width / style.WIDTH)
        fig.set_label(self.caption.format(**{**reference, **values}))
        return fig


PICTURES: dict[str, Picture] = {}
"""By name, filled as the modules of the studies are imported."""


def picture(
    tables: str, caption: str, optional: str = "", on_images: bool = True
) -> Callable[[Function], Function]:
    """Register a function as the picture of its name; names of tables are separated by spaces."""

    def register(function: Function) -> Function:
        PICTURES[function.__name__] = Picture(
            tables.split(), caption, function, optional.split(), on_images
        )
        return function

    return register
