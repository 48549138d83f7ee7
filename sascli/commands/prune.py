"""`sas prune`: drop connections of a trained run by credit, keep the sparse networks."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Prune, check_prune, typed


def task(cfg: DictConfig) -> None:
    """Write pruning.csv, networks/ and pictures. Raises UserError for a run that is not there."""
    config = typed(cfg, Prune)
    check_prune(config)
    from sascli import figures
    from sascli.measuring import measure
    from sascli.pruning import pruned

    directory = measure(config, "prune", lambda run: pruned(run, config), job_directory())
    print(f"{directory}/pruning.csv")
    for path in figures.plot(("pruning", "sparse"), directory, directory):
        print(path)
