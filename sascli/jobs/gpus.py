"""The GPU of a multirun's job: one of the machine's, by the number of the job."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


def with_gpu(config: Any) -> Any:
    """The settings of this process's job, for which `device=auto` is one of several GPUs."""
    job = HydraConfig.get().job
    if hasattr(config, "device") and not OmegaConf.is_missing(job, "num"):
        from sascli.training.devices import spread  # imports torch, which takes a second

        spread(job.num, config.device)
    return config
