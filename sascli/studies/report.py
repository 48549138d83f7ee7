"""Pictures and claims -> one self-contained HTML page."""

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from PIL import Image

from sascli import claims as judged
from sascli import runs
from sascli.studies.registry import study_of

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 1rem/1.45 system-ui, sans-serif; color: #111; max-width: 68rem; margin: auto;
  padding: 0 1rem 2rem; }
h1, h2 { line-height: 1.2; }
code, pre { font-size: 0.85em; overflow-wrap: anywhere; white-space: pre-wrap; }
.pictures { display: grid; gap: 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; break-inside: avoid; }
img { width: 100%; max-width: 30rem; height: auto; }
figcaption, .note { font-size: 0.9rem; color: #333; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.6rem 0.4rem 0;
  border-bottom: 1px solid #ccc; overflow-wrap: anywhere; }
tr { break-inside: avoid; }
th { white-space: nowrap; overflow-wrap: normal; }
.verdict { font-weight: bold; white-space: nowrap; }
.holds { color: #00573f; } .does-not-hold { color: #9c1c2e; } .not-measured { color: #555; }
.claims { table-layout: fixed; }
.claims th:nth-child(1) { width: 1.5rem; } .claims th:nth-child(2) { width: 22%; }
.claims th:nth-child(3) { width: 7rem; } .claims th:nth-child(5) { width: 32%; }
@media screen and (max-width: 45rem) {
  .claims thead { display: none; }
  .claims tr, .claims td { display: block; border: 0; padding: 0.1rem 0; }
  .claims tr { border-bottom: 1px solid #ccc; padding: 0.6rem 0; }
  .claims td[data-label]::before { content: attr(data-label) ": "; color: #555; }
}
@media print {
  html { font-size: 9pt; }
  body { max-width: none; }
  .pictures { grid-template-columns: 1fr 1fr; }
}
</style>
</head>
<body>
<h1>$title</h1>
<p>A reproduction of $source.</p>
<p>Everything on this page was made by <code>$command</code>, the tables it was drawn from lie in
<code>$directory</code>.</p>
<h2>Figures</h2>
<div class="pictures">
$pictures
</div>
<h2>Claims</h2>
<p>$summary $note</p>
<table class="claims">
<thead><tr><th></th><th>Claim</th><th>Verdict</th><th>Measured</th><th>Rule</th></tr></thead>
<tbody>
$claims
</tbody>
</table>
<h2>Provenance</h2>
<table>
<tbody>
$provenance
</tbody>
</table>
<h2>Settings</h2>
<pre>$settings</pre>
</body>
</html>
""")
FIGURE = Template("""<figure>
<img src="data:image/png;base64,$data" alt="$name">
<figcaption>$caption</figcaption>
<p class="note"><code>sas plot figure=$name from=$directory</code></p>
</figure>""")


def write(directory: Path, pictures: Iterable[Path], claims: pd.DataFrame) -> Path:
    """Write directory/report.html and return its path.

    Args:
        directory: A directory of `sas reproduce`: its manifest and configuration are shown.
        pictures: Its pictures in order; the PNGs among them go in, with the captions they carry.
        claims: The table of `claims.evaluate`.

    Raises:
        UserError: The manifest is missing or damaged, or the page cannot be written.
    """
    manifest = runs.manifest_of(directory)
    config, study = directory / runs.CONFIG, study_of(manifest)
    page = PAGE.substitute(
        title=escape(f"{study.title}: {manifest['model']}, {manifest['preset']}"),
        source=study.source,
        command=escape(manifest["command"]),
        directory=escape(str(directory)),
        pictures="\n".join(_figure(path, directory) for path in pictures if path.suffix == ".png"),
        summary=escape(judged.summary(claims)),
        note=escape(judged.NOTE),
        claims="\n".join(_claim(row) for row in claims.itertuples()),
        provenance="\n".join(
            f"<tr><th>{escape(key)}</th><td>{_value(value)}</td></tr>"
            for key, value in manifest.items()
        ),
        settings=escape(json.dumps(runs.read_json(config), indent=1)) if config.exists() else "",
    )
    with runs.replacing(directory / "report.html", "w") as file:
        file.write(page)
    return directory / "report.html"


def _figure(path: Path, directory: Path) -> str:
    """One picture with its caption, the PNG's Description, and the command that redraws it."""
    with Image.open(path) as image:
        caption = str(image.info.get("Description", ""))
    return FIGURE.substitute(
        data=base64.b64encode(path.read_bytes()).decode(),
        name=escape(path.stem),
        caption=escape(caption),
        directory=escape(str(directory)),
    )


def _claim(row: Any) -> str:
    """One row of the claims table, with every check in full."""
    kind = row.verdict.replace(" ", "-")
    measured = "<br>".join(map(escape, row.detail.split("; ")))
    if row.n_seeds:
        measured += f'<br><span class="note">{judged.seeds(row.n_seeds)}</span>'
    return (
        f"<tr><td>{row.claim}</td><td>{escape(row.statement)}</td>"
        f'<td class="verdict {kind}">{escape(row.verdict)}</td>'
        f'<td data-label="Measured">{measured}</td>'
        f'<td data-label="Rule">{escape(row.rule)}</td></tr>'
    )


def _value(value: Any) -> str:
    """An entry of the manifest, nested ones as a list of key and value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {_value(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return escape(str(value))
