"""figures.width, figures.format and figures.font_size: what a journal asks for."""

from itertools import combinations
from pathlib import Path

import pytest
import tables as maker
from PIL import Image
from test_pictures import REFERENCE, tables_for, texts

from sascli import figures
from sascli.cli.composition import configuration
from sascli.config import Figures, Train, config_hash
from sascli.errors import UserError


def test_files_have_the_formats_and_the_width(tmp_path: Path) -> None:
    source = maker.directory(tmp_path / "run", maker.tables(1))
    settings = Figures(width=7, format=["svg", "png", "svg"], font_size=9)
    paths = figures.plot(["fig4b"], source, tmp_path / "a", settings)
    assert [path.name for path in paths] == ["fig4b.svg", "fig4b.png"]
    with Image.open(paths[1]) as image:
        assert image.size == (2100, 1420)  # 7 inches at 300 dpi, the height in proportion
    svg = paths[0].read_text()
    assert svg.count("Fig. 4(b).") == 1 and 'width="504pt"' in svg  # the caption; 7 inches
    again = figures.plot(["fig4b"], source, tmp_path / "b", settings)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    one = figures.plot(["fig4b"], source, tmp_path / "c", Figures(format="pdf"))
    assert [path.name for path in one] == ["fig4b.pdf"]


def test_letters_have_the_size() -> None:
    for size in (6.0, 10.0):
        settings = Figures(font_size=size)
        figure = figures.picture("fig4b").draw(maker.tables(1), REFERENCE, settings)
        assert figure.axes[0].xaxis.label.get_fontsize() == pytest.approx(size)
        assert figure.axes[0].get_lines()[0].get_linewidth() == pytest.approx(1.2 * size / 9.6)


@pytest.mark.parametrize("name", ["overview", "fig4a", "comparison"])
@pytest.mark.parametrize("settings", [Figures(width=7), Figures(width=2.6, font_size=5.5)])
def test_texts_do_not_overlap_at_other_widths(name: str, settings: Figures) -> None:
    figure = figures.picture(name).draw(tables_for(name), REFERENCE, settings)
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for (one, a), (two, b) in combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 0.5, f"{one!r} overlaps {two!r}"
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for _, box in boxes)


def test_legend_has_fewer_columns_where_they_are_too_wide() -> None:
    for width, expected in ((3.4, 3), (2.2, 2)):
        settings = Figures(width=width, font_size=7.7)
        figure = figures.picture("temporal_accuracy").draw(
            tables_for("temporal_accuracy"), REFERENCE, settings
        )
        (legend,) = figure.legends
        assert legend._ncols == expected
        assert legend.get_window_extent().width <= figure.bbox.width


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("figures.width=0.5", "figures.width must lie in"),
        ("figures.width=30", "figures.width must lie in"),
        ("figures.format=gif", "there is no figures.format 'gif'"),
        ("figures.format=[png,tiff]", "there is no figures.format 'tiff'"),
        ("figures.format=[]", "figures.format needs at least one value"),
        ("figures.font_size=1", "figures.font_size must lie in"),
    ],
)
def test_invalid_settings_are_refused(setting: str, message: str) -> None:
    for command in ("train", "plot", "perturb", "compare"):
        with pytest.raises(UserError, match=message):
            configuration(command, [setting])


def test_settings_of_pictures_decide_no_numbers() -> None:
    rule = {"name": "gbp"}
    assert config_hash(Train(rule=rule, figures=Figures(width=7))) == config_hash(Train(rule=rule))
