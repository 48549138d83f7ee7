"""The documents: the files, targets and commands that they name exist."""

import re
from pathlib import Path

import pytest

from sascli.commands import COMMANDS, RENAMED

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    """Each Markdown file in turn."""
    return Path(request.param)


def named(document: Path, program: str) -> set[str]:
    """Return the first words that follow a program's name in the code of a document."""
    code = "\n".join(CODE.findall(document.read_text()))
    return set(re.findall(rf"(?:^|[`\s]){program} ([a-z][a-z-]*)(?![\w=.])", code))


def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named(document, "make") <= targets


def test_commands_exist(document: Path) -> None:
    known = {name.split()[0] for name in COMMANDS}
    assert named(document, "sas") <= known | RENAMED.keys() | {"completion"}


def test_tests_exist(document: Path) -> None:
    code = "\n".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))
    named = set(re.findall(r"`(test(?:_[a-z0-9]+){4,})`", document.read_text()))  # columns: less
    assert named <= set(re.findall(r"^def (test_\w+)", code, re.MULTILINE))
