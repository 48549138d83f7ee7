"""The noise of a layer, wherever its model is moved, copied or saved."""

from typing import Any

import torch
from torch import Tensor

from sascli.core.streams import stream


class Noise:
    """Normal draws from a stream of random numbers for each device, made when first used.

    Copies and pickles hold the state of every stream, so that they continue where the original
    is; a stream of a device that does not exist where the pickle is read remains unused. The
    replicas of DataParallel share this object and draw from different streams.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._states = dict[str, bytes]()
        self._generators = dict[torch.device, torch.Generator]()

    def generator(self, device: torch.device) -> torch.Generator:
        """The stream of a device."""
        if device not in self._generators:
            generator = stream(self.seed, "noise", device.index or 0, device=device)
            if str(device) in self._states:
                state = bytearray(self._states[str(device)])
                generator.set_state(torch.frombuffer(state, dtype=torch.uint8))
            self._generators[device] = generator
        return self._generators[device]

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # generators cannot be compiled
    def __call__(self, like: Tensor, *shape: int) -> Tensor:
        """Standard normal draws with the device and dtype of a tensor."""
        return like.new_empty(shape).normal_(generator=self.generator(like.device))

    def __getstate__(self) -> dict[str, Any]:
        # not as tensors, which torch.load may move to another device
        states = {str(d): bytes(g.get_state().numpy()) for d, g in self._generators.items()}
        return {"seed": self.seed, "_states": self._states | states, "_generators": {}}
