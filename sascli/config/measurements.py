"""The settings of what is measured and drawn from runs that are finished."""

from dataclasses import dataclass
from typing import Any

from sascli.config.settings import setting


@dataclass
class FromRun:
    """What the commands that measure a trained network share."""

    run: str = setting("latest", "a run directory, a run's name, or latest")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice")
    name: str | None = setting(None, "name of the result; null: the run's")
    outputs: str = setting("outputs", "where runs and results are; default $SAS_OUTPUTS")


@dataclass
class Where:
    """Where a run's images are now."""

    root: str | None = setting(None, "folder of the data sets; null: as when it was trained")


@dataclass
class OnImages(FromRun):
    """What those of them share that need images."""

    data: Where = setting(Where, "data sets")


@dataclass
class Entropy(FromRun):
    """Entropy per connection."""

    estimator: list[str] = setting(["paper", "mixed"], "paper (Eq. 8) and mixed (exact)")


@dataclass
class Perturb(OnImages):
    """Targeted perturbation of one layer."""

    layer: Any = setting(1, "layer, counted from 1, a list of layers, or all")
    kind: list[str] = setting(
        ["vip_off", "uip_on", "random_off", "other_off"],
        "what is switched off or on; paired_off, matched_off: VIPs and others of the same |m|",
    )
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed")
    samples: int = setting(10, "effective networks and draws that each point averages")
    tolerance: float = setting(0.0, "pi <= tolerance and Xi <= tolerance make a VIP")
    xi_max: float | None = setting(None, "VIP-like: Xi <= xi_max instead; null: tolerance")
    m_min: float = setting(0.0, "VIP-like: |m| >= m_min as well")
    draw: int = setting(0, "another number, another series of networks and draws")


@dataclass
class FromFigures:
    """What the commands that read a directory of `sas reproduce` share."""

    from_: str | None = setting(None, "directory of a study; null: its newest")
    study: str | None = setting(None, "credit, temporal, copi or use; null: any")
    outputs: str = setting("outputs", "where it is looked for; default $SAS_OUTPUTS")


@dataclass
class Plot(FromFigures):
    """Pictures from tables."""

    figure: Any = setting("all", "a figure, a list of them, or all")
    out: str | None = setting(None, "where the pictures go; null: beside the tables")


@dataclass
class Claims(FromFigures):
    """The paper's claims, measured."""

    other: str | None = setting(None, "directory of another data set, for claim 15")
    format: str = setting("text", "text, csv or markdown")
