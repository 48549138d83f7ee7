"""`sas perturb`: switch connections off or on, layer by layer, and test again (Fig. 4a)."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Perturb, as_list, need_values, typed, unknown
from sascli.errors import UserError

KINDS = ("vip_off", "uip_on", "random_off", "other_off", "paired_off", "matched_off")


def task(cfg: DictConfig) -> None:
    """Write perturbation.csv. Raises UserError for a run, kind or layer that is not there."""
    config = typed(cfg, Perturb)
    need_values(config, "kind", "layer", "fractions")
    for kind in config.kind:
        if kind not in KINDS:
            raise unknown(kind, KINDS, "kind of perturbation")
    if not all(0 <= fraction <= 1 for fraction in config.fractions):
        raise UserError(f"fractions must lie in [0, 1], not {config.fractions}")
    if config.samples < 1 or config.draw < 0:
        raise UserError("samples must be at least 1 and draw at least 0")
    if min(config.tolerance, config.m_min, config.xi_max or 0) < 0:
        raise UserError("tolerance, xi_max and m_min must be at least 0")
    import pandas as pd

    from sascli.analysis.perturbation import Thresholds, perturbation
    from sascli.measuring import Trained, measure

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        count = len(run.network.layers)
        layers = range(1, count + 1) if config.layer == "all" else as_list(config.layer)
        for layer in layers:
            if type(layer) is not int or not 1 <= layer <= count:
                raise UserError(f"layer must be 1 to {count}, or all, not {layer!r}")
        tables = [
            perturbation(
                run.network,
                run.seeds,
                run.data.accuracy,
                layer=layer,
                kinds=config.kind,
                fractions=config.fractions,
                samples=config.samples,
                thresholds=Thresholds(config.tolerance, config.xi_max, config.m_min),
                draw=config.draw,
            )
            for layer in layers
        ]
        return {"perturbation": pd.concat(tables, ignore_index=True)}

    directory = measure(config, "perturb", work, job_directory())
    print(f"{directory}/perturbation.csv")
