"""The typed schema under the YAML: what can be set, what it means, and what is invalid."""

from sascli.config.continual import METHODS, Continual, strengths
from sascli.config.copi import Compress, Decorrelation, Features, ReproduceCopi
from sascli.config.figures import Figures
from sascli.config.layers import RATES, alternatives, per_kind
from sascli.config.listings import Clean, Collect, Plan, Runs
from sascli.config.measurements import (
    Claims,
    Compare,
    Entropy,
    FromRun,
    OnImages,
    Perturb,
    Plot,
)
from sascli.config.needs import Need, Never
from sascli.config.population import population, replica_count, varied
from sascli.config.rule import RuleSettings, rule_schema, rule_settings
from sascli.config.settings import (
    as_list,
    check,
    config_hash,
    decisive,
    plain,
    seed_list,
    setting,
    typed,
    unknown,
)
from sascli.config.sweeps import (
    AtlasPreset,
    CreditPreset,
    Reproduce,
    ReproduceAtlas,
    ReproduceCredit,
    SearchPreset,
    SweepDatasize,
    scaled,
)
from sascli.config.temporal import (
    CurveSettings,
    Kernel,
    KernelSettings,
    LazySettings,
    NeuronSettings,
    OrderParameters,
    OtherModel,
    Psychometric,
    RecordingSettings,
    ReproduceTemporal,
    Selectivity,
    SelectivitySettings,
    Trajectories,
    TrajectorySettings,
)
from sascli.config.train import (
    FAN_IN,
    IDENTITY,
    DataSettings,
    Evaluation,
    Init,
    Model,
    Optim,
    Train,
    hidden_widths,
    initial,
    run_name,
    training_of,
)
from sascli.config.use import (
    ConvolutionPreset,
    Evaluate,
    Prune,
    ReproduceConvolution,
    ReproduceUse,
    Tune,
)
from sascli.config.used import check_used, without_effect
