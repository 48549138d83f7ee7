"""The report includes every picture, fetches nothing and escapes every text."""

import base64
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tables as maker

from sascli import claims, figures
from sascli.config import Figures
from sascli.errors import UserError
from sascli.studies import base, report
from sascli.studies.registry import STUDIES

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and a check that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the last open tag."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record text."""
        self.text += data


def parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = maker.directory(tmp_path / "a&b", maker.tables(2), model="<script>x</script>")
    (path / "config.json").write_text(json.dumps({"lr": {"m": 0.125}, "name": "<b>"}))
    return path


def written(source: Path) -> tuple[Page, list[Path]]:
    result = claims.evaluate(maker.violate(maker.tables(2), 7), maker.REFERENCE)
    pictures = figures.plot(["fig3c", "fig4b"], source, source)
    path = report.write(source, pictures, result)
    assert path == source / "report.html"
    return parsed(path), pictures


def test_report_includes_every_picture_with_its_caption(source: Path) -> None:
    page, pictures = written(source)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    pngs = [path for path in pictures if path.suffix == ".png"]
    assert [image["alt"] for image in images] == ["fig3c", "fig4b"]
    for image, path in zip(images, pngs, strict=True):
        head, data = str(image["src"]).split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data) == path.read_bytes()
    assert "error bars: standard deviation over 2 seeds" in page.text
    assert f"sas plot figure=fig3c from={source}" in page.text


def test_report_has_pngs_beside_the_formats_of_the_settings(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "credit", replace(STUDIES["credit"], figures=("fig4b",)))
    base.present(source, Figures(format="svg", width=5))
    assert {path.name for path in (source / "pictures").iterdir()} == {"fig4b.svg", "fig4b.png"}
    page = parsed(source / "report.html")
    assert [attributes["alt"] for tag, attributes in page.tags if tag == "img"] == ["fig4b"]


def test_report_fetches_and_runs_nothing(source: Path) -> None:
    page, _ = written(source)
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert "href" not in attributes
        assert str(attributes.get("src", "data:")).startswith("data:")
    text = (source / "report.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_text_is_escaped(source: Path) -> None:
    page, _ = written(source)
    assert "<script>x</script>" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert '"name": "<b>"' in page.text


def test_report_shows_claims_provenance_and_settings(source: Path) -> None:
    page, _ = written(source)
    for expected in (
        "does not hold",
        "The slab variance Xi is L-shaped.",
        "not measured: 1.",
        "sha256:abc",
        "0123abc",
        "torch 2.15.0",
        "2026-11-21T00:00:00+0000",
        "sas reproduce credit model=mnist preset=quick",
        '"m": 0.125',
    ):
        assert expected in page.text


def test_report_needs_a_manifest(tmp_path: Path) -> None:
    result = claims.evaluate({}, maker.REFERENCE)
    with pytest.raises(UserError, match=r"manifest\.json"):
        report.write(tmp_path, [], result)
    assert not (tmp_path / "report.html").exists()
