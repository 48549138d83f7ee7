"""Parts of docs/replication.md: they agree with the verdicts, and with numbers made by hand."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from sascli import claims, runs
from sascli.claims.check import Check
from sascli.studies.directories import judge

DOCS = Path(__file__).parents[1] / "docs"
VALUES = pd.Series([1.0, 2.0, 3.0, 4.0])
"""Mean 2.5, SE 0.65."""


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the report's parts."""
    monkeypatch.syspath_prepend(DOCS)
    return import_module("blocks.replication")


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (Check("", VALUES, above=1), "yes"),
        (Check("", VALUES, above=2), "undecided"),
        (Check("", VALUES, above=3.5), "undecided"),
        (Check("", VALUES, above=4), "opposite"),
        (Check("", VALUES, below=1), "opposite"),
        (Check("", VALUES, above=3, errors=-2), "yes"),
        (Check("", VALUES, above=4, errors=-2), "opposite"),
    ],
)
def test_outcome_of_a_check(report: ModuleType, check: Check, outcome: str) -> None:
    assert report.outcome(check) == outcome


def test_means_have_the_digits_of_their_error(report: ModuleType) -> None:
    assert report.with_error(-0.12845, 0.2312) == "-0.13 ± 0.23"
    assert report.with_error(6433.4, 492.6) == "6433 ± 493"
    assert report.with_error(4.0, float("nan")) == "4"


def test_extent_counts_checks(report: ModuleType) -> None:
    assert report.part(["yes", "yes"]) == "replicated in full"
    partly = report.part(["yes", "opposite", "undecided"])
    assert partly == "replicated in part: 1 of 3 checks pass, 1 opposite"
    assert report.part(["undecided"]) == "not replicated: 0 of 1 checks pass"


@pytest.mark.slow
def test_extents_agree_with_verdicts(report: ModuleType) -> None:
    source = report.Source(DOCS, "mnist-paper", DOCS)
    table = judge(source.directory).set_index("claim")
    rows = {row["claim"]: row for row in report.judgements(source)}
    for number, verdict in table["verdict"].items():
        full = rows[number]["extent"] == "replicated in full"
        assert full == (verdict == "holds")
    assert "- not measured: 1 (claim 15)" in report.replicated(source)
    assert "| 5 | not < 0 by more than 1 SE | replicated in full |" in report.verdicts(source)
    checks = [line for line in report.checks(source, "11", "17").splitlines() if "SE |" in line]
    assert len(checks) == 1 + table["detail"][[11, 17]].str.count("; ").sum() + 2
    fails = sum(line.endswith(("opposite |", "undecided |")) for line in checks)
    assert fails == table["detail"][[11, 17]].str.count("fails").sum() > 0


def test_claim_15_is_compared_with_a_second_data_set(report: ModuleType) -> None:
    source = report.Source(DOCS, "mnist-paper", DOCS)
    compared = report.compared(report.Source(DOCS, "cifar10-paper", DOCS), "mnist-paper")
    same = sum(line.count(" holds |") == 2 for line in compared.splitlines())
    row = next(row for row in report.judgements(source, "cifar10-paper") if row["claim"] == 15)
    assert row["mean"] == same
    assert row["extent"].endswith(f"{same} of 6 checks pass")


def test_reference_error_is_beside_the_seeds(report: ModuleType) -> None:
    source = report.Source(DOCS, "mnist-paper", DOCS)
    table = runs.read_table(source.directory / "perturbation.csv")
    errors = table.query("rule == 'gbp' and layer == 1 and kind == 'vip_off' and fraction == 1")
    lowest = 100 * errors.groupby("seed")["test_error"].mean().min()
    line = next(
        line for line in report.perturbed_seeds(source, "reference-error").splitlines()
        if "`vip_off`" in line
    )  # fmt: skip
    assert f"| {lowest:.1f} |" in line and "| 10.2 | 5 |" in line


def test_means_over_all_connections_weight_the_layers_by_size(report: ModuleType) -> None:
    source = report.Source(DOCS, "mnist-paper", DOCS)
    table = source.rows("datasize_layers", rule="gbp", depth=5, train_size=40_000)
    sizes = table["layer"].map({1: 784 * 100, 2: 100 * 100, 3: 100 * 100, 4: 100 * 10})
    part = (table["entropy"] * sizes).groupby(table["seed"]).sum() / 99_400
    lines = report.layer_means(source, "entropy", "5").splitlines()
    line = next(line for line in lines if line.startswith("| 40000 |"))
    assert line.endswith(f"| {part.mean():.2f} ± {part.std():.2f} | 5 |")


def test_reference_values_outside_the_seeds_are_counted(report: ModuleType) -> None:
    source = report.Source(DOCS, "mnist-paper", DOCS)
    known = runs.read_table(DOCS / "data/reference-run.csv").set_index(["depth", "layer"])
    columns = ["sparsity", "vip_fraction", "uip_fraction"]
    seeds = source.rows("layers", train_size=10_000).groupby(["depth", "layer"])[columns]
    known = known[columns].reindex(seeds.min().index)
    outside = ((known < seeds.min()) | (known > seeds.max())).sum().sum()
    text = import_module("blocks.credit").layers(source, "reference-run")
    assert f"{outside} of {known.notna().sum().sum()} reference values are outside" in text
    assert outside > 0


def test_rows_of_the_atlas_are_counted_by_verdict(report: ModuleType) -> None:
    table = pd.read_csv(DOCS / "data/atlas-paper/atlas.csv").query("claim == 4")
    first = table["factor"] == "published"
    published, others = table["verdict"][first], table[~first].groupby("detail")["verdict"].first()
    assert (table["factor"] == "every T at equal steps").sum() == 1  # shares its first check
    numbers = f"| {(others == 'holds').sum()} | {(others == 'does not hold').sum()} |"
    text = import_module("blocks.atlas").counts(report.Source(DOCS, "atlas-paper", DOCS))
    line = next(line for line in text.splitlines() if line.startswith("| 4 |"))
    assert line.endswith(f"| {published.item()} {numbers}")


def test_first_existing_name_is_shown(report: ModuleType, tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("<!-- BEGIN tally none,mnist-paper,cifar10-paper -->\n<!-- END -->\n")
    text = import_module("build").generated(DOCS, document)
    counts = claims.summary(judge(DOCS / "data/mnist-paper")).rstrip(".")
    assert f"{counts} (`docs/data/mnist-paper`" in text
