"""The fixture `gpu`: the machine's GPU, or where there is none, a device that pretends to be one.

The pretended device is memory of the CPU that reports cuda:0. It refuses operations on tensors or
generators of different devices, counts kernels and the waits of the host, and records CUDA graphs.
It finds what would fail or be slow on a GPU, not how fast it is, nor how it rounds.
"""

import gc
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from sascli.core import streams
from sascli.rules import gradient

Generator = torch.Generator
GPU, CPU, aten = torch.device("cuda", 0), torch.device("cpu"), torch.ops.aten
METHODS = {name: getattr(Tensor, name) for name in ("to", "tolist", "numpy", "new_tensor")}
READING = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal)
READING += (aten._linalg_svd, aten.linalg_svd, aten._linalg_eigh)
"""Operations after which the host waits for the device."""
INDEXING = (aten.index, aten.index_put, aten.index_put_)
load = torch.load


def is_gpu(device: Any) -> bool:
    """Whether a device is a GPU."""
    return torch.device(device).type == "cuda"


def on_gpu(tensor: Tensor) -> bool:
    """Whether a tensor is in the memory of the pretended device."""
    return getattr(tensor.untyped_storage(), "on_gpu", False)


def mark(tensor: Tensor, where: bool = True) -> Tensor:
    """Say where a tensor's memory is; its storage keeps the note while it lives."""
    tensor.untyped_storage().on_gpu = where
    return tensor


def needs_host(index: Tensor) -> bool:
    """Whether the host waits for the device at this index: a mask, or one in the host's memory."""
    return index.dtype == torch.bool or not on_gpu(index)


def leaves_of(tree: Any) -> list[Any]:
    """The arguments or results of an operation, out of their lists; torch's function is slow."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if not isinstance(tree, list | tuple):
        return [tree]
    return [leaf for branch in tree for leaf in leaves_of(branch)]


class PretendedGenerator(Generator):
    """A generator that knows its device."""

    known: dict[int, tuple[Generator, bool]] = {}  # noqa: RUF012 - dispatch makes other objects

    def __new__(cls, device: Any = "cpu") -> "PretendedGenerator":
        """A generator of the CPU, entered as one of the device."""
        self = Generator.__new__(cls)
        cls.known[self._cdata] = self, is_gpu(device)
        return self


class Pretended(TorchDispatchMode):
    """The device while the mode is on; `kernels` by operation, `waits` by kind and line."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.waits = Counter[str](), Counter[tuple[str, str]]()
        self.graph: Graph | None = None  # that is being recorded

    def wait(self, kind: str) -> None:
        """Count a wait of the host at the line of sascli that causes it."""
        if self.graph is not None:
            raise RuntimeError(f"{kind}: operation not permitted when stream is capturing")
        frame: Any = sys._getframe(1)
        while frame and "/sascli/" not in frame.f_code.co_filename:
            frame = frame.f_back
        where = frame and f"{frame.f_code.co_filename.split('/sascli/')[-1]}:{frame.f_lineno}"
        self.waits[kind, str(where)] += 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Check, count and run an operation, and say where its results are."""
        kwargs, op, leaves = dict(kwargs or {}), func.overloadpacket, leaves_of((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        source = target = any(map(on_gpu, tensors))
        if kwargs.get("device") is not None:
            target, kwargs["device"] = is_gpu(kwargs["device"]), CPU
        kwargs.pop("pin_memory", None)
        if op in (aten.copy_, aten._to_copy):
            if len({*map(on_gpu, tensors), target}) > 1:
                self.wait("copy")
        elif source:
            indices = args[1] if op in INDEXING else ()
            if any(index is not None and needs_host(index) for index in indices):
                self.wait(op.__name__)
            if op in READING:
                self.wait(op.__name__)
            self.check(func, [t for t in tensors if not any(t is index for index in indices)])
        for generator in leaves:
            if isinstance(generator, Generator):
                if PretendedGenerator.known.get(generator._cdata, (0, False))[1] != target:
                    raise RuntimeError(f"{func}: generator and tensor on different devices")
                if self.graph is not None:
                    raise RuntimeError(
                        f"{func}: draws in a graph would be the same at each replay"
                    )
        if self.graph is not None:
            self.graph.save(func, args, kwargs)
        out = func(*args, **kwargs)
        for tensor in leaves_of(out):
            if isinstance(tensor, Tensor) and not hasattr(tensor.untyped_storage(), "on_gpu"):
                mark(tensor, target)
        if target and not func.is_view:
            self.kernels[op.__name__] += 1
            if self.graph is not None:
                self.graph.operations.append((func, args, kwargs, out))
        return out

    def check(self, func: Any, tensors: list[Tensor]) -> None:
        """Raise RuntimeError for a tensor of the CPU among those of the device."""
        strays = [tensor for tensor in tensors if not on_gpu(tensor)]
        if torch.Tag.pointwise in func.tags:  # these take numbers in tensors of the CPU
            strays = [tensor for tensor in strays if tensor.dim()]
        if strays:
            raise RuntimeError(f"{func}: tensors on cuda:0 and cpu")


class Graph:
    """A CUDA graph: the recorded operations run anew on the same memory, and nothing else does."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.before: list[tuple[Tensor, Tensor]] = []

    def save(self, func: Any, args: Any, kwargs: Any) -> None:
        """Keep the numbers that an operation will change: recording does not run it."""
        for place, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                value = args[place] if place < len(args) else kwargs.get(argument.name)
                changed = [leaf for leaf in leaves_of(value) if isinstance(leaf, Tensor)]
                self.before += [(tensor, tensor.clone()) for tensor in changed]

    def restore(self) -> None:
        """Undo what was recorded."""
        for tensor, value in reversed(self.before):
            tensor.copy_(value)

    def replay(self) -> None:
        """Run the operations; results go where they went when they were recorded."""
        with _disable_current_modes(), torch.no_grad():
            for func, args, kwargs, out in self.operations:
                results = leaves_of(func(*args, **kwargs))
                for old, new in zip(leaves_of(out), results, strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class Stream:
    """A stream; here all work is in order anyway."""

    def wait_stream(self, other: "Stream") -> None:
        """Wait for another stream."""


def patches(mode: Pretended) -> dict[Any, dict[str, Any]]:
    """What the device replaces of torch, by owner and name."""

    def to(self: Tensor, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], Tensor):
            device, args = args[0].device, (args[0].dtype, *args[1:])
        elif args and isinstance(args[0], str | torch.device):
            device, *args = args  # type: ignore[assignment]
        kwargs.pop("non_blocking", None)
        if device is not None and is_gpu(device) != on_gpu(self):
            mode.wait("copy")
            with _disable_current_modes():
                self = mark(self.detach().clone(), is_gpu(device))
        return METHODS["to"](self, *args, **kwargs) if args or kwargs else self

    def tolist(self: Tensor) -> Any:
        if on_gpu(self):
            mode.wait("tolist")
        return METHODS["tolist"](self)

    def numpy(self: Tensor, **kwargs: Any) -> Any:
        if on_gpu(self):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return METHODS["numpy"](self, **kwargs)

    def new_tensor(self: Tensor, data: Any, **kwargs: Any) -> Tensor:
        return mark(METHODS["new_tensor"](self, data, **kwargs), on_gpu(self))

    def loaded(file: Any, map_location: Any = "cpu", **kwargs: Any) -> Any:
        content = load(file, "cpu", **kwargs)
        for tensor in leaves_of(content) if is_gpu(map_location) else ():
            if isinstance(tensor, Tensor):
                mark(tensor)
        return content

    @contextmanager
    def recording(graph: Graph, **_: Any) -> Iterator[None]:
        mode.graph = graph
        try:
            yield
        finally:
            mode.graph = None
        with _disable_current_modes(), torch.no_grad():
            graph.restore()

    def answer(value: Any) -> Callable[..., Any]:
        return lambda *_, **__: value

    answers = {"_lazy_init": None, "is_available": True, "device_count": 1, "current_device": 0}
    answers |= {"get_device_name": "pretended", "empty_cache": None, "synchronize": None}
    answers |= {"reset_peak_memory_stats": None, "max_memory_allocated": 1}
    answers |= {"memory_allocated": 0}
    answers |= {"get_device_properties": SimpleNamespace(total_memory=2**36)}
    graphs = {"CUDAGraph": Graph, "graph": recording, "Stream": Stream, "stream": _nothing}
    methods = {
        "to": to,
        "tolist": tolist,
        "numpy": numpy,
        "cpu": lambda tensor: to(tensor, "cpu"),
        "new_tensor": new_tensor,
        "device": property(lambda tensor: GPU if on_gpu(tensor) else CPU),
        "is_cuda": property(on_gpu),
        "is_cpu": property(lambda tensor: not on_gpu(tensor)),
    }
    return {
        Tensor: methods,
        torch: {"Generator": PretendedGenerator, "load": loaded},
        torch.cuda: {name: answer(value) for name, value in answers.items()}
        | graphs
        | {"current_stream": answer(Stream())}
        | {"is_current_stream_capturing": lambda: mode.graph is not None},
        torch.accelerator: {"current_accelerator": answer(None)},
        gc: {"collect": answer(0)},  # it takes a second
    }


@contextmanager
def _nothing(_: object) -> Iterator[None]:
    yield


@contextmanager
def pretended() -> Iterator[Pretended]:
    """`device=cuda` works, on the CPU."""
    mode = Pretended()
    with pytest.MonkeyPatch.context() as patch:
        for owner, names in patches(mode).items():
            for name, value in names.items():
                patch.setattr(owner, name, value, raising=False)
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") asks the mode
        try:
            with mode:
                yield mode
        finally:
            torch._C._set_only_lift_cpu_tensors(False)
            PretendedGenerator.known.clear()


class Counted:
    """The machine's GPU, whose waits torch reports as warnings."""

    def __init__(self) -> None:
        self.waits = Counter[tuple[str, str]]()

    def show(self, message: Any, category: Any, file: str, line: int, *_: Any) -> None:
        """Count the warning of a wait."""
        if "synchroniz" in str(message):
            self.waits["wait", f"{file.split('/sascli/')[-1]}:{line}"] += 1


@contextmanager
def counted() -> Iterator[Counted]:
    """The machine's GPU; copies to it are not among the waits that torch reports."""
    device = Counted()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = device.show  # type: ignore[assignment]
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield device
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """All devices draw the numbers of the CPU, for one step at a time."""
    monkeypatch.setattr(gradient, "BLOCK", 1)
    if torch.cuda.is_available():
        fill = streams._fill

        def fill_from_cpu(draw: Any, out: Tensor, generator: Any) -> Tensor:
            if not out.is_cuda:
                return fill(draw, out, generator)
            return out.copy_(fill(draw, torch.empty(out.shape, dtype=out.dtype), generator))

        monkeypatch.setattr(streams, "_fill", fill_from_cpu)
        monkeypatch.setattr(torch, "Generator", HostGenerator)


class HostGenerator(Generator):
    """A generator of the CPU, whatever its device."""

    def __new__(cls, device: Any = "cpu") -> "HostGenerator":
        """A generator."""
        return Generator.__new__(cls)


@pytest.fixture
def gpu() -> Iterator[Pretended | Counted]:
    """The device of `device=cuda`; its `waits` are those of the host, by kind and line."""
    with counted() if torch.cuda.is_available() else pretended() as device:
        yield device
