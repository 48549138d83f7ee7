"""The studies: one entry each, from which command, pictures, claims and report are found.

The work is in `sascli.studies.NAME`, the settings are `sascli.config.ReproduceNAME`, the claims
are in `sascli.claims.NAME`; all three are imported only when they are needed.
"""

from dataclasses import dataclass

LI_HUANG = (
    "C. Li and H. Huang, “Learning credit assignment”, "
    "Phys. Rev. Lett. 125, 178301 (2020), arXiv:2001.03354"
)
AHMAD = (
    "N. Ahmad, E. Schrader and M. van Gerven, “Constrained parameter inference as a "
    "principle for learning”, TMLR (2023), arXiv:2203.13203"
)
ZOU_LI_HUANG = (
    "W. Zou, C. Li and H. Huang, “Ensemble perspective for understanding temporal credit "
    "assignment”, Phys. Rev. E 107, 024307 (2023), arXiv:2102.03740"
)


@dataclass(frozen=True)
class Study:
    """What is reproduced, and the command that does it."""

    title: str
    source: str  # completes "A reproduction of ..."
    figures: tuple[str, ...]  # in the order of the report
    later: tuple[str, ...] = ()  # figures whose tables directories of earlier versions lack


STUDIES = {
    "credit": Study(
        "Learning credit assignment",
        LI_HUANG,
        ("fig2a", "fig2b", "fig3a", "fig3b", "fig3c", "fig4a", "fig4b", "variance"),
    ),
    "temporal": Study(
        "Temporal credit assignment",
        ZOU_LI_HUANG,
        ("temporal_accuracy", "temporal_parameters", "temporal_entropy", "temporal_perturbation",
         "psychometric", "selectivity", "neurons", "trajectories", "synapses", "redraw", "kernel",
         "lazy", "order_parameters"),
        later=("temporal_entropy",),
    ),
    "copi": Study(
        "Constrained parameter inference",
        AHMAD,
        ("copi_accuracy", "copi_loss", "copi_rates", "copi_gains", "decorrelation",
         "decorrelated", "features", "compression"),
        later=("copi_gains",),
    ),
    "use": Study(
        "The use of credit",
        f"what {LI_HUANG} say the learned distribution is good for",
        ("reliability", "uncertainty", "confusion", "pruning", "sparse", "continual",
         "continual_matrix"),
    ),
    "atlas": Study(
        "The atlas of the claims",
        f"{LI_HUANG}, and of its claims at settings around the published one",
        ("atlas", "atlas_steps", "atlas_rate"),
    ),
    "convolution": Study(
        "Credit in a convolutional network",
        f"claims of {LI_HUANG}, asked of convolutions",
        ("convolution_accuracy", "convolution_layers", "convolution_vips", "filters",
         "convolution_perturbation", "pruning"),
    ),
}  # fmt: skip
"""By name: `sas reproduce NAME` makes a study's directory."""
