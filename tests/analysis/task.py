"""Networks of the multisensory task made by hand, for the tests of its analysis."""

import torch

from sascli.core.recurrent import Dynamics, Recurrent
from sascli.data.multisensory import Timing

SEEDS = (2, 9)
QUICK = Timing(dt=20.0)


def integrator(gain: float = 1.0, sigma: float = 0.0, xi: float = 0.0) -> Recurrent:
    """Two neurons that keep what visual+ and auditory+, or visual- and auditory-, gave them.

    Further neurons: one that gets visual+ and visual- alike, and one that gets nothing. Output 0
    is the first neuron, output 1 the second.
    """
    network = Recurrent(
        [5, 4, 2], Dynamics(70, 0.2, sigma=sigma, every_step=True), len(SEEDS), dtype=torch.float64
    )
    w_in, w_rec, w_out = network.layers
    with torch.no_grad():
        w_in.m[:, 0] = torch.tensor([gain, gain, 0, 0, 0])
        w_in.m[:, 1] = torch.tensor([0, 0, gain, gain, 0])
        w_in.m[:, 2] = torch.tensor([1.0, 0, 1, 0, 0])
        w_rec.m[:, :2, :2] = torch.eye(2)
        w_rec.xi.fill_(xi)
        w_out.m[:, :, :2] = torch.eye(2)
    return network
