"""What is reproduced: a study is a set of pictures and claims drawn from one directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LI_HUANG = (
    "C. Li and H. Huang, &ldquo;Learning credit assignment&rdquo;, "
    "Phys. Rev. Lett. 125, 178301 (2020), arXiv:2001.03354"
)
AHMAD = (
    "N. Ahmad, E. Schrader and M. van Gerven, &ldquo;Constrained parameter inference as a "
    "principle for learning&rdquo;, TMLR (2023), arXiv:2203.13203"
)
ZOU_LI_HUANG = (
    "W. Zou, C. Li and H. Huang, &ldquo;Ensemble perspective for understanding temporal credit "
    "assignment&rdquo;, Phys. Rev. E 107, 024307 (2023), arXiv:2102.03740"
)


@dataclass(frozen=True)
class Study:
    """Pictures and claims; the modules are looked up by their names when they are needed."""

    title: str
    source: str  # what is reproduced, in HTML
    figures: tuple[str, ...]  # modules of sascli.figures
    claims: str  # module of sascli.claims
    imageless: tuple[str, ...] = ()  # those of the figures that no images went into
    later: tuple[str, ...] = ()  # those whose tables the directories of earlier versions lack


STUDIES = {
    "credit": Study(
        title="Learning credit assignment",
        source=LI_HUANG,
        figures=("fig2a", "fig2b", "fig3a", "fig3b", "fig3c", "fig4a", "fig4b", "variance"),
        claims="credit",
    ),
    "use": Study(
        title="The use of credit",
        source=f"what {LI_HUANG} say the learned distribution is good for",
        figures=(
            "reliability",
            "uncertainty",
            "confusion",
            "pruning",
            "sparse",
            "continual",
            "continual_matrix",
        ),
        claims="use",
    ),
    "copi": Study(
        title="Constrained parameter inference",
        source=AHMAD,
        figures=(
            "copi_accuracy",
            "copi_loss",
            "copi_rates",
            "copi_gains",
            "decorrelation",
            "decorrelated",
            "features",
            "compression",
        ),
        claims="copi",
        later=("copi_gains",),
    ),
    "temporal": Study(
        title="Temporal credit assignment",
        source=ZOU_LI_HUANG,
        figures=(
            "temporal_accuracy",
            "temporal_parameters",
            "temporal_entropy",
            "temporal_perturbation",
            "psychometric",
            "selectivity",
            "neurons",
            "trajectories",
            "synapses",
            "redraw",
            "kernel",
            "lazy",
            "order_parameters",
        ),
        claims="temporal",
        later=("temporal_entropy",),
        imageless=(
            "temporal_parameters",
            "psychometric",
            "selectivity",
            "neurons",
            "trajectories",
            "synapses",
            "kernel",
            "order_parameters",
        ),
    ),
}
"""By name: `sas reproduce NAME` makes a study's directory."""

OLD_KINDS = {
    "figures": "credit",
    "figures-use": "use",
    "figures-copi": "copi",
    "figures-temporal": "temporal",
}
"""The kinds that manifests of earlier versions have, with the study that each of them is now."""


def name_of(manifest: Mapping[str, Any]) -> str | None:
    """The name of the study whose directory a manifest describes; None for another command's."""
    return OLD_KINDS.get(manifest.get("kind", ""), manifest.get("study"))


def study_of(manifest: Mapping[str, Any]) -> Study:
    """The study whose tables a manifest describes; Figs. 2-4 where it is another command's."""
    return STUDIES[name_of(manifest) or "credit"]
