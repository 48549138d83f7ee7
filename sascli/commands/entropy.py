"""`sas entropy`: entropy per connection of a trained run, by either estimator."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Entropy, need_values, typed, unknown

ESTIMATORS = ("paper", "mixed")


def task(cfg: DictConfig) -> None:
    """Write entropy.csv. Raises UserError for a run or an estimator that is not there."""
    config = typed(cfg, Entropy)
    need_values(config, "estimator")
    for name in config.estimator:
        if name not in ESTIMATORS:
            raise unknown(name, ESTIMATORS, "estimator")
    from sascli.analysis.entropy import entropy_table
    from sascli.measuring import measure

    directory = measure(
        config,
        "entropy",
        lambda run: {"entropy": entropy_table(run.network, run.seeds, config.estimator)},
        job_directory(),
    )
    print(f"{directory}/entropy.csv")
