"""The documents: files, modules, make targets, commands and settings in them exist."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import composed

from sascli.commands import COMMANDS, RENAMED, with_study
from sascli.config import check

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"\b(NAME|STUDY|PRESET|MODEL)\b")
FOLDERS = "sascli|tests|benchmarks|conf|hydra_plugins|docs"


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    """Each Markdown file in turn."""
    return Path(request.param)


def code_of(document: Path) -> str:
    """The code of a document, inline and in blocks, but for names of data not measured yet."""
    text = re.sub(r"^\*Not measured yet: .*\*$", "", document.read_text(), flags=re.MULTILINE)
    return "\n".join(CODE.findall(text))


def words_after(program: str, document: Path) -> set[str]:
    """The first words that follow a program's name in the code of a document."""
    pattern = rf"(?:^|[`\s]){program} ([a-z][a-z-]*)(?![\w=.])"
    return set(re.findall(pattern, code_of(document)))


def command_lines(document: Path) -> list[str]:
    """The lines of a document's shell blocks that call `sas` with a command."""
    lines = "\n".join(SHELL.findall(document.read_text())).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"sas [a-z]", line)]


def settings_of(line: str) -> tuple[str, list[str]]:
    """The command of a line and its settings, of a multirun the first job's."""
    words = shlex.split(line.replace("sas plan", "sas"), comments=True)
    command, *words = with_study(words[1:])
    first = [re.sub(r"=([^\[,]+),.*", r"=\1", word) for word in words]
    return command, [word for word in first if "=" in word]


def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_sections_of_links_exist(document: Path) -> None:
    for target, section in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text()):
        text = (document.parent / target if target else document).read_text()
        headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}
        assert section in anchors


def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert words_after("make", document) <= targets


def test_commands_exist(document: Path) -> None:
    known = {name.split()[0] for name in COMMANDS}
    assert words_after("sas", document) <= known | RENAMED.keys() | {"completion"}


@pytest.mark.slow
def test_command_lines_have_valid_settings(document: Path) -> None:
    for line in command_lines(document):
        command, settings = settings_of(line)
        check(composed(command, *settings))


def test_files_exist(document: Path) -> None:
    paths = re.findall(rf"`((?:{FOLDERS})/[\w/.-]+)`", code_of(document))
    named = [path for path in paths if not PLACEHOLDER.search(path)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_modules_exist(document: Path) -> None:
    names = set(re.findall(r"\b(?:sascli|benchmarks)(?:\.[a-z_]\w*)+", code_of(document)))
    assert [name for name in names if not is_module(name)] == []


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of the checkout, or a name in one."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    sources = [path.parent.with_suffix(".py"), path.parent / "__init__.py"]
    return any(
        re.search(rf"\b{path.name}\b", source.read_text())
        for source in sources
        if source.is_file()
    )


def test_every_command_is_listed() -> None:
    text = (ROOT / "docs/commands.md").read_text()
    table = re.search(r"^\| command \| what it does \|\n.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert table is not None
    listed = re.findall(r"^\| `sas ([a-z -]+)` \| \w", table[0], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
