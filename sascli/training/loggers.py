"""Training shown in TensorBoard or MLflow, from local files; a run's own tables are the source."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from sascli import runs
from sascli.config import Train
from sascli.config.describe import leaves
from sascli.errors import UserError

Show = Callable[[int, Mapping[str, float]], None]
"""Shows values, by their names, of an epoch."""
PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
"""The packages of each logger, in the optional extra of its name."""
PATIENCE = 60.0
"""Seconds for which a run waits while another one makes the database."""


def check_packages(name: str | None) -> None:
    """Raises UserError where a package of a logger is missing."""
    if not all(find_spec(package) for package in PACKAGES.get(name or "", ())):
        raise UserError(f"logger={name} needs pip install 'sas-credit[{name}]'")


def logger(config: Train, directory: Path) -> AbstractContextManager[Show | None]:
    """What `logger` chooses, None for no logger; tables of the run are logged at the end."""
    open_ = {"tensorboard": tensorboard, "mlflow": mlflow}.get(config.logger or "")
    return open_(config, directory) if open_ else nullcontext()


@contextmanager
def tensorboard(config: Train, directory: Path) -> Iterator[Show]:
    """Event files in the run directory; settings and tables are texts."""
    from torch.utils.tensorboard import SummaryWriter

    def text(name: str, content: str) -> None:
        writer.add_text(name, "\n".join(f"    {line}" for line in content.splitlines()))

    def show(epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, epoch)

    with SummaryWriter(str(directory / "tensorboard")) as writer:
        text("settings", json.dumps(asdict(config), indent=1))
        yield show
        for path in sorted(directory.glob("*.csv")):
            text(path.name, path.read_text())


@contextmanager
def mlflow(config: Train, directory: Path) -> Iterator[Show]:
    """A run in the SQLite database outputs/mlflow/mlflow.db, the same one if it is resumed."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    place = Path(config.outputs).resolve() / "mlflow"
    runs.make(place)
    with runs.lock(place, PATIENCE):  # neither the database nor the experiment is made twice
        client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("sas")
        number = (
            experiment.experiment_id
            if experiment
            else client.create_experiment("sas", (place / "artifacts").as_uri())
        )
    start = str(runs.manifest_of(directory)["start"])  # another run may have been there before
    tags = {"directory": str(directory.resolve()), "start": start}
    query = " AND ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    before = client.search_runs([number], query)
    name = f"{directory.parent.name}/{directory.name}"
    run = (before or [client.create_run(number, tags=tags, run_name=name)])[0].info.run_id
    if before:
        client.update_run(run, "RUNNING")
    else:
        settings = [Param(key, json.dumps(value)) for key, value in leaves(asdict(config))]
        client.log_batch(run, params=settings)

    def show(epoch: int, values: Mapping[str, float]) -> None:
        now = round(1000 * time.time())
        metrics = [Metric(name, value, now, epoch) for name, value in values.items()]
        for start in range(0, len(metrics), 1000):  # the most that one call takes
            client.log_batch(run, metrics[start : start + 1000])

    status = "FAILED"
    try:
        yield show
        for path in sorted(directory.glob("*.csv")):
            client.log_artifact(run, str(path))
        status = "FINISHED"
    finally:
        client.set_terminated(run, status)
