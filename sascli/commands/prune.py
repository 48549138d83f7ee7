"""`sas prune`: drop connections of a trained run by credit, keep the sparse networks."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Prune, check_prune, typed


def task(cfg: DictConfig) -> None:
    """Write pruning.csv, networks/ and pictures. Raises UserError for a run that is not there."""
    config = typed(cfg, Prune)
    check_prune(config)
    import pandas as pd

    from sascli import runs
    from sascli.measuring import Trained, measure, show
    from sascli.pruning import keep, pruned

    files: dict[str, bytes] = {}

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        table, networks = pruned(run, config)
        files.update(networks)
        return {"pruning": table}

    directory = measure(config, "prune", work, job_directory(), lambda own: keep(files, own))
    table = runs.read_table(directory / "pruning.csv")
    by = ["rule", "criterion"]
    mean = table.pivot_table("test_accuracy", ["epochs", "level"], by).sort_index(ascending=False)
    show(directory, ["pruning", "sparse"], mean)
