"""Parts about the atlas: where each claim holds, and the settings of the two questions."""

from blocks.source import Blocks, Source
from sascli.claims import FAILS, HOLDS, UNMEASURED
from sascli.claims.atlas import CLAIMS, PUBLISHED, in_words
from sascli.figures.atlas.settings import FALLING, STEPS

QUESTIONS = {"steps": ([PUBLISHED, f"every {STEPS}"], [4, 8, 11]), "rate": ([FALLING], [4])}
"""The factors and the claims of each question."""


def words(source: Source) -> str:
    """A line for each claim: where it holds."""
    lines = "\n".join(f"- {line}" for line in in_words(source.rows("atlas")))
    return f"{lines}\n\nFrom `docs/data/{source.name}/atlas.csv`."


def counts(source: Source) -> str:
    """The number of different settings at which each claim holds and does not.

    A network that several factors list has the same numbers in each and counts once.
    """
    table = source.rows("atlas")
    records = []
    for claim in CLAIMS:
        rows = table[table["claim"] == claim.number].set_index("factor")
        others = rows.drop(PUBLISHED).drop_duplicates(["mean", "se", "verdict", "detail"])
        numbers = others["verdict"].value_counts()
        records.append(
            {
                "claim": claim.number,
                "statement": claim.statement,
                "published": rows.loc[PUBLISHED, "verdict"],
                "settings where it holds": numbers.get(HOLDS, 0),
                "does not hold": numbers.get(FAILS, 0),
            }
        )
    return source.part(records, "", "atlas")


def question(source: Source, name: str) -> str:
    """The rows of the settings that answer a question."""
    factors, claims = QUESTIONS[name]
    table = source.rows("atlas")
    table = table[table["factor"].isin(factors) & table["claim"].isin(claims)]
    records = [
        {
            "claim": row.claim,
            "setting": row.factor if row.setting == "all" else row.setting,
            "statistic": row.detail if row.verdict == UNMEASURED else row.statistic,
            "mean": f"{row.mean:.3g}",
            "SE": f"{row.se:.2g}",
            "seeds": row.n_seeds,
            "verdict": row.verdict,
        }
        for row in table.sort_values("claim", kind="stable").itertuples()
    ]
    return source.part(records, "SE: standard error over seeds.", "atlas")


def skipped(source: Source) -> str:
    """The settings that could not be trained, with the reason."""
    table = source.rows("atlas")
    reasons = table.groupby(["factor", "setting"], sort=False)[["verdict", "detail"]]
    lines = [
        f"- `{setting}`: {rows['detail'].iloc[0]}"
        for (_, setting), rows in reasons
        if set(rows["verdict"]) == {UNMEASURED} and rows["detail"].nunique() == 1
    ]
    return "\n".join(lines) or "Every setting was trained."


BLOCKS: Blocks = {
    "atlas_words": words,
    "atlas_counts": counts,
    "atlas_question": question,
    "atlas_skipped": skipped,
}
