"""The evaluation of a run: on its test images or on others, and against images of no class."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.evaluation import evaluation
from sascli.config import Evaluate
from sascli.core.precision import dtype_of
from sascli.core.streams import stream
from sascli.data import Data, fitted, load
from sascli.errors import UserError
from sascli.measure.credit import rates_of
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun


def evaluate(run: TrainedRun, config: Evaluate) -> Results:
    """All tables of a run on its own test images, or on those of `config.model`.

    Raises UserError for images of other classes, for missing data, and for a run of the
    multisensory task.
    """
    if run.config.model.source == "multisensory":
        raise UserError(f"{run.directory} is of a task without images: nothing to evaluate")
    source, root = config.model.default, Path(run.root or run.config.data.root)
    if source is None:
        x, y = run.data.test_x, run.data.test_y
    else:
        root = Path(run.config.data.root)  # data.root is that of the other data set
        x, y = other_images(run, source, Path(config.data.root or root))
    if run.network.r:
        print(
            f"warning: rule={run.manifest['rule']} learns outputs of 0 and 1, not probabilities: "
            "calibration and uncertainty are those of their softmax",
            flush=True,
        )
    against = {name: images_of_no_class(run, name, x, root) for name in config.against}
    tables = evaluation(
        run.network, run.seeds, x, y, run.classes, against,
        samples=config.samples, epochs=run.epochs, redraw=run.config.eval.redraw,
        bins=config.bins,
    )  # fmt: skip
    for table in tables.values():
        table.insert(0, "rule", run.config.rule.name)
    return tables


def load_all(run: TrainedRun, source: str, root: Path) -> Data:
    """All images of a data set in the run's precision; folders in its image size and colours."""
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
        dtype=dtype_of(run.config.precision),
    )


def other_images(run: TrainedRun, source: str, root: Path) -> tuple[Tensor, Tensor]:
    """The test images of another data set of the same classes, and their labels.

    Of a folder without a test part, which the run was not trained on, these are all images.
    Raises UserError for other classes.
    """
    data = load_all(run, source, root)
    if set(data.classes) != set(run.classes):
        difference = ", ".join(sorted(set(data.classes) ^ set(run.classes)))
        raise UserError(f"{data.name} and the run do not have the same classes: {difference}")
    order = torch.tensor([run.classes.index(name) for name in data.classes], device=run.device)
    x, y = data.test_x, data.test_y
    root, training_root = root.expanduser(), Path(run.config.data.root).expanduser()
    same = root.resolve() == training_root.resolve()
    trained_on = run.config.model.source == "folder" and same
    if source == "folder" and not trained_on and not (root / "test").is_dir():
        x, y = torch.cat([data.train_x, x]), torch.cat([data.train_y, y])
    return fitted(x, data.image_shape, run.image_shape), order[y]


def images_of_no_class(run: TrainedRun, name: str, x: Tensor, root: Path) -> Tensor:
    """Images of none of the classes: x with the pixels of each shuffled, or another data set."""
    if name == "shuffled":
        order = torch.rand(x.shape, generator=stream(0, name)).argsort(-1)  # as on the CPU
        return x.gather(-1, order.to(x.device))
    data = load_all(run, name, root)
    return fitted(data.test_x, data.image_shape, run.image_shape)


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy, loss and calibration of each prediction mode, mean over replicas of one rate."""
    table = tables["evaluation"]
    by_mode = table.groupby([*rates_of(table), "way"], sort=False)
    return by_mode[["test_accuracy", "log_loss", "calibration_error"]].mean()
