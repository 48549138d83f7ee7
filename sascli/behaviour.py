"""Measurements of a trained network of the multisensory task."""

import re

import pandas as pd

from sascli import checkpoint
from sascli.analysis import psychometric as curves
from sascli.analysis import selectivity as neurons
from sascli.analysis import trajectories as components
from sascli.analysis import trials
from sascli.config import Curves, Paths, Recording, Train, Tuning
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import Timing
from sascli.errors import UserError
from sascli.measuring import Tables, Trained

FIXATION = 500.0
"""Length of a test trial's fixation in ms."""


def psychometric(config: Curves, run: Trained) -> Tables:
    """psychometric.csv and sigmoids.csv."""
    table = curves.psychometric(
        network_of(run),
        run.seeds,
        ways=config.way,
        frequencies=config.frequencies,
        modalities=config.modality,
        repeats=config.trials,
        samples=config.samples,
        timing=timing_of(run.config, config.dt),
    )
    return {"psychometric": table, "sigmoids": curves.sigmoids(table)}


def selectivity(config: Tuning, run: Trained) -> Tables:
    """selectivity.csv and responses.csv."""
    criterion = neurons.Criterion(config.least, config.level, config.permutations)
    table, responses = neurons.selectivity(
        network_of(run), run.seeds, recorded(config, run), criterion
    )
    return {"selectivity": table, "responses": responses}


def trajectories(config: Paths, run: Trained) -> Tables:
    """trajectories.csv and components.csv; synapses.csv where the run kept snapshots."""
    network = network_of(run)
    if not 1 <= config.layer <= len(network.layers):
        raise UserError(f"layer must be 1 to {len(network.layers)}, not {config.layer}")
    paths, shares = components.neural(network, run.seeds, recorded(config, run))
    snapshots = {
        int(number[1]): checkpoint.load_weights(path, device=run.device)
        for path in run.directory.glob("weights-*.safetensors")
        if (number := re.search(r"-(\d+)\.", path.name))
    }
    if len(snapshots) < 2:
        print(f"{run.directory} kept no snapshots: train with snapshot_every=10 for synapses.csv")
        return {"trajectories": paths, "components": shares}
    synapses, more = components.synaptic(snapshots, run.seeds, config.layer)
    return {
        "trajectories": paths,
        "synapses": synapses,
        "components": pd.concat([shares, more], ignore_index=True),
    }


def network_of(run: Trained) -> Recurrent:
    """The trained network. Raises UserError for a run of another task."""
    if run.config.model.source != "multisensory":
        raise UserError(
            f"{run.directory} is of model={run.manifest['model']}: name a run of "
            "model=multisensory with run="
        )
    network = run.network
    assert isinstance(network, Recurrent)
    return network


def timing_of(training: Train, dt: float) -> Timing:
    """A test's timing with the time constant of the training. Raises UserError as `Timing`."""
    return Timing(dt=dt, tau=training.model.tau, fixation=FIXATION)


def recorded(config: Recording, run: Trained) -> trials.Recording:
    """How noise-reduced trials are run and recorded."""
    timing = timing_of(run.config, config.dt)
    return trials.Recording(timing, config.noise, config.trials, config.every)
