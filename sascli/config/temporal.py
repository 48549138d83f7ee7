"""The settings of the measurements and theory of the recurrent network, and of their study."""

from dataclasses import dataclass, replace
from typing import Any

from sascli.config.figures import Figures
from sascli.config.measurements import FromRun, Where
from sascli.config.needs import Need, Never, without
from sascli.config.settings import require, seed_list, setting
from sascli.config.sweeps import Preset, Reproduce
from sascli.config.train import Train, check_single_rates

WAYS = ("field", "mean", "sampled", "redrawn")


@dataclass
class CurveSettings:
    """How psychometric curves are measured."""

    way: list[str] = setting(
        ["field", "sampled"], "field, mean, sampled, redrawn (at every step)", choices=WAYS
    )
    modality: list[str] = setting(["v", "a", "va"], "v, a, va")
    frequencies: list[float] = setting(
        [9.0, 10.0, 11.0, *(11.5 + k / 8 for k in range(17)), 14.0, 15.0, 16.0],
        "events a second, 9 to 16; the boundary is 12.5",
    )
    trials: int = setting(20, "trials of every condition", ge=1)
    samples: int = setting(5, "effective networks", ge=1)
    dt: float = setting(0.5, "time step in ms")


@dataclass
class RecordingSettings:
    """How noise-reduced trials of the mean network are run."""

    noise: float = setting(0.1, "factor of the noise of inputs and neurons", ge=0)
    trials: int = setting(10, "trials of every modality and frequency", ge=1)
    dt: float = setting(0.5, "time step in ms")
    every: float = setting(50.0, "ms between recorded rates")

    def constraints(self) -> None:
        """Rates are recorded at time steps."""
        text = f"every must be at least dt={self.dt:g} ms, not {self.every}"
        require(self.every >= self.dt, text)


@dataclass
class SelectivitySettings(RecordingSettings):
    """What counts as selective."""

    least: float = setting(0.05, "least explained fraction of a neuron's variance", ge=0)
    level: float = setting(0.01, "p value of the permutations that is significant", ge=0)
    permutations: int = setting(999, "permutations of the labels", ge=1)


@dataclass
class TrajectorySettings(RecordingSettings):
    """What is projected on its principal components."""

    layer: int = setting(2, "layer of the parameters: 1 in, 2 rec, 3 out")


@dataclass
class LazySettings:
    """Lazy training: 0-against-1 images, row by row, without leak."""

    width: int = setting(500, "neurons; 0: no lazy training", ge=0)
    source: str = setting("mnist", "mnist or digits", choices=("mnist", "digits"))
    images: int = setting(10, "training images per class, the first in file order", ge=1)
    lr: float = setting(1e-3, "learning rate of the scaled parameters", ge=0)
    steps: int = setting(1000, "steps of gradient descent on all images", ge=1)
    every: int = setting(10, "steps between rows", ge=1)
    seeds: int = setting(3, "networks: seeds 0, 1, ...", ge=1)


@dataclass
class KernelSettings:
    """The networks whose tangent kernel is computed."""

    seeds: int = setting(10, "random networks per width: seeds 0, 1, ...", ge=1)
    alpha: list[float] = setting([1.0, 0.5], "leaks alpha = dt / tau", gt=0, le=1)
    angles: int = setting(17, "input angles from 0 to 2 pi", ge=2)
    widths: list[int] = setting([100, 200, 500, 1000, 2000], "widths of the random networks", ge=1)
    sigma_in: float = setting(1.0, "standard deviation of the scaled input weights", ge=0)
    sigma_rec: float = setting(1.0, "standard deviation of the scaled recurrent weights", ge=0)
    sigma_out: float = setting(1.0, "standard deviation of the scaled output weights", ge=0)
    sigma_start: float = setting(1.0, "standard deviation of h(0)", ge=0)
    shared_start: bool = setting(True, "one h(0) for all samples, or one for each")
    lazy: LazySettings = setting(LazySettings, "lazy training")

    def constraints(self) -> None:
        """An exponent needs two widths; lazy training has one h(0)."""
        text = f"widths must be at least two different widths, not {self.widths}"
        require(len(set(self.widths)) >= 2, text)
        text = "lazy training has one h(0) for all samples: add lazy.width=0"
        require(not self.lazy.width or self.shared_start, text)


@dataclass
class NeuronRates:
    """Learning rates of the read-out neuron."""

    m: float = setting(0.005, "learning rate of m", ge=0)
    pi: float = setting(0.01, "learning rate of pi", ge=0)
    xi: float = setting(0.01, "learning rate of Xi", ge=0)


@dataclass
class NeuronSettings:
    """The read-out neuron that learns a sine."""

    seeds: int = setting(10, "independent networks: seeds 0, 1, ...", ge=1)
    n: int = setting(10_000, "inputs N, each the sine", ge=1)
    steps: int = setting(20, "time steps, one period", ge=1)
    epochs: int = setting(600, "steps of gradient descent", ge=1)
    halve_every: int = setting(100, "epochs between halvings of the rates", ge=1)
    every: int = setting(10, "epochs between rows", ge=1)
    lr: NeuronRates = setting(NeuronRates, "learning rates")
    pi_max: float = setting(0.1, "initial pi is drawn from Uniform(0, pi_max)", ge=0, le=1)
    xi_max: float = setting(0.1, "initial Xi is drawn from Uniform(0, xi_max)", ge=0)


@dataclass
class Psychometric(FromRun, CurveSettings):
    """Choices against frequency, of a network of the multisensory task."""


@dataclass
class Selectivity(FromRun, SelectivitySettings):
    """Neurons selective for choice, modality, both or neither."""


@dataclass
class Trajectories(FromRun, TrajectorySettings):
    """Principal components of rates, and of parameters over training."""


@dataclass
class Experiment:
    """Settings of the experiments without a trained run."""

    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice", ge=1)
    name: str = setting("default", "name of the result", folder=True)
    outputs: str = setting("outputs", "where results are made; default $SAS_OUTPUTS")
    figures: Figures = setting(Figures, "pictures")


@dataclass
class Kernel(Experiment, KernelSettings):
    """The neural tangent kernel of infinite width beside that of random networks."""

    data: Where = setting(Where, "data sets")


@dataclass
class OrderParameters(Experiment, NeuronSettings):
    """Symmetry breaking of one read-out neuron that learns a sine."""


@dataclass
class OtherModel(Train):
    """A further model that the study trains: settings of `sas train`."""

    needs = Train.needs | dict.fromkeys(
        ("name", "seed", "replicas", "rule", "resume", "device", "threads", "outputs", "data*"),
        Never(words="the study's setting is that of all its models"),
    )
    epochs: int = setting(100, "passes over the training images; 0: without this model", ge=0)
    seeds: Any = setting(None, "number of seeds (5: 0 to 4), or their list; null: the study's")

    def constraints(self) -> None:
        """As `Train`, with a single rate."""
        seeds = None if self.seeds is None else seed_list(self.seeds)
        super(OtherModel, replace(self, seeds=seeds)).constraints()
        check_single_rates(self)


@dataclass
class TemporalPreset(Preset):
    """How much of the study is run."""

    samples: int = setting(10, "effective networks per test", ge=1)
    trials: int = setting(2, "trials per condition in a test of the task", ge=1)
    fractions: list[float] = setting([0.0, 1.0], "fractions of VIPs to switch off", ge=0, le=1)
    tolerance: float = setting(0.0, "VIP-like by our thresholds: pi, Xi <= tolerance", ge=0)
    xi_max: float | None = setting(None, "VIP-like: Xi <= xi_max instead; null: tolerance", ge=0)
    m_min: float = setting(0.0, "VIP-like: |m| >= m_min as well", ge=0)


@dataclass
class ReproduceTemporal(Reproduce):
    """The study of the recurrent network: a model of images in sequence, and the task."""

    needs = without(Reproduce.needs, "data.root") | dict.fromkeys(
        ("pixels.[!e]*", "pixels.eval*"), Need("pixels.epochs", "add pixels.epochs=N")
    )
    preset: TemporalPreset = setting(TemporalPreset, "group: smoke, quick, paper")
    task: OtherModel = setting(OtherModel, "settings of `sas train model=multisensory`")
    pixels: OtherModel = setting(OtherModel, "settings of `sas train model=rnn_pixels`")
    psychometric: CurveSettings = setting(CurveSettings, "psychometric curves")
    selectivity: SelectivitySettings = setting(SelectivitySettings, "selectivity")
    trajectories: TrajectorySettings = setting(TrajectorySettings, "trajectories")
    kernel: KernelSettings = setting(KernelSettings, "the tangent kernel")
    neuron: NeuronSettings = setting(NeuronSettings, "the order parameters")

    def constraints(self) -> None:
        """As `Reproduce`; the first model is of images in sequence."""
        super().constraints()
        in_time = self.model.network == "recurrent" and self.model.source != "multisensory"
        require(in_time, "model must be of images in sequence: for example rnn_rows or rnn_digits")
