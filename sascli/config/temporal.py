"""The settings of the recurrent network's own measurements and theory, and of their study."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import FromRun, Where
from sascli.config.settings import need_values, setting, unknown
from sascli.config.sweeps import AnyPreset, Study, check_fractions, check_sweep
from sascli.config.train import Train
from sascli.errors import UserError

WAYS = ("field", "mean", "sampled", "redrawn")


@dataclass
class Curves:
    """How psychometric curves are measured."""

    way: list[str] = setting(
        ["field", "sampled"], "field, mean, sampled (weights drawn once), redrawn (at every step)"
    )
    modality: list[str] = setting(["v", "a", "va"], "v, a, va")
    frequencies: list[float] = setting(
        [9.0, 10.0, 11.0, *(11.5 + k / 8 for k in range(17)), 14.0, 15.0, 16.0],
        "events a second, 9 to 16; the boundary is 12.5",
    )
    trials: int = setting(20, "trials of every condition")
    samples: int = setting(5, "effective networks")
    dt: float = setting(0.5, "time step in ms")


@dataclass
class Recording:
    """How noise-reduced trials of the mean network are run."""

    noise: float = setting(0.1, "factor of the noise of inputs and neurons")
    trials: int = setting(10, "trials of every modality and frequency")
    dt: float = setting(0.5, "time step in ms")
    every: float = setting(50.0, "ms between two recorded rates")


@dataclass
class Tuning(Recording):
    """What counts as selective."""

    least: float = setting(0.05, "share of a neuron's variance that must be explained")
    level: float = setting(0.01, "p value of the permutations, below which it is not chance")
    permutations: int = setting(999, "permutations of the labels")


@dataclass
class Paths(Recording):
    """What is followed along its principal components."""

    layer: int = setting(2, "layer whose parameters are followed: 1 in, 2 rec, 3 out")


@dataclass
class Lazy:
    """Lazy training: 0-against-1 images, row by row, without leak."""

    width: int = setting(500, "neurons; 0: no lazy training")
    source: str = setting("mnist", "mnist or digits")
    images: int = setting(10, "training images of either class, the first in file order")
    lr: float = setting(1e-3, "learning rate of the scaled parameters")
    steps: int = setting(1000, "steps of gradient descent on all images")
    every: int = setting(10, "steps between two rows")
    seeds: int = setting(3, "networks: seeds 0, 1, ...")


@dataclass
class Widths:
    """What the tangent kernel is computed for."""

    seeds: int = setting(10, "random networks of every width: seeds 0, 1, ...")
    alpha: list[float] = setting([1.0, 0.5], "leaks alpha = dt / tau")
    angles: int = setting(17, "input angles from 0 to 2 pi")
    widths: list[int] = setting([100, 200, 500, 1000, 2000], "widths of the random networks")
    sigma_in: float = setting(1.0, "standard deviation of the scaled input weights")
    sigma_rec: float = setting(1.0, "standard deviation of the scaled recurrent weights")
    sigma_out: float = setting(1.0, "standard deviation of the scaled output weights")
    sigma_start: float = setting(1.0, "standard deviation of h(0)")
    shared_start: bool = setting(True, "one h(0) for all samples, or one for each")
    lazy: Lazy = setting(Lazy, "lazy training")


@dataclass
class Rates:
    """Learning rates of the read-out neuron."""

    m: float = setting(0.005, "learning rate of m")
    pi: float = setting(0.01, "learning rate of pi")
    xi: float = setting(0.01, "learning rate of Xi")


@dataclass
class Neuron:
    """The read-out neuron that learns a sine."""

    seeds: int = setting(10, "independent networks: seeds 0, 1, ...")
    n: int = setting(10_000, "inputs N, all of them the sine")
    steps: int = setting(20, "time steps, one period")
    epochs: int = setting(600, "steps of gradient descent")
    halve_every: int = setting(100, "epochs after which the rates are halved")
    every: int = setting(10, "epochs between two rows")
    lr: Rates = setting(Rates, "learning rates")
    pi_max: float = setting(0.1, "initial pi is drawn from Uniform(0, pi_max)")
    xi_max: float = setting(0.1, "initial Xi is drawn from Uniform(0, xi_max)")


@dataclass
class Psychometric(FromRun, Curves):
    """Choices of a network of the multisensory task against frequency."""


@dataclass
class Selectivity(FromRun, Tuning):
    """What neurons are selective for: choice, modality, both, neither."""


@dataclass
class Trajectories(FromRun, Paths):
    """Principal components of rates, and of parameters over training."""


@dataclass
class Own:
    """What the experiments without a trained run share."""

    threads: int | None = setting(None, "CPU threads; null: torch's choice")
    name: str = setting("default", "name of the result")
    outputs: str = setting("outputs", "where results are made; default $SAS_OUTPUTS")


@dataclass
class Kernel(Own, Widths):
    """The neural tangent kernel of infinite width beside that of random networks."""

    data: Where = setting(Where, "data sets")


@dataclass
class OrderParameters(Own, Neuron):
    """Symmetry breaking of one read-out neuron that learns a sine."""


@dataclass
class Part(Train):
    """A model that the study trains beside the first: settings of `sas train`."""

    seeds: Any = setting(None, "how many seeds (5: 0 to 4), or their list; null: the study's")


@dataclass
class TemporalPreset(AnyPreset):
    """How much of the study is run."""

    samples: int = setting(10, "effective networks of the perturbation and of redrawn weights")
    trials: int = setting(2, "trials of every condition in a test of the task at psychometric.dt")
    fractions: list[float] = setting([0.0, 1.0], "fractions of the VIPs that are switched off")
    tolerance: float = setting(0.0, "VIP-like by our thresholds: pi and Xi of at most this")
    xi_max: float | None = setting(None, "VIP-like: Xi <= xi_max instead; null: tolerance")
    m_min: float = setting(0.0, "VIP-like: |m| >= m_min as well")


@dataclass
class FiguresTemporal(Study):
    """The study of the recurrent network: a model of images in sequence, and the task."""

    preset: TemporalPreset = setting(TemporalPreset, "group: smoke, quick, paper")
    task: Part = setting(Part, "settings of `sas train model=multisensory`")
    pixels: Part = setting(Part, "settings of `sas train model=rnn_pixels`; epochs=0: without")
    psychometric: Curves = setting(Curves, "psychometric curves")
    selectivity: Tuning = setting(Tuning, "selectivity")
    trajectories: Paths = setting(Paths, "trajectories")
    kernel: Widths = setting(Widths, "the tangent kernel")
    neuron: Neuron = setting(Neuron, "the order parameters")


def check_curves(config: Curves) -> None:
    """Refuse what the types let through. Raises UserError."""
    for name in config.way:
        if name not in WAYS:
            raise unknown(name, WAYS, "way")
    need_values(config, "way", "modality", "frequencies")
    _at_least(config, 1, "trials", "samples")


def check_recording(config: Recording) -> None:
    """Refuse what the types let through. Raises UserError."""
    _at_least(config, 1, "trials")
    _at_least(config, 0, "noise")
    if not config.every >= config.dt:
        raise UserError(f"every must be at least dt={config.dt:g} ms, not {config.every}")
    if isinstance(config, Tuning):
        _at_least(config, 1, "permutations")
        _at_least(config, 0, "least", "level")


def check_widths(config: Widths) -> None:
    """Refuse what the types let through. Raises UserError."""
    _at_least(config, 1, "seeds")
    _at_least(config, 2, "angles")
    if not config.alpha or not all(0 < alpha <= 1 for alpha in config.alpha):
        raise UserError(f"alpha must lie in (0, 1], not {config.alpha}")
    if len(set(config.widths)) < 2 or min(config.widths) < 1:
        raise UserError(f"widths must be at least two different widths >= 1, not {config.widths}")
    _at_least(config, 0, *(f"sigma_{name}" for name in ("in", "rec", "out", "start")))
    if config.lazy.source not in ("mnist", "digits"):
        raise UserError(f"lazy.source must be mnist or digits, not '{config.lazy.source}'")
    _at_least(config.lazy, 0, "width", "lr")
    if config.lazy.width and not config.shared_start:
        raise UserError("lazy training has one h(0) for all samples: add lazy.width=0")
    _at_least(config.lazy, 1, "images", "steps", "every", "seeds")


def check_neuron(config: Neuron) -> None:
    """Refuse what the types let through. Raises UserError."""
    _at_least(config, 1, "seeds", "n", "steps", "epochs", "halve_every", "every")
    _at_least(config.lr, 0, "m", "pi", "xi")
    _at_least(config, 0, "pi_max", "xi_max")
    if config.pi_max > 1:
        raise UserError(f"pi_max is a probability, not {config.pi_max}")


def check_figures_temporal(config: FiguresTemporal) -> None:
    """Refuse what the types let through. Raises UserError."""
    for model in (config, config.task, *([config.pixels] if config.pixels.epochs else [])):
        check_sweep(model)
    if config.model.network != "recurrent" or config.model.source == "multisensory":
        raise UserError("model must be of images in sequence: rnn_rows or rnn_digits, say")
    check_curves(config.psychometric)
    for recording in (config.selectivity, config.trajectories):
        check_recording(recording)
    check_widths(config.kernel)
    check_neuron(config.neuron)
    _at_least(config.preset, 1, "samples", "trials")
    _at_least(config.preset, 0, "tolerance", "m_min")
    check_fractions(config.preset.fractions)


def _at_least(config: object, low: int, *names: str) -> None:
    """Raises UserError for the first of these settings that is below `low`."""
    for name in names:
        if not getattr(config, name) >= low:
            raise UserError(f"{name} must be at least {low}, not {getattr(config, name)}")
