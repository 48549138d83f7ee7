"""Run directories: claim, describe, lock, find; files in and out."""

from sascli.runs import slurm
from sascli.runs.code import code_version
from sascli.runs.directories import (
    CONFIG,
    FORMAT,
    MANIFEST,
    MULTIRUN,
    at_work,
    begun,
    claim,
    describe,
    find,
    locate,
    manifest_of,
    now,
    of_settings,
    outcome,
    provenance,
    recorded,
)
from sascli.runs.files import (
    cannot_write,
    make,
    read_json,
    read_table,
    replacing,
    rows,
    told_apart,
    write_json,
    write_table,
)
from sascli.runs.history import last_epochs, replica_keys
from sascli.runs.kinds import OLD_KINDS, study_name
from sascli.runs.locks import BusyError, busy, lock

__all__ = [
    "CONFIG",
    "FORMAT",
    "MANIFEST",
    "MULTIRUN",
    "OLD_KINDS",
    "BusyError",
    "at_work",
    "begun",
    "busy",
    "cannot_write",
    "claim",
    "code_version",
    "describe",
    "find",
    "last_epochs",
    "locate",
    "lock",
    "make",
    "manifest_of",
    "now",
    "of_settings",
    "outcome",
    "provenance",
    "read_json",
    "read_table",
    "recorded",
    "replacing",
    "replica_keys",
    "rows",
    "slurm",
    "study_name",
    "told_apart",
    "write_json",
    "write_table",
]
