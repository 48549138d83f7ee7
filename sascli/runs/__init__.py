"""Run directories: claim, describe, lock, find; files in and out."""

from sascli.runs import slurm
from sascli.runs.code import code_version, continued_by
from sascli.runs.directories import (
    CONFIG,
    FORMAT,
    MANIFEST,
    MULTIRUN,
    begun,
    claim,
    describe,
    differences,
    find,
    finished,
    locate,
    manifest_of,
    moment,
    now,
    of_settings,
    outcome,
    provenance,
    recorded,
    running,
    study_name,
    versions,
    warn,
)
from sascli.runs.files import (
    add_replica_columns,
    cannot_write,
    in_bytes,
    last_epochs,
    make,
    rate_names,
    read_json,
    read_table,
    replacing,
    replica_keys,
    rows,
    select,
    write_json,
    write_table,
)
from sascli.runs.locks import WORKERS, BusyError, busy, lock
from sascli.runs.weights import (
    CHECKSUM,
    WEIGHTS,
    is_outdated,
    measured_run,
    places,
    weights_checksum,
)
