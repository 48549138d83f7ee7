"""A GPU: whether it computes what the CPU does, then times and memory; at most eight minutes.

python -m benchmarks.gpu [--minutes 8] [--out docs/data/bench] [--rehearse]

It needs no network, and of the packages neither Hydra nor OmegaConf. The table gpu-<name>.csv has
a row for each check, time and size, in the order of their worth: what no time is left for is
missing. --rehearse runs all of it, smaller, on a device that pretends; its numbers mean nothing.
Exits with an error if a check fails.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.without_hydra import stand_in

stand_in()  # before anything of sascli

from benchmarks import timing  # noqa: E402
from benchmarks.gpu_agreement import checks  # noqa: E402
from benchmarks.gpu_cases import Case  # noqa: E402
from sascli import runs  # noqa: E402
from sascli.config import Train  # noqa: E402
from sascli.core.precision import set_precision  # noqa: E402
from sascli.data import Data  # noqa: E402
from sascli.errors import DivergedError, out_of_memory  # noqa: E402
from sascli.rules.base import Rule  # noqa: E402
from sascli.training import loop  # noqa: E402
from sascli.training.capture import step_of  # noqa: E402
from sascli.training.memory import free  # noqa: E402

SECONDS, EPOCHS = 8.0, 100
"""Of a measurement, which ends with the first of them."""
MANY = 100
"""Replicas of a population."""
LAST = 60.0
"""Seconds before the end after which nothing is begun."""
TIMES = [
    Case("published", replicas=MANY),
    Case("published", capture="always"),
    Case("published"),
    Case("rows", capture="always"),
    Case("rows"),
    Case("task", capture="always"),
    Case("task"),
    Case("published", replicas=MANY, precision="tf32"),
    Case("published", "bp", capture="always"),
    Case("published", "bp", replicas=MANY),
    Case("copi", "copi", capture="always"),
    Case("copi", "copi"),
    Case("copi", "copi", precision="tf32"),
    Case("rows", replicas=MANY, capture="always"),
    Case("task", replicas=MANY, capture="always"),
    Case("rows", "bp", capture="always"),
]
SMALLER = 0.8
"""The next population to try where one does not fit."""
REHEARSED = {"width": 6, "depth": 3, "batch_size": 30}

Value = dict[str, object]
Step = Callable[[Tensor, Tensor], Tensor]


def seconds_per_epoch(case: Case, device: torch.device, limit: float) -> Iterator[Value]:
    """Time of an epoch with the test after it, and memory of a replica without the images.

    Both end by reading back. The first epoch, which records the graph, does not count.
    """
    set_precision(case.precision, device)
    data, config = case.data(device), case.config
    free(device)
    before = torch.cuda.memory_allocated(device)
    rule = case.rule_on(device)
    step, seconds, epoch = step_of(rule, case.capture), 0.0, 1
    one_epoch(data, rule, epoch, config, step)
    while epoch <= EPOCHS and (epoch == 1 or seconds < limit):
        epoch += 1
        start = time.perf_counter()
        one_epoch(data, rule, epoch, config, step)
        seconds += time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated(device) - before
    yield {"what": "s an epoch", "value": seconds / (epoch - 1), "epochs": epoch - 1}
    yield {"what": "bytes a replica", "value": peak / case.replicas}


def one_epoch(data: Data, rule: Rule, epoch: int, config: Train, step: Step) -> None:
    """Train an epoch and test; numbers that diverge take as long."""
    with suppress(DivergedError):
        loop.one_epoch(data, rule, epoch, config.batches, step=step)
    loop.evaluate(data, rule, epoch, config)


def largest_population(
    case: Case, device: torch.device, per_replica: float, available: float
) -> Iterator[Value]:
    """The largest number of replicas tried that trains a step and is tested."""
    count = max(1, int(available / per_replica))
    while True:
        if fits(replace(case, replicas=count), device):
            yield {"what": "largest population", "value": count}
            return
        count = max(1, int(SMALLER * count))


def fits(case: Case, device: torch.device) -> bool:
    """Whether a population trains two steps and is tested."""
    free(device)
    try:
        data, rule = case.data(device), case.rule_on(device)
        loop.one_epoch(data, rule, 1, 2)
        loop.evaluate(data, rule, 1, case.config)
    except RuntimeError as error:
        if case.replicas == 1 or not out_of_memory(error):
            raise
        return False
    return True


def agreement(
    case: Case, reference: str, check: Callable[..., tuple[float, float]], device: torch.device
) -> Iterator[Value]:
    """A check: the difference from its reference, and the bound below which it agrees."""
    set_precision(case.precision, device)
    value, bound = check(case, device)
    row = {"what": "difference from", "reference": reference, "value": value, "bound": bound}
    yield row | {"agrees": value < bound}


def measure(device: torch.device, end: float, rehearse: bool) -> Iterator[Value]:
    """All rows of the table."""

    def rows(case: Case, values: Callable[[], Iterator[Value]]) -> Iterator[Value]:
        if time.monotonic() < end - LAST:
            start = time.monotonic()
            for value in values():
                row = {"model": case.model, "rule": case.rule, "replicas": case.replicas}
                row |= {"precision": case.precision, "capture": case.capture, **value}
                print(*row.values(), f"({time.monotonic() - start:.0f} s)", flush=True)
                yield row

    for case, reference, check in checks():
        yield from rows(case, partial(agreement, case, reference, check, device))
    memory = 0.0
    for case in TIMES:
        if rehearse:
            case = replace(case, replicas=min(case.replicas, 2), images=60, changes=REHEARSED)
        limit = 0.0 if rehearse else SECONDS
        for row in rows(case, partial(seconds_per_epoch, case, device, limit)):
            memory = memory or (float(str(row["value"])) if "bytes" in str(row["what"]) else 0.0)
            yield row
    if memory:
        free(device)
        room = 3 * memory if rehearse else torch.cuda.mem_get_info(device)[0]
        case = replace(TIMES[0], images=60, changes=REHEARSED) if rehearse else TIMES[0]
        yield from rows(case, partial(largest_population, case, device, memory, room))


def main() -> None:
    """Check, measure, print, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=Path("docs/data/bench"))
    parser.add_argument("--rehearse", action="store_true", help="on a device that pretends")
    args = parser.parse_args()
    end, device = time.monotonic() + 60 * args.minutes, torch.device("cuda", 0)
    with ExitStack() as stack:
        if args.rehearse:
            sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
            from gpu.device import pretended

            stack.enter_context(pretended())
        if not torch.cuda.is_available():
            sys.exit("there is no GPU; --rehearse runs everything on a device that pretends")
        name = torch.cuda.get_device_name(device)
        table = runs.rows(list(measure(device, end, args.rehearse)))
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"gpu-{slug}.csv"
    runs.write_table(
        path, table.assign(gpu=name, torch=torch.__version__, machine=timing.machine())
    )
    failed = table[table["agrees"].eq(False)]
    print(path, f"{len(failed)} checks failed", sep="\n")
    sys.exit(bool(len(failed)))


if __name__ == "__main__":
    main()
