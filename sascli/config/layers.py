"""Settings that can differ by layer and kind of parameter: lr.pi, lr.rec.pi, init.xi_max.rec."""

from collections.abc import Iterable, Mapping
from typing import Any

from sascli.config.settings import as_list, is_amount, unknown
from sascli.errors import UserError

KINDS = ("m", "pi", "xi")
"""The parameters, as sascli.core.network has them: nothing here imports torch."""
RATES = (*KINDS, "r")
"""What can have its own learning rate; r is the decorrelation of COPI."""
LAYERS = {"feedforward": (), "recurrent": ("in", "rec", "out"), "convolutional": ()}
"""The layers of each kind of network that can have their own settings."""


def per_kind(
    value: Any, what: str, kinds: Iterable[str] = KINDS, layers: Iterable[str] = ()
) -> dict[str, float]:
    """One number per kind of parameter, from a number or from a map with a `default`.

    With `layers` also one per layer and kind, as `rec.pi`: the layer's, else the kind's. A
    layer's value is a number or a map in its turn. Raises UserError.
    """
    values = dict(value) if isinstance(value, Mapping) else {"default": value}
    for key in values:
        if key not in (names := (*kinds, *layers, "default")):
            raise unknown(key, names, f"{what} for")
    numbers = {}
    for kind in kinds:
        number = values.get("default") if values.get(kind) is None else values[kind]
        if not is_amount(number):
            raise UserError(f"{what}.{kind} must be a number >= 0, not {number!r}")
        numbers[kind] = float(number)
    shared = dict(numbers)
    for layer in layers:
        special = values.get(layer)
        special = special if isinstance(special, Mapping) else dict.fromkeys(kinds, special)
        special = {kind: number for kind, number in special.items() if number is not None}
        inner = per_kind(shared | special, f"{what}.{layer}", kinds)
        numbers |= {f"{layer}.{kind}": number for kind, number in inner.items()}
    return numbers


def alternatives(value: Any) -> list[Any]:
    """The numbers or maps of a list of rates, or of a map whose `default` is a list."""
    if isinstance(value, Mapping) and isinstance(value.get("default"), (list, tuple)):
        return [{**value, "default": number} for number in value["default"]]
    return as_list(value)
