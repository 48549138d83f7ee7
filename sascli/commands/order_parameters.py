"""`sas order-parameters`: symmetry breaking of a read-out neuron that learns a sine."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import OrderParameters, check_neuron, typed


def task(cfg: DictConfig) -> None:
    """Write order_parameters.csv. Raises UserError as `check_neuron`."""
    config = typed(cfg, OrderParameters)
    check_neuron(config)
    from sascli.measuring import (  # seconds of torch: for settings that are right
        experiment_of,
        show,
    )
    from sascli.theory import order_tables

    directory = experiment_of(config, "order-parameters", order_tables, job_directory())
    show(directory, ["order_parameters"])
