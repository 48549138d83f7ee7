"""Shell completion: the script that a shell evaluates, and the candidates it asks for."""

from sascli.cli.composition import Composer, same_side
from sascli.cli.words import FLAGS
from sascli.commands import COMMANDS, REPRODUCE, studies, with_study
from sascli.errors import UserError

# Candidates are whole words; where '=' breaks words, readline replaces what follows it only.
BASH = r"""
_sas_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($("$1" completion query "$line" 2>/dev/null))
    if [[ "$COMP_WORDBREAKS" == *=* && "$word" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    fi
}
complete -o nospace -o default -F _sas_completion sas
""".lstrip()


def completion(words: list[str]) -> str:
    """What `sas completion ...` prints."""
    match words:
        case ["bash"]:
            return BASH
        case ["query", line]:
            return "\n".join(candidates(line))
    raise UserError('for tab completion in bash, write: eval "$(sas completion bash)"')


def candidates(line: str) -> list[str]:
    """The words that may be at the end of a command line, a space after the complete ones."""
    done = line.split()
    word = "" if not done or line[-1:].isspace() else done.pop()
    match with_study(done[1:]):
        case []:
            names = [*(name.split()[0] for name in COMMANDS), "completion", "--help", "--version"]
            words = [f"{name} " for name in dict.fromkeys(names)]
        case [command] if command == REPRODUCE:
            words = [f"{study} " for study in studies()]
        case ["completion"]:
            words = ["bash "]
        case [command, *_] if command in COMMANDS:
            flags = [f"{flag.split()[0].rstrip(',')} " for flag in FLAGS]
            words = flags if word.startswith("-") else settings(command, word)
        case _:
            words = []
    return [candidate for candidate in words if candidate.startswith(word)]


def settings(command: str, word: str) -> list[str]:
    """Keys, options of groups, and true or false where a setting is one of them."""
    composer = Composer(command)
    defaults = composer.settings(composer.compose())
    key, equals, _ = word.partition("=")
    if not equals:
        return [f"{name}=" for name in defaults if same_side(name, word)]
    values = composer.options(key)
    if isinstance(defaults.get(key), bool):
        values = ["true", "false"]
    return [f"{key}={value} " for value in values]
