"""`sas plot`: pictures from the tables of one directory. It never trains."""

from pathlib import Path

from sascli import figures, runs
from sascli.commands import COMMANDS
from sascli.config import Plot, as_list
from sascli.config.paths import exists
from sascli.errors import UserError
from sascli.studies.directories import directory_of, figures_of
from sascli.studies.registry import STUDIES


def plot(config: Plot, _job: Path | None = None) -> None:
    """Draw. Raises UserError with the command that makes a missing table."""
    path, outputs = config.from_, Path(config.outputs)
    if path and not exists(Path(path) / runs.MANIFEST):
        path = str(newest(path, outputs))
    directory = directory_of(path, outputs, config.study)
    manifest = runs.manifest_of(directory)
    study, command = runs.study_name(manifest), COMMANDS.get(str(manifest.get("kind")))
    drawable = command.pictures if command else ()
    names = as_list(config.figure)
    if config.figure == "all":
        names = figures.possible(drawable, directory) if drawable else figures_of(directory)
    if not names:
        text = f"{directory} has no table that a figure shows"
        raise UserError(f"{text}; figures of `sas {manifest['kind']}`: {', '.join(drawable)}")
    for name in names:
        owners = [key for key, entry in STUDIES.items() if name in entry.figures]
        if study and owners and study not in owners:
            advice = (
                f"write study={owners[0]} instead of from" if path else f"add study={owners[0]}"
            )
            raise UserError(f"{name} is a figure of another study: {advice}")
    out = Path(config.out or (directory if drawable else directory / "pictures"))
    reference: dict[str, int] | None = {} if set(names) <= set(drawable) else None
    print(*figures.plot(names, directory, out, config.figures, reference), sep="\n")


def newest(path: str, outputs: Path) -> Path:
    """The newest finished version of a study or measurement in a folder, else a trained run."""
    for directory, manifest in runs.versions(Path(path), wanted=runs.finished):
        if manifest.get("kind", "train") != "train":
            return directory
    return runs.locate(path, outputs)
