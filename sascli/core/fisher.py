"""The diagonal of the Fisher information of a network's weights."""

from collections.abc import Iterable

import torch
from torch import Tensor

from sascli.core.backprop import Saved, relu_backward
from sascli.core.network import FeedForward
from sascli.core.products import product


@torch.no_grad()
def fisher(network: FeedForward, batches: Iterable[Tensor]) -> Tensor:
    r"""Mean over all images of the diagonal Fisher information of m, flat like `flat["m"]`.

    .. math::
        F_{ij} = \langle \sum_y p(y|x) (\partial \ln p(y|x) / \partial m_{ij})^2 \rangle_x

    summed over the labels y, not sampled from p(y | x). `batches` are images
    (replicas, batch, n). The network uses m alone, as in BP. As the gradient of one sample is
    K_i a_j times the layer's prefactor, a layer costs one matrix product, of sums of K^2 with
    a^2.
    """
    flat = network.flat["m"]
    total = torch.zeros_like(flat)
    layers = list(zip(network.split(flat), network.split(total), network.scales, strict=True))
    bp, images = network.bp(), 0
    for x in batches:
        tape: list[Saved] = []
        p = bp.logits(x, tape=tape).softmax(-1)
        seen = [a for (a,) in tape]
        squares = [torch.zeros_like(after) for after in [*seen[1:], p]]
        for label in range(p.shape[-1]):
            k = p.clone()
            k[..., label] -= 1
            k *= p[..., label, None].sqrt()
            for number in reversed(range(len(layers))):
                w, _, scale = layers[number]
                k *= scale
                squares[number].addcmul_(k, k)
                if number:
                    k = relu_backward(product(k, w), seen[number])
        for (_, sums, _), square, a in zip(layers, squares, seen, strict=True):
            sums += product(square.mT, a * a)
        images += x.shape[-2]
    return total / images
