"""The typed schema under the YAML: what can be set, what it means, and what is invalid."""

from sascli.config.continual import METHODS, Continual, strengths
from sascli.config.copi import Compress, Decorrelation, Features, ReproduceCopi
from sascli.config.layers import RATES, alternatives, per_kind
from sascli.config.listings import Clean, Collect, Plan, Runs
from sascli.config.measurements import Claims, Entropy, FromRun, OnImages, Perturb, Plot
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
    CreditPreset,
    Reproduce,
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
from sascli.config.use import Evaluate, Prune, ReproduceUse, Tune
