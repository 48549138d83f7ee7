"""Parts of the replication report: claims in brief, their checks, a second implementation."""

from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np

from blocks.source import (
    OPPOSITE,
    OUTCOMES,
    OVER_SEEDS,
    PASSES,
    UNDECIDED,
    Blocks,
    Source,
    outcome,
    spread,
)
from sascli import claims as judged
from sascli import figures, runs
from sascli.claims.check import Check, Tables
from sascli.claims.shapes import by_seed
from sascli.errors import UserError
from sascli.studies.directories import judge, name_of

PARTS = ("replicated in full", "replicated in part", "not replicated")
"""How much of a claim is replicated: all of its checks pass, some or none."""


def checks_of(source: Source) -> dict[int, list[Check]]:
    """The checks of every claim that can be measured, by its number."""
    study = import_module(f"sascli.claims.{name_of(source.manifest)}")
    tables, checks = Tables(figures.read_tables(source.directory), source.reference), {}
    for claim in study.CLAIMS:
        with suppress(UserError):
            checks[claim.number] = claim.checks(tables)
    return checks


def with_error(mean: float, error: float) -> str:
    """A mean with its SE, both to two significant digits of the SE."""
    if not error > 0:
        return f"{mean:.3g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def part(outcomes: list[str]) -> str:
    """How much of a claim is replicated, from the outcomes of its checks."""
    passed = outcomes.count(PASSES)
    if passed == len(outcomes):
        return PARTS[0]
    opposite = f", {outcomes.count(OPPOSITE)} opposite" * (OPPOSITE in outcomes)
    return f"{PARTS[1 if passed else 2]}: {passed} of {len(outcomes)} checks pass{opposite}"


def judgements(source: Source, other: str = "") -> list[dict[str, Any]]:
    """The claims of a study, each with its extent; `other` is a data set for claim 15."""
    second = source.docs / "data" / other
    table = judge(source.directory, second if other and second.is_dir() else None)
    records = [{str(key): row[key] for key in row} for row in table.to_dict("records")]
    outcomes = {n: list(map(outcome, checks)) for n, checks in checks_of(source).items()}
    for row in records:
        pairs = [
            PASSES if judged.FAILS not in pair else UNDECIDED for pair in row["detail"].split("; ")
        ]
        measured = row["verdict"] != judged.UNMEASURED
        row["extent"] = part(outcomes.get(row["claim"], pairs)) if measured else row["verdict"]
    return records


def verdicts(source: Source, other: str = "") -> str:
    """Every claim, its deciding check with its bound, and how much of it is replicated."""
    records, known = [], checks_of(source)
    for row in judgements(source, other):
        measured, count = row["detail"], ""
        if row["verdict"] != judged.UNMEASURED:
            mean = with_error(row["mean"], row["std"] / np.sqrt(row["n_seeds"]))
            measured, count = f"{row['statistic']}: {mean}", row["n_seeds"]
        named = [check for check in known.get(row["claim"], []) if check.what == row["statistic"]]
        record = {
            "claim": row["claim"],
            "statement": row["statement"],
            "we measured": measured.replace("|", "\\|"),
            "n": count,
            "must be": bound(named[0]) if named else "",
            "result": row["extent"],
        }
        records.append(record)
    note = "Mean ± SE over n seeds of the deciding check: the first that fails, or else the first."
    return source.part(records, note)


def replicated(source: Source, other: str = "") -> str:
    """The numbers of the claims that are replicated in full, in part and not at all."""
    groups = dict[str, list[str]]()
    for row in judgements(source, other):
        groups.setdefault(row["extent"].partition(":")[0], []).append(str(row["claim"]))
    return "\n".join(
        f"- {extent}: {len(groups[extent])} (claim{'s' * (len(groups[extent]) > 1)} "
        f"{', '.join(groups[extent])})"
        for extent in (*PARTS, judged.UNMEASURED)
        if extent in groups
    )


def compared(source: Source, first: str) -> str:
    """The verdicts of claim 15's claims on a first data set and on this one."""
    both = [judge(source.docs / "data" / first), judge(source.directory)]
    names = [runs.manifest_of(source.docs / "data" / first)["data"]["name"]]
    names.append(source.manifest["data"]["name"])
    records = [
        {"claim": row.claim, "statement": row.statement}
        | dict(zip(names, (row.verdict, other.verdict), strict=True))
        for row, other in zip(*(table.itertuples() for table in both), strict=True)
        if row.claim in judged.SAME
    ]
    return source.part(records, "", *("datasize_layers", "histograms", "perturbation"))


def checks(source: Source, *numbers: str) -> str:
    """Every check of these claims."""
    known = checks_of(source)
    records = [
        {
            "claim": number,
            "check": check.what.replace("|", "\\|"),
            "mean ± SE": with_error(check.mean, check.error),
            "n": len(check.values),
            "must be": bound(check),
            "passes": outcome(check),
        }
        for number in numbers
        for check in known.get(int(number), [])
    ]
    return source.part(records, f"{OUTCOMES} n: seeds.")


def bound(check: Check) -> str:
    """The bound of a check in words."""
    sign, limit = (">", check.above) if np.isfinite(check.above) else ("<", check.below)
    if check.errors < 0:
        return f"not {'<' if sign == '>' else '>'} {limit:g} by more than {-check.errors:g} SE"
    return f"{sign} {limit:g} by more than {check.errors:g} SE"


def tally(source: Source) -> str:
    """The number of claims with each verdict, and where they were measured."""
    counts = judged.summary(judge(source.directory)).rstrip(".")
    return f"{counts} (`docs/data/{source.name}`, made by `{source.manifest['command']}`)."


def layer_means(source: Source, column: str, depth: str) -> str:
    """A column of the layers against T at one depth, and its mean over all connections."""
    table = source.rows("datasize_layers", rule="gbp", depth=int(depth))
    known = source.rows("layers", rule="gbp", depth=int(depth)).groupby("layer").first()
    sizes = known["n_in"] * known["n_out"]
    records = []
    for size, rows in table.groupby("train_size"):
        values = by_seed(rows, column, "layer")
        over_all = (values * sizes).sum(axis=1) / sizes.sum()
        records.append(
            {"T": size}
            | {f"layer {layer}": spread(values[layer]) for layer in values}
            | {"all connections": spread(over_all), "seeds": len(values)}
        )
    return source.part(records, f"`{column}`, L = {depth}; {OVER_SEEDS}", "datasize_layers")


def perturbed_seeds(source: Source, reference: str) -> str:
    """Test error by seed with the connections of layer 1 perturbed, beside a reference run."""
    table = source.rows("perturbation", rule="gbp", layer=1, **source.point)
    other = runs.read_table(source.docs / "data" / f"{reference}.csv").set_index("kind")
    records = []
    for kind, value in other["test_error"].items():
        rows = table if kind == "none" else table[table["kind"] == kind]
        errors = by_seed(rows, "test_error", "fraction")[0.0 if kind == "none" else 1.0]
        records.append(
            {
                "perturbed": f"`{kind}`",
                "ours %": spread(errors, 100),
                "lowest seed": f"{100 * errors.min():.1f}",
                "highest seed": f"{100 * errors.max():.1f}",
                "reference %": f"{100 * value:.1f}",
                "seeds": len(errors),
            }
        )
    note = f"Test error with all candidates of layer 1 perturbed (f = 1); {OVER_SEEDS}"
    return source.part(records, note, "perturbation")


BLOCKS: Blocks = {
    block.__name__: block
    for block in (
        verdicts, replicated, compared, checks, tally, layer_means, perturbed_seeds,
    )
}  # fmt: skip
