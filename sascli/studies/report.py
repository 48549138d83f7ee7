"""Pictures and claims -> one self-contained HTML page."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from jinja2 import StrictUndefined, Template
from PIL import Image

from sascli import claims as judged
from sascli import runs
from sascli.studies.directories import name_of
from sascli.studies.registry import STUDIES

TEMPLATE = Path(__file__).with_name("report.html.j2")


def write(directory: Path, pictures: Iterable[Path], claims: pd.DataFrame) -> Path:
    """Write report.html into a directory of `sas reproduce` and return its path.

    It shows manifest and settings, the PNGs among the pictures with the captions they carry, and
    the table of `claims.evaluate`. Raises UserError for a missing or damaged manifest, and where
    the page cannot be written.
    """
    manifest, config = runs.manifest_of(directory), directory / runs.CONFIG
    study = STUDIES[name_of(manifest)]
    text = TEMPLATE.read_text("utf-8")
    page = Template(text, autoescape=True, undefined=StrictUndefined, trim_blocks=True).render(
        title=f"{study.title}: {manifest['model']}, {manifest['preset']}",
        source=study.source,
        directory=directory,
        manifest=manifest,
        pictures=[picture(path) for path in pictures if path.suffix == ".png"],
        summary=judged.summary(claims),
        note=judged.NOTE,
        claims=list(claims.itertuples()),
        seeds=judged.seeds,
        settings=json.dumps(runs.read_json(config), indent=1) if config.exists() else "",
    )
    with runs.replacing(directory / "report.html", "w") as file:
        file.write(page)
    return directory / "report.html"


def picture(path: Path) -> dict[str, str]:
    """A PNG's name, its content in base64, and its caption, which is its Description."""
    with Image.open(path) as image:
        caption = str(image.info.get("Description", ""))
    data = base64.b64encode(path.read_bytes()).decode()
    return {"name": path.stem, "data": data, "caption": caption}
