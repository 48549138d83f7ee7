"""The settings of the commands that measure finished runs or draw their results."""

from dataclasses import dataclass
from typing import Any

from sascli.config.figures import Figures
from sascli.config.settings import count_or_all, setting

PERTURBATIONS = ("vip_off", "uip_on", "random_off", "other_off", "paired_off", "matched_off")


@dataclass
class FromRun:
    """Settings that the commands that measure a trained run share."""

    run: str = setting("latest", "a run directory, a run's name, or latest")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice", ge=1)
    name: str | None = setting(None, "name of the result; null: the run's", folder=True)
    outputs: str = setting("outputs", "where runs and results are; default $SAS_OUTPUTS")
    figures: Figures = setting(Figures, "pictures")


@dataclass
class Where:
    """Where the images of a run are now."""

    root: str | None = setting(None, "folder of the data sets; null: that of the training")


@dataclass
class OnImages(FromRun):
    """Settings of those measurements that need images."""

    data: Where = setting(Where, "data sets")


@dataclass
class Entropy(FromRun):
    """Entropy per connection."""

    estimator: list[str] = setting(
        ["paper", "mixed"], "paper (Eq. 8) and mixed (exact)", choices=("paper", "mixed")
    )


@dataclass
class Perturb(OnImages):
    """Targeted perturbation of one layer."""

    layer: Any = count_or_all(1, "layer, counted from 1, a list of layers, or all")
    kind: list[str] = setting(
        ["vip_off", "uip_on", "random_off", "other_off"],
        "weights to switch off or on; paired_off, matched_off: VIPs and others of equal |m|",
        choices=PERTURBATIONS,
    )
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights to perturb", ge=0, le=1)
    samples: int = setting(10, "effective networks and draws averaged per point", ge=1)
    tolerance: float = setting(0.0, "pi <= tolerance and Xi <= tolerance make a VIP", ge=0)
    xi_max: float | None = setting(None, "VIP-like: Xi <= xi_max instead; null: tolerance", ge=0)
    m_min: float = setting(0.0, "VIP-like: |m| >= m_min as well", ge=0)
    draw: int = setting(0, "number of the series of networks and draws", ge=0)


@dataclass
class FromStudy:
    """Settings of the commands that read a directory of `sas reproduce`."""

    from_: str | None = setting(None, "directory of a study; null: the newest study")
    study: str | None = setting(None, "credit, temporal, copi, use, ...; null: any")
    outputs: str = setting("outputs", "where the study is; default $SAS_OUTPUTS")


@dataclass
class Plot(FromStudy):
    """Pictures of tables."""

    from_: str | None = setting(
        None, "directory of a study or of any command, or a run; null: the newest study"
    )
    figure: Any = setting("all", "a figure, a list of them, or all")
    out: str | None = setting(None, "folder of the pictures; null: beside the tables")
    figures: Figures = setting(Figures, "pictures")


@dataclass
class Compare:
    """Several runs in one table and one picture."""

    runs: list[str] = setting([], "run directories, names of runs, or latest", empty=True)
    name: str = setting("default", "name of the comparison", folder=True)
    outputs: str = setting("outputs", "where runs and results are; default $SAS_OUTPUTS")
    figures: Figures = setting(Figures, "pictures")


@dataclass
class Claims(FromStudy):
    """The paper's claims, measured."""

    other: str | None = setting(None, "directory of another data set, for claim 15")
    format: str = setting("text", "text, csv or markdown", choices=("text", "csv", "markdown"))
