"""Keeps numbers and pictures in the documents true: python docs/build.py [collect|build|check].

collect DIR NAME   copy the tables of a study's directory into docs/data/NAME, without the rows
                   that neither figures nor claims nor documents read
build              make docs/figures and the generated parts of the documents from docs/data
check              do the same in a temporary directory and fail on a difference

A generated part is between <!-- BEGIN BLOCK NAME ... --> and <!-- END -->; BLOCK is a function
in docs/blocks/, NAME a folder of docs/data; of NAME,NAME the first that exists.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import blocks
import numpy as np
import pandas as pd
from PIL import Image

from sascli import figures, runs
from sascli.claims.credit import LAST_EPOCHS
from sascli.config import Figures
from sascli.errors import UserError
from sascli.figures.temporal.neurons import examples
from sascli.studies.directories import figures_of

PART = re.compile(r"(<!-- BEGIN ([^>]+?) -->\n).*?(<!-- END -->)", re.DOTALL)
TABLES = {
    "credit": "history ensemble histograms layers datasize datasize_layers perturbation search",
    "use": "search evaluation confusion reliability uncertainty pruning continual "
    "continual_search continual_summary",
    "temporal": "history histograms perturbation redraw entropy_epochs psychometric sigmoids "
    "selectivity responses trajectories synapses components kernel kernel_decay lazy "
    "order_parameters",
    "atlas": "atlas atlas_layers atlas_search datasize_layers",
    "convolution": "history histograms layers perturbation search pruning filters datasize "
    "datasize_layers",
    "copi": "history arms rates gains decorrelation decorrelated features compression linear",
}
"""The tables of a study that the documents show."""
POINT = "depth == @depth and train_size == @train_size"
LATE = f"depth == @depth and epoch > epoch.max() - {LAST_EPOCHS}"
ROWS = {
    ("credit", "history"): f"({POINT}) or ({LATE})",
    ("credit", "ensemble"): POINT,
    ("credit", "histograms"): f"rule == 'gbp' and {POINT}",
    ("credit", "layers"): "rule == 'gbp' and train_size == @train_size",
    ("credit", "datasize_layers"): "rule == 'gbp'",
    (
        "credit",
        "perturbation",
    ): f"rule == 'gbp' and {POINT} and (layer == 1 or fraction in [0, 1])",
    ("atlas", "datasize_layers"): "rule == 'gbp'",
    ("convolution", "histograms"): "rule == 'gbp'",
    ("convolution", "layers"): "rule == 'gbp'",
    ("convolution", "filters"): "replica == replica.min()",
    ("use", "confusion"): "rule == 'gbp' and way == 'ensemble'",
    ("temporal", "histograms"): "rule == 'gbp' and model == 'multisensory'",
    ("temporal", "trajectories"): "seed == seed.min()",
    ("copi", "history"): POINT,
}
"""The rows of a study's table that are copied, as a query; all rows of the other tables."""
MEASURED = "performance"
"""The folder of docs/figures that `make bench-scaling` fills with times of one machine."""
LEVELS, FRACTION = 8, 1e-3
"""Pictures are equal where at most this fraction of the values differs by more than so many of
256 levels: another processor may round the edge of a line differently."""


def selected(path: Path, study: str, reference: dict[str, int]) -> str:
    """The text of a table with the selected lines, each unchanged."""
    head, *lines = path.read_text().splitlines(keepends=True)
    table = runs.read_table(path)
    query = ROWS.get((study, path.stem), "index == index")
    keep = pd.Series(table.eval(query, local_dict=reference, engine="python"))
    if path.stem == "responses":  # 150 neurons, of which a few are drawn
        neurons = examples(runs.read_table(path.with_stem("selectivity")))
        keep = table["seed"].isin(neurons["seed"]) & table["neuron"].isin(neurons["neuron"])
    return "".join([head, *(line for line, kept in zip(lines, keep, strict=True) if kept)])


def times(directory: Path) -> pd.DataFrame:
    """times.csv: epochs, replicas and seconds of training of each run of a study."""
    records = []
    for path in sorted((directory / "runs").glob("*/history.csv")):
        history = runs.read_table(path)
        seconds = history.groupby("epoch")["seconds"].first()  # replicas train side by side
        records.append(
            {
                "point": path.parent.name,
                "epochs": len(seconds),
                "replicas": history["replica"].nunique(),
                "seconds": round(seconds.sum(), 1),
            }
        )
    return runs.rows(records)


def collect(docs: Path, directory: Path, name: str) -> None:
    """Copy the tables that the documents need from a study's directory into docs/data/NAME."""
    reference, out = figures.reference_of(directory), docs / "data" / name
    study = runs.study_name(runs.manifest_of(directory)) or "credit"
    out.mkdir(parents=True, exist_ok=True)
    for table in TABLES[study].split():
        text = selected(directory / f"{table}.csv", study, reference)
        (out / f"{table}.csv").write_text(text)
    runs.write_table(out / "times.csv", times(directory))
    shutil.copyfile(directory / runs.MANIFEST, out / runs.MANIFEST)


def pictures(docs: Path, out: Path) -> None:
    """Draw every figure of every folder of docs/data into out/NAME."""
    for manifest in sorted((docs / "data").glob(f"*/{runs.MANIFEST}")):
        source = manifest.parent
        figures.plot(figures_of(source), source, out / source.name, Figures(format="png"))


def generated(docs: Path, document: Path) -> str:
    """The text of a document with its parts generated from docs/data."""

    def part(match: re.Match[str]) -> str:
        block, *arguments = match[2].split()
        if block not in blocks.BLOCKS:
            raise UserError(
                f"{document}: unknown block {block}; choose one of {', '.join(blocks.BLOCKS)}"
            )
        names = (arguments[0] if arguments else block).split(",")
        sources = [blocks.Source(docs, name, document.parent) for name in names]
        source = next((source for source in sources if source.exists), sources[0])
        if source.exists:
            text = blocks.BLOCKS[block](source, *arguments[1:])
        else:
            text = f"*Not measured yet: there is no `docs/data/{source.name}`.*"
        return f"{match[1]}{text}\n{match[3]}"

    return PART.sub(part, document.read_text())


def documents(docs: Path) -> list[Path]:
    """The Markdown files that may have generated parts."""
    return sorted([*docs.parent.glob("*.md"), *docs.rglob("*.md")])


def build(docs: Path) -> None:
    """Draw docs/figures and write the generated parts of the documents."""
    for folder in (docs / "figures").glob("*"):
        if folder.name != MEASURED:
            shutil.rmtree(folder, ignore_errors=True)
    pictures(docs, docs / "figures")
    for document in documents(docs):
        text = generated(docs, document)
        if text != document.read_text():
            document.write_text(text)


def same_picture(first: Path, second: Path) -> bool:
    """Whether two PNGs have the same caption and the same pixels, except for edges of lines."""
    with Image.open(first) as a, Image.open(second) as b:
        if a.size != b.size or a.info["Description"] != b.info["Description"]:
            return False
        pixels = [np.asarray(image.convert("RGB"), dtype=int) for image in (a, b)]
    return bool((abs(pixels[0] - pixels[1]) > LEVELS).mean() <= FRACTION)


def differences(docs: Path) -> Iterator[str]:
    """The files that `build` would change."""
    with TemporaryDirectory() as folder:
        old, new = docs / "figures", Path(folder)
        pictures(docs, new)
        names = {path.relative_to(root) for root in (old, new) for path in root.rglob("*.png")}
        for name in sorted(name for name in names if name.parts[0] != MEASURED):
            exist = (old / name).exists() and (new / name).exists()
            if not exist or not same_picture(old / name, new / name):
                yield f"docs/figures/{name}"
    for document in documents(docs):
        if generated(docs, document) != document.read_text():
            yield str(document.relative_to(docs.parent))


def main(arguments: list[str], docs: Path) -> int:
    """Run the command and return the exit code."""
    match arguments:
        case ["collect", directory, name]:
            collect(docs, Path(directory), name)
        case ["build"]:
            build(docs)
        case ["check"]:
            different = list(differences(docs))
            for path in different:
                print(f"{path} differs from docs/data: run `make docs`")
            return int(bool(different))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], Path(__file__).parent))
    except UserError as error:
        sys.exit(f"docs/build.py: {error}")
