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
    summary: str  # one line of `sas --help`
    examples: tuple[tuple[str, str], ...]  # as of `sascli.commands.table.Command`
    figures: tuple[str, ...]  # in the order of the report
    later: tuple[str, ...] = ()  # figures whose tables directories of earlier versions lack


STUDIES = {
    "credit": Study(
        "Learning credit assignment",
        LI_HUANG,
        "reproduce Figs. 2-4 and measure the paper's claims; repeated: only what is missing",
        (
            ("sas reproduce credit model=mnist", "every figure at preset=quick"),
            ("sas reproduce credit preset=paper", "the paper's settings, five seeds"),
            ("sas reproduce credit model=digits preset=smoke", "seconds: does everything run?"),
            ("sas reproduce credit -m worker=1,2 hydra/launcher=slurm", "two jobs share the work"),
        ),
        ("fig2a", "fig2b", "fig3a", "fig3b", "fig3c", "fig4a", "fig4b", "variance"),
    ),
    "temporal": Study(
        "Temporal credit assignment",
        ZOU_LI_HUANG,
        "the recurrent network: both tasks, perturbations, choices, selectivity, kernel, claims",
        (
            ("sas reproduce temporal", "MNIST row by row and the task at preset=quick"),
            ("sas reproduce temporal model=rnn_digits preset=smoke", "does everything run?"),
        ),
        ("temporal_accuracy", "temporal_parameters", "temporal_entropy", "temporal_perturbation",
         "psychometric", "selectivity", "neurons", "trajectories", "synapses", "redraw", "kernel",
         "lazy", "order_parameters"),
        later=("temporal_entropy",),
    ),
    "copi": Study(
        "Constrained parameter inference",
        AHMAD,
        "COPI beside BP and gBP: accuracy, rates, decorrelation, features, compression, claims",
        (
            ("sas reproduce copi model=mnist", "every picture and claim at preset=quick"),
            ("sas reproduce copi model=digits preset=smoke", "seconds: does everything run?"),
        ),
        ("copi_accuracy", "copi_loss", "copi_rates", "copi_gains", "decorrelation",
         "decorrelated", "features", "compression"),
        later=("copi_gains",),
    ),
    "use": Study(
        "The use of credit",
        f"what {LI_HUANG} say the learned distribution is good for",
        "what credit is good for: calibration, pruning, protection of old tasks, with claims",
        (
            ("sas reproduce use model=mnist", "every picture and claim at preset=quick"),
            ("sas reproduce use model=digits preset=smoke", "seconds: does everything run?"),
        ),
        ("reliability", "uncertainty", "confusion", "pruning", "sparse", "continual",
         "continual_matrix"),
    ),
    "atlas": Study(
        "The atlas of the claims",
        f"{LI_HUANG}, and of its claims at settings around the published one",
        "where the paper's claims hold: learning rate, epochs, T, width, depth, decay, data, ...",
        (
            ("sas reproduce atlas", "quick: a quarter of an hour on two cores"),
            ("sas reproduce atlas model=digits preset=smoke", "seconds: does everything run?"),
            ("sas reproduce atlas preset=paper -m worker=1,2 threads=1 hydra/launcher=local",
             "two processes share the work"),
        ),
        ("atlas", "atlas_steps", "atlas_rate"),
    ),
}  # fmt: skip
"""By name: `sas reproduce NAME` makes a study's directory."""
