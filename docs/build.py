"""Keeps numbers and pictures in the documents true: python docs/build.py [collect|build|check].

collect DIR NAME   copy the tables of a study's directory into docs/data/NAME, less the rows that
                   neither figures nor claims nor documents read
build              make docs/figures and the generated parts of the documents from docs/data
check              do the same aside and fail on a difference

A generated part stands between <!-- BEGIN BLOCK NAME ... --> and <!-- END -->; BLOCK is a function
in docs/blocks/, NAME a folder of docs/data.
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
    "copi": "history arms rates gains decorrelation decorrelated features compression linear",
}
"""What the documents show of a study."""
MEASURED = "performance"
"""The folder of docs/figures that `make bench-scaling` fills: a machine's times, left alone."""
LEVELS, SHARE = 8, 1e-3
"""Pictures are the same where at most this share of the values differs by more than so many of
256 levels: another processor may round the edge of a line otherwise."""


def wanted(name: str, table: pd.DataFrame, reference: dict[str, int]) -> "pd.Series[bool]":
    """The rows that are kept of a table; figures and claims come out of them exactly.

    gBP alone of datasize_layers, histograms, layers and perturbation. The reference point alone of
    history, ensemble, histograms and perturbation, its T of layers; of history the last epochs of
    the other T at its depth too; of perturbation below layer 1 the ends f = 0 and f = 1. gBP's
    ensemble alone of confusion. Of two models' histograms the second's; the first seed's
    trajectories. All of the others.
    """
    everything = pd.Series(True, table.index)
    if name == "confusion":
        return (table["rule"] == "gbp") & (table["way"] == "ensemble")
    if name == "trajectories":
        return table["seed"].eq(table["seed"].min())
    if name == "histograms" and "model" in table:
        return table["rule"].eq("gbp") & table["model"].eq("multisensory")
    whole = name in ("datasize", "search", "decorrelation", "linear")
    if whole or "model" in table or "train_size" not in table:
        return everything
    gbp = table["rule"] == "gbp"
    own_size = table["train_size"] == reference["train_size"]
    here = own_size & (table["depth"] == reference["depth"])
    match name:
        case "history" if "deep" in reference:
            late = table["epoch"].gt(table["epoch"].max() - LAST_EPOCHS)
            return here | (late & table["depth"].eq(reference["depth"]))
        case "history" | "ensemble":
            return here
        case "perturbation":
            return here & gbp & ((table["layer"] == 1) | table["fraction"].isin([0, 1]))
        case "histograms":
            return here & gbp
        case "layers":
            return own_size & gbp
    return gbp


def thinned(path: Path, reference: dict[str, int]) -> str:
    """The text of a table with its kept lines, each as it is."""
    head, *lines = path.read_text().splitlines(keepends=True)
    table = runs.read_table(path)
    keep = wanted(path.stem, table, reference)
    if path.stem == "responses":  # 150 neurons, of which a few are drawn
        drawn = examples(runs.read_table(path.with_stem("selectivity")))
        keep = table["seed"].isin(drawn["seed"]) & table["neuron"].isin(drawn["neuron"])
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
    """Copy what the documents need of a study's directory into docs/data/NAME."""
    reference, out = figures.reference_of(directory), docs / "data" / name
    out.mkdir(parents=True, exist_ok=True)
    for table in TABLES[runs.study_name(runs.manifest_of(directory)) or "credit"].split():
        (out / f"{table}.csv").write_text(thinned(directory / f"{table}.csv", reference))
    runs.write_table(out / "times.csv", times(directory))
    shutil.copyfile(directory / runs.MANIFEST, out / runs.MANIFEST)


def pictures(docs: Path, out: Path) -> None:
    """Draw every figure of every folder of docs/data into out/NAME."""
    for manifest in sorted((docs / "data").glob(f"*/{runs.MANIFEST}")):
        source = manifest.parent
        figures.plot(figures_of(source), source, out / source.name, suffixes=(".png",))


def generated(docs: Path, document: Path) -> str:
    """The text of a document with its generated parts made anew."""

    def part(match: re.Match[str]) -> str:
        block, *words = match[2].split()
        if block not in blocks.BLOCKS:
            raise UserError(
                f"{document}: there is no block {block}, only {', '.join(blocks.BLOCKS)}"
            )
        source = blocks.Source(docs, words[0] if words else block, document.parent)
        if source.directory.is_dir() or source.directory.with_suffix(".csv").is_file():
            text = blocks.BLOCKS[block](source, *words[1:])
        else:
            text = f"*Not measured yet: there is no `docs/data/{source.name}`.*"
        return f"{match[1]}{text}\n{match[3]}"

    return PART.sub(part, document.read_text())


def documents(docs: Path) -> list[Path]:
    """The Markdown files that may have generated parts."""
    return sorted([*docs.parent.glob("*.md"), *docs.rglob("*.md")])


def build(docs: Path) -> None:
    """Make docs/figures and the generated parts anew."""
    for folder in (docs / "figures").glob("*"):
        if folder.name != MEASURED:
            shutil.rmtree(folder, ignore_errors=True)
    pictures(docs, docs / "figures")
    for document in documents(docs):
        text = generated(docs, document)
        if text != document.read_text():
            document.write_text(text)


def same_picture(one: Path, other: Path) -> bool:
    """Whether two PNGs have the same caption and, the odd edge aside, the same pixels."""
    with Image.open(one) as a, Image.open(other) as b:
        if a.size != b.size or a.info["Description"] != b.info["Description"]:
            return False
        pixels = [np.asarray(image.convert("RGB"), dtype=int) for image in (a, b)]
    return bool((abs(pixels[0] - pixels[1]) > LEVELS).mean() <= SHARE)


def differences(docs: Path) -> Iterator[str]:
    """What `build` would change."""
    with TemporaryDirectory() as aside:
        pictures(docs, Path(aside))
        kept, made = (
            {path.relative_to(root) for path in root.rglob("*.png")}
            for root in (docs / "figures", Path(aside))
        )
        for path in sorted(path for path in kept | made if path.parts[0] != MEASURED):
            both = path in kept and path in made
            if not both or not same_picture(docs / "figures" / path, Path(aside) / path):
                yield f"docs/figures/{path}"
    for document in documents(docs):
        if generated(docs, document) != document.read_text():
            yield str(document.relative_to(docs.parent))


def main(words: list[str], docs: Path) -> int:
    """Do what the words say and return the exit code."""
    match words:
        case ["collect", directory, name]:
            collect(docs, Path(directory), name)
        case ["build"]:
            build(docs)
        case ["check"]:
            different = list(differences(docs))
            for path in different:
                print(f"{path} is not what docs/data gives: `make docs` makes it anew")
            return int(bool(different))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], Path(__file__).parent))
    except UserError as mistake:
        sys.exit(f"docs/build.py: {mistake}")
