"""torch's optimisers unwrapped: the same numbers, the same state."""

from typing import Any

import pytest
import torch
from reference import normal

from sascli.core import optimisers


@pytest.mark.parametrize(
    ("name", "options"),
    [("AdamW", {"fused": True}), ("AdamW", {"fused": False}), ("RMSprop", {"alpha": 0.9})],
)
def test_steps_and_state_equal_torch(name: str, options: dict[str, Any]) -> None:
    ends, states = [], []
    for module in (torch.optim, optimisers):
        parameters = [torch.nn.Parameter(normal(4, 3, seed=seed).float()) for seed in (1, 2)]

        def make(rate: float, module: Any = module, parameters: Any = parameters) -> Any:
            groups = [{"params": [p], "lr": rate * n} for n, p in enumerate(parameters, 1)]
            return getattr(module, name)(groups, weight_decay=0.01, **options)

        optimiser = make(0.1)
        for seed in range(3, 9):
            if seed == 6:  # the state continues in a new optimiser
                state, optimiser = optimiser.state_dict(), make(0.5)
                optimiser.load_state_dict(state)
            for parameter in parameters:
                parameter.grad = normal(4, 3, seed=seed).float()
            optimiser.step()
        ends.append(torch.stack([p.detach() for p in parameters]))
        states.append(optimiser.state_dict())
    assert torch.equal(*ends)
    assert states[0]["param_groups"] == states[1]["param_groups"]
    for one, other in zip(*(state["state"].values() for state in states), strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
