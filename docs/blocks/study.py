"""Parts about any study: its claims, provenance and pictures."""

import os

from PIL import Image

from blocks.source import Blocks, Source, markdown
from sascli import claims as judged
from sascli.studies.directories import judge


def claims(source: Source, other: str = "") -> str:
    """The paper's claims; `other` is a second data set for claim 15."""
    second = source.docs / "data" / other
    table = judge(source.directory, second if other and second.is_dir() else None)
    return f"{judged.as_markdown(table)}\n\nFrom the tables of `docs/data/{source.name}`."


def provenance(source: Source) -> str:
    """The command, code, data, machine and time of the tables."""
    manifest, times = source.manifest, source.rows("times")
    codes = [manifest, *manifest.get("resumed_by", [])]
    commits = [f"{c['git_commit']}{' with changes' if c['git_dirty'] else ''}" for c in codes]
    facts = {
        "command": f"`{manifest['command']}`",
        "code": ", resumed by ".join(commits),
        "data": f"{manifest['data']['name']}, {manifest['data']['checksum']}",
        "machine": f"{manifest['device']}, {manifest['cores']} cores",
        "versions": ", ".join(
            f"{name} {version}" for name, version in manifest["packages"].items()
        ),
        "start, end": f"{manifest['start']}, {manifest['end']} ({manifest['status']})",
        "training": f"{times['replicas'].sum()} networks in {len(times)} runs, "
        f"{times['seconds'].sum() / 60:.1f} min",
        "cut against the publication": manifest.get("cut", ""),
    }
    facts = {key: value for key, value in facts.items() if value}
    return markdown({"": key, "made by": value} for key, value in facts.items())


def figure(source: Source, name: str) -> str:
    """One picture with the caption that it carries."""
    path = source.docs / "figures" / source.name / f"{name}.png"
    with Image.open(path) as image:
        caption = str(image.info["Description"])
    return f"![{name}]({os.path.relpath(path, source.folder)})\n\n{caption}"


BLOCKS: Blocks = {block.__name__: block for block in (claims, provenance, figure)}
