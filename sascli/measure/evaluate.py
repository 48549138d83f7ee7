"""The evaluation of a run: which images it is tested on, and which it should not know."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.evaluation import evaluation
from sascli.config import Evaluate
from sascli.core.streams import stream
from sascli.data import Data, fitted, load
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun


def evaluate(run: TrainedRun, config: Evaluate) -> Results:
    """All tables of a run on its own test images, or on those that the settings name.

    Raises UserError for images of other classes, for data that are not there, and for a run that
    has no images.
    """
    if run.config.model.source == "multisensory":
        raise UserError(f"{run.directory} is of a task without images: nothing to evaluate")
    source, home = config.model.default, run
    if source is not None:
        home = replace(run, root=None)
        x, y = foreign(run, source, Path(config.data.root or home.config.data.root))
    else:
        x, y = run.data.test_x, run.data.test_y
    if run.network.r:
        print(
            f"warning: rule={run.manifest['rule']} learns outputs of 0 and 1, not probabilities: "
            "calibration and uncertainty are those of a softmax of them",
            flush=True,
        )
    where = Path(home.root or home.config.data.root)
    tables = evaluation(
        run.network,
        run.seeds,
        x,
        y,
        run.classes,
        {name: others(run, name, x, where) for name in config.against},
        samples=config.samples,
        epochs=run.epochs,
        bins=config.bins,
    )
    for table in tables.values():
        table.insert(0, "rule", run.config.rule.name)
    return tables


def opened(run: TrainedRun, source: str, root: Path) -> Data:
    """All images of a data set, in the precision of the run, folders in its size and colours."""
    channels, *sides = run.image_shape
    folder = source == "folder"
    return load(
        source,
        root=root,
        train_size="all",
        test_size="all",
        image_size=max(sides) if folder else None,
        grey=folder and channels == 1,
        device=run.device,
        dtype=getattr(torch, run.config.precision),
    )


def foreign(run: TrainedRun, source: str, root: Path) -> tuple[Tensor, Tensor]:
    """The test images of another data set of the same classes, and their labels.

    A folder that has no test part is one, unless the run was trained on it. Raises UserError where
    the classes are others.
    """
    data = opened(run, source, root)
    if set(data.classes) != set(run.classes):
        odd = ", ".join(sorted(set(data.classes) ^ set(run.classes)))
        raise UserError(f"{data.name} and the run do not have the same classes: {odd}")
    order = torch.tensor([run.classes.index(name) for name in data.classes], device=run.device)
    x, y = data.test_x, data.test_y
    home = Path(run.config.data.root)
    mine = run.config.model.source == "folder" and root.resolve() == home.resolve()
    if source == "folder" and not mine and not (root / "test").is_dir():
        x, y = torch.cat([data.train_x, x]), torch.cat([data.train_y, y])
    return fitted(x, data.image_shape, run.image_shape), order[y]


def others(run: TrainedRun, name: str, x: Tensor, root: Path) -> Tensor:
    """Images that are none of the classes: x with the pixels of each in an order of its own."""
    if name == "shuffled":
        drawn = stream(0, name, device=x.device)
        order = torch.rand(x.shape, generator=drawn, device=x.device).argsort(-1)
        return x.gather(-1, order)
    data = opened(run, name, root)
    return fitted(data.test_x, data.image_shape, run.image_shape)


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy, loss and calibration of each mode of prediction, the mean over replicas."""
    table = tables["evaluation"]
    numbers = ["test_accuracy", "log_loss", "calibration_error"]
    mean: pd.DataFrame = table.groupby("way", sort=False)[numbers].mean()
    return mean
