"""`sas entropy`: entropy per connection of a trained run, by either estimator."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Entropy, need_values, typed, unknown

ESTIMATORS = ("paper", "mixed")


def task(cfg: DictConfig) -> None:
    """Write entropy.csv, and entropy_epochs.csv of a run that kept snapshots.

    Raises UserError for a run or an estimator that is not there.
    """
    config = typed(cfg, Entropy)
    need_values(config, "estimator")
    for name in config.estimator:
        if name not in ESTIMATORS:
            raise unknown(name, ESTIMATORS, "estimator")
    import pandas as pd

    from sascli.analysis.entropy import entropy_epochs, entropy_table
    from sascli.measuring import Trained, measure

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        tables = {"entropy": entropy_table(run.network, run.seeds, config.estimator)}
        if run.snapshots:
            epochs = entropy_epochs(run.paths, run.seeds, config.estimator)
            tables["entropy_epochs"] = epochs
        return tables

    directory = measure(config, "entropy", work, job_directory())
    for path in sorted(directory.glob("*.csv")):
        print(path)
