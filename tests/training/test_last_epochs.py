"""The last epoch of each replica: in claims, listings, tables, pictures and documents."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import copi_tables
import pandas as pd
import pytest
import tables as maker
import temporal_tables
import torch
from conftest import composed
from test_stop_loss import TASK, unequal

from sascli import claims, figures, runs
from sascli.config import Figures, Train
from sascli.figures.draw.rows import carried, stopping
from sascli.jobs import listing
from sascli.measure.run import TrainedRun
from sascli.studies.search import train_search
from sascli.training import run as training_run
from sascli.training import sweep

DOCS = Path(__file__).parents[2] / "docs"
EARLY = 7  # epochs that seed 0 trains fewer


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generated parts of the documents."""
    monkeypatch.syspath_prepend(DOCS)
    return import_module("blocks")


def cut(history: pd.DataFrame, early: int = EARLY) -> pd.DataFrame:
    """The history with the last epochs of seed 0 moved to earlier ones, without its first."""
    moved = history.assign(epoch=history["epoch"] - early * (history["seed"] == 0))
    return moved[moved["epoch"] > 0]


def test_last_epochs_of_each_replica() -> None:
    history = pd.DataFrame(
        [(rule, seed, epoch) for rule, last in (("gbp", (3, 5)), ("bp", (4, 2)))
         for seed in (0, 1) for epoch in range(1, last[seed] + 1)],
        columns=["rule", "seed", "epoch"],
    )  # fmt: skip
    last = runs.last_epochs(history)
    assert last["epoch"].tolist() == [3, 5, 4, 2]
    assert runs.last_epochs(history, 2)["epoch"].tolist() == [2, 3, 4, 5, 3, 4, 1, 2]
    assert runs.last_epochs(history.assign(lr=float("nan")))["epoch"].tolist() == [3, 5, 4, 2]


@pytest.mark.parametrize(
    ("register", "made", "reference"),
    [
        ("credit", maker.tables(), maker.REFERENCE),
        ("temporal", temporal_tables.tables(), temporal_tables.REFERENCE),
        ("copi", copi_tables.tables(), copi_tables.REFERENCE),
    ],
)
def test_claims_of_replicas_that_stopped_early(
    register: str, made: maker.Tables, reference: dict[str, int]
) -> None:
    early = 2 if register == "copi" else EARLY
    other = made | {name: cut(made[name], early) for name in ("history",)}
    if register == "copi":  # compared with the first epoch, which stays
        first = made["history"].query("epoch == 1 and seed == 0")
        other["history"] = pd.concat([first, other["history"].query("epoch > 1 or seed != 0")])
    one, two = (claims.evaluate(t, reference, register=register) for t in (made, other))
    pd.testing.assert_frame_equal(one, two)
    longest = made["history"].query("epoch > 1 or epoch == 1")  # the maximum alone would miss it
    assert other["history"]["epoch"].max() == longest["epoch"].max()


def test_tables_and_listings_of_replicas_that_stopped_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = maker.tables()["history"].query("rule == 'gbp'").assign(point="x")
    networks = pd.DataFrame(
        {"rule": "gbp", "depth": 4, "train_size": 10_000, "seed": [0, 0, 1, 1, 2, 2],
         "test_error": 0.1}
    )  # fmt: skip
    one, two = (sweep.datasize(table, networks) for table in (history, cut(history)))
    pd.testing.assert_frame_equal(one, two)
    assert one["test_error"].notna().sum() == 3

    accuracies, searches = [], []
    config = Train(rule={"name": "gbp"}, train_size=10_000, seeds=[0, 1, 2])
    point = sweep.Point("x", config)
    (tmp_path / "runs/x").mkdir(parents=True)
    monkeypatch.setattr(sweep, "train_points", lambda points, parent: None)
    for table in (history, cut(history)):
        runs.write_table(tmp_path / "history.csv", table)
        accuracies.append(listing.accuracy(tmp_path))
        rows = table.drop(columns=list(point.key))
        runs.write_table(tmp_path / "runs/x/history.csv", rows)
        searches.append(train_search([point], tmp_path))
    assert accuracies[0] == accuracies[1] is not None
    pd.testing.assert_frame_equal(*searches)
    assert len(searches[0]) == 3


def test_curves_continue_at_the_last_accuracy() -> None:
    history = temporal_tables.tables()["history"].query("model == 'multisensory'")
    early = cut(history)
    continued = carried(early)
    last = history["epoch"].max()
    assert continued.groupby("epoch")["seed"].nunique().loc[last] == history["seed"].nunique()
    row = continued.query("seed == 0 and rule == 'gbp'").set_index("epoch")["test_accuracy"]
    assert (row.loc[last - EARLY :] == row.loc[last - EARLY]).all() and row.nunique() > 1
    assert stopping(history) == "" and "its last accuracy" in stopping(early)
    pd.testing.assert_frame_equal(carried(history), history.reset_index(drop=True))


@pytest.mark.slow
def test_documents_of_replicas_that_stopped_early(blocks: ModuleType, tmp_path: Path) -> None:
    texts = []
    for name, change in (("whole", lambda table: table), ("cut", cut)):
        made = temporal_tables.tables()
        made["history"] = change(made["history"])
        maker.directory(
            tmp_path / "data" / name, made, kind="reproduce", study="temporal",
            reference=temporal_tables.REFERENCE, command="x",
        )  # fmt: skip
        source = blocks.Source(tmp_path, name, tmp_path)
        texts.append(blocks.BLOCKS["redrawn"](source).replace(name, ""))
        pictures = figures.plot(
            ["redraw"], source.directory, tmp_path / name, Figures(format="png")
        )
        texts.append(pictures[0].read_bytes())
    assert texts[:2] == texts[2:]

    rows = temporal_tables.tables()["history"].query("model == 'rnn_rows' and rule == 'gbp'")
    table = cut(rows)[["seed", "epoch", "train_loss", "test_accuracy"]].assign(setting="sas train")
    extra = ("test_accuracy_mean", "once_mean", "step_mean")
    runs.write_table(tmp_path / "data/temporal.csv", table.assign(**dict.fromkeys(extra, 0.5)))
    text = blocks.BLOCKS["temporal"](blocks.Source(tmp_path, "temporal", tmp_path))
    final = 100 * rows.query("epoch == 20")["test_accuracy"]
    assert f"| 13 to 20 | {final.mean():.2f} ± {final.std():.2f} |" in text


@pytest.mark.slow
def test_runs_are_gathered_at_the_last_epoch_of_each_replica(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(DOCS)
    words = [*TASK.split(), "replicas=3", "epochs=12", f"outputs={tmp_path}", "stop_loss=null"]
    directory = training_run.run(unequal(composed("train", *words), after=3))
    run = TrainedRun(directory, torch.device("cpu"))
    ends = [end or 12 for end in run.manifest["stopped"]]
    assert run.epochs == ends and len({*ends}) > 1
    table = import_module("temporal").rows(run)
    networks = table[table["once_mean"].notna()]
    assert networks["epoch"].tolist() == sorted(ends) and networks["step_mean"].notna().all()
