"""`sas evaluate`: a trained run on test images: accuracy, calibration, uncertainty."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Evaluate, check_evaluate, typed


def task(cfg: DictConfig) -> None:
    """Write the tables and pictures. Raises UserError for a run or images that are not there."""
    config = typed(cfg, Evaluate)
    check_evaluate(config)
    from sascli import runs
    from sascli.evaluating import evaluated
    from sascli.measuring import measure, show

    directory = measure(config, "evaluate", lambda run: evaluated(run, config), job_directory())
    numbers = ["test_accuracy", "log_loss", "calibration_error"]
    mean = runs.read_table(directory / "evaluation.csv").groupby("way", sort=False)[numbers].mean()
    show(directory, ["confusion", "reliability", "uncertainty"], mean)
