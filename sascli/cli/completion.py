"""Bash completion: the script that a shell evaluates, and the candidates it asks for."""

import argparse

from hydra._internal.utils import get_args_parser

from sascli.cli.composition import Composer, is_hydra
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
    """The words that may stand at the end of a command line, a space after the finished ones."""
    done = line.split()
    word = "" if not done or line[-1:].isspace() else done.pop()
    match with_study(done[1:]):
        case []:
            names = [*(name.split()[0] for name in COMMANDS), "completion", "--help", "--version"]
            found = [f"{name} " for name in dict.fromkeys(names)]
        case [command] if command == REPRODUCE:
            found = [f"{study} " for study in studies()]
        case ["completion"]:
            found = ["bash "]
        case [command, *_] if command in COMMANDS:
            found = flags() if word.startswith("-") else overrides(command, word)
        case _:
            found = []
    return [candidate for candidate in found if candidate.startswith(word)]


def flags() -> list[str]:
    """Hydra's long flags."""
    actions: list[argparse.Action] = get_args_parser()._actions
    return [f"{flag} " for action in actions for flag in action.option_strings if flag[1] == "-"]


def overrides(command: str, word: str) -> list[str]:
    """Keys, options of groups, and true or false where a setting is one of them."""
    composer = Composer(command)
    cfg = composer.compose()
    key, equals, _ = word.partition("=")
    settings = composer.settings(cfg)
    if not equals:
        return [f"{name}=" for name in settings if is_hydra(name, word)]
    values = composer.options(key)
    if isinstance(settings.get(key), bool):
        values = ["true", "false"]
    return [f"{key}={value} " for value in values]
