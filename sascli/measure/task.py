"""Measurements of a trained network of the multisensory task."""

from itertools import product

import pandas as pd

from sascli.analysis import psychometric as curves
from sascli.analysis import selectivity as neurons
from sascli.analysis import trajectories as components
from sascli.analysis import trials
from sascli.config import (
    CurveSettings,
    RecordingSettings,
    SelectivitySettings,
    Train,
    TrajectorySettings,
)
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import Timing
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun

FIXATION = 500.0
"""Length of a test trial's fixation in ms."""


def psychometric(run: TrainedRun, config: CurveSettings) -> Results:
    """psychometric.csv and sigmoids.csv."""
    network, timing = network_of(run), timing_of(run.config, config.dt)
    conditions = list(product(config.modality, config.frequencies))
    tables = [
        curves.choices_of(network, run.seeds, mode, sample, conditions, config.trials, timing)
        for mode, sample in curves.networks(config.way, config.samples)
    ]
    table = pd.concat(tables, ignore_index=True)
    return {"psychometric": table, "sigmoids": curves.sigmoids(table)}


def selectivity(run: TrainedRun, config: SelectivitySettings) -> Results:
    """selectivity.csv of trained and untrained networks, responses.csv of the trained ones."""
    trained, recording = network_of(run), recording_of(config, run)
    if recording.timing.ends[2] % recording.step:
        raise UserError(
            f"every={config.every:g}: the choice is the last rate of the decision, after "
            f"{recording.timing.ends[2] * recording.timing.dt:g} ms: give a part of it"
        )
    table, responses = neurons.selectivity(trained, run.seeds, recording, config)
    untrained = run.untrained
    assert isinstance(untrained, Recurrent)
    control, _ = neurons.selectivity(untrained, run.seeds, recording, config, right=True)
    tables = [table.assign(network="trained"), control.assign(network="untrained")]
    return {"selectivity": pd.concat(tables, ignore_index=True), "responses": responses}


def trajectories(run: TrainedRun, config: TrajectorySettings) -> Results:
    """trajectories.csv and components.csv; with snapshots also synapses.csv."""
    network = network_of(run)
    layer = run.checked("layer", config.layer, len(network.layers), first=1)
    rates, variances = components.neural(network, run.seeds, recording_of(config, run))
    if not run.snapshots:
        print(f"{run.directory} has no snapshots: synapses.csv needs a run with snapshot_every=10")
        return {"trajectories": rates, "components": variances}
    synapses, more = components.synaptic(run.paths, run.seeds, layer)
    variances = pd.concat([variances, more], ignore_index=True)
    return {"trajectories": rates, "synapses": synapses, "components": variances}


def network_of(run: TrainedRun) -> Recurrent:
    """The trained network. Raises UserError for a run of another model."""
    if run.config.model.source != "multisensory":
        raise UserError(
            f"{run.directory} is of model={run.manifest['model']}: run= needs one of "
            "model=multisensory"
        )
    network = run.network
    assert isinstance(network, Recurrent)
    return network


def timing_of(training: Train, dt: float) -> Timing:
    """A test's timing with the time constant of training. Raises UserError for an invalid dt."""
    return Timing(dt=dt, tau=training.model.tau, fixation=FIXATION)


def recording_of(config: RecordingSettings, run: TrainedRun) -> trials.Recording:
    """How noise-reduced trials are run and recorded."""
    timing = timing_of(run.config, config.dt)
    return trials.Recording(timing, config.noise, config.trials, config.every)
