"""`sas continual`: tasks in sequence, old ones protected by credit or by EWC, or not."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Continual, check_continual, typed


def task(cfg: DictConfig) -> None:
    """Learn, test, draw. Raises UserError for settings that cannot be."""
    config = typed(cfg, Continual)
    check_continual(config)
    from sascli import continual, figures, runs  # seconds of torch: only where all is right

    directory = continual.run(config, job_directory())
    drawn = figures.plot(["continual", "continual_matrix"], directory, directory)
    for path in [*sorted(directory.glob("*.csv")), *drawn]:
        print(path)
    table = runs.read_table(directory / "continual_summary.csv").groupby("method", sort=False)
    print(table[["average_accuracy", "forgetting"]].mean().round(4).to_string())
