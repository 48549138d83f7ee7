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


STUDIES = {
    "figures": Study(
        title="Learning credit assignment",
        source=LI_HUANG,
        figures=("fig2a", "fig2b", "fig3a", "fig3b", "fig3c", "fig4a", "fig4b", "variance"),
        claims="credit",
    ),
    "figures-use": Study(
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
    "figures-copi": Study(
        title="Constrained parameter inference",
        source=AHMAD,
        figures=(
            "copi_accuracy",
            "copi_rates",
            "decorrelation",
            "decorrelated",
            "features",
            "compression",
        ),
        claims="copi",
    ),
    "figures-temporal": Study(
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
"""By the command that makes the directory, which is also the `kind` of its manifest."""


def study_of(manifest: Mapping[str, Any]) -> Study:
    """The study whose tables a manifest describes; Figs. 2-4 where it is another command's."""
    return STUDIES.get(manifest.get("kind", ""), STUDIES["figures"])
