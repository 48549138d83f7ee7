"""Which study a directory belongs to, by its manifest."""

from collections.abc import Mapping
from typing import Any

OLD_KINDS = {
    "figures": "credit",
    "figures-use": "use",
    "figures-copi": "copi",
    "figures-temporal": "temporal",
}
"""The kinds in manifests of earlier versions, with the study that each of them is now."""


def study_name(manifest: Mapping[str, Any]) -> str | None:
    """The name of the study whose directory a manifest describes; None for another command's."""
    return OLD_KINDS.get(manifest.get("kind", ""), manifest.get("study"))
