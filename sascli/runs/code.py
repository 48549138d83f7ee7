"""The version of the code that made a result."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]


def _git(*words: str) -> str | None:
    """Output of a git command in the source checkout, None outside one."""
    command = ["git", "-C", str(PACKAGE), *words]
    try:
        return subprocess.check_output(
            command, stderr=subprocess.DEVNULL, text=True, timeout=10
        ).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def code_version() -> dict[str, Any]:
    """The commit, whether the code differs from it, and a checksum of the code itself."""
    ours = _git("ls-files", "--error-unmatch", "errors.py") is not None  # not one around it
    status = _git("status", "--porcelain") if ours else None
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return {
        "git_commit": _git("rev-parse", "HEAD") if ours else None,
        "git_dirty": None if status is None else bool(status),
        "code": f"sha256:{digest.hexdigest()}",
    }


def continued_by(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`resumed_by` of a manifest, to which this version of the code is added if it is another."""
    before, code = manifest.get("resumed_by", []), code_version()
    return before if code["code"] == [manifest, *before][-1].get("code") else [*before, code]
