"""Settings that may differ by layer and kind of parameter: lr.pi, lr.rec.pi, init.xi_max.rec."""

from collections.abc import Iterable, Mapping
from typing import Any

from sascli.config.settings import as_list, is_amount, unknown
from sascli.errors import UserError

KINDS = ("m", "pi", "xi")

RATES = (*KINDS, "r")
"""What has a learning rate of its own; r is the decorrelation of COPI."""

LAYERS = {"feedforward": (), "recurrent": ("in", "rec", "out")}
"""The layers of each kind of network that can have settings of their own."""


def per_kind(
    value: Any, what: str, kinds: Iterable[str] = KINDS, layers: Iterable[str] = ()
) -> dict[str, float]:
    """One number per kind of parameter from a number or a map with a `default`.

    A layer's own (a number or a map in its turn) come before them, as `rec.pi`.
    """
    given = dict(value) if isinstance(value, Mapping) else {"default": value}
    for key in given:
        if key not in (*kinds, *layers, "default"):
            raise unknown(key, (*kinds, *layers, "default"), f"{what} for")
    numbers = {}
    for kind in kinds:
        number = given.get(kind)
        number = given.get("default") if number is None else number
        if not is_amount(number):
            raise UserError(f"{what}.{kind} must be a number >= 0, not {number!r}")
        numbers[kind] = float(number)
    for layer in layers:
        own = given.get(layer)
        own = own if isinstance(own, Mapping) else dict.fromkeys(kinds, own)
        own = {kind: numbers.get(kind) for kind in kinds} | {
            kind: number for kind, number in own.items() if number is not None
        }
        deeper = per_kind(own, f"{what}.{layer}", kinds)
        numbers |= {f"{layer}.{kind}": number for kind, number in deeper.items()}
    return numbers


def alternatives(value: Any) -> list[Any]:
    """The numbers or maps that a list of rates, or a map whose `default` is one, stands for."""
    if isinstance(value, Mapping) and isinstance(value.get("default"), (list, tuple)):
        return [{**value, "default": one} for one in value["default"]]
    return as_list(value)
