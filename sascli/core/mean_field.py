r"""The mean-field linear map, Eqs. 2-3, and its closed-form backward, Eqs. 5-7.

Pre-activations of one layer, a the upstream activations, N the upstream width:

.. math::
    z_i = G_i + \varepsilon_i \Delta_i, \quad
    G_i = \sum_j \mu_{ij} a_j / \sqrt N, \quad
    \Delta_i^2 = \sum_j v_{ij} a_j^2 / N,

with :math:`\mu = (1-\pi) m` and :math:`v = (1-\pi)(\Xi + \pi m^2)`. Writing s for the prefactor
1/sqrt(N), r = eps / sqrt(sum_j v_ij a_j^2) and K = dC/dz, the derivatives are

    dC/da_j  = s sum_i K_i mu_ij + s a_j sum_i K_i r_i v_ij             (Eq. 6)
    dC/dmu   = s sum K_i a_j,      dC/dv = (s / 2) sum K_i r_i a_j^2

and the chain rule through mu and v gives Eqs. 7. Where Delta_i = 0 the terms with eps are 0.
Everything works on (replicas, batch, n) activations and (replicas, n_out, n_in) parameters; a
layer costs two matrix products forward and four backward, two fewer without dC/da.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sascli.core import fused
from sascli.core.precision import without_autocast
from sascli.core.products import add_product, product


class Moments(NamedTuple):
    """Moments of the weights; any shape."""

    mu: Tensor  # (1 - pi) m
    var: Tensor  # (1 - pi)(Xi + pi m^2)


def moments(m: Tensor, pi: Tensor, xi: Tensor, out: Moments | None = None) -> Moments:
    """Mean and variance of spike-and-slab weights, written into `out` if any."""
    out = Moments(torch.empty_like(m), torch.empty_like(m)) if out is None else out
    if fused.fit(m, pi, xi, *out):
        fused.moments(m, pi, xi, *out)
        return out
    present = 1 - pi
    torch.mul(present, m, out=out.mu)
    torch.mul(present, torch.addcmul(xi, pi * m, m), out=out.var)
    return out


def forward(
    a: Tensor, a2: Tensor, mu: Tensor, var: Tensor, eps: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Eqs. 2-3: pre-activations z and r = eps / sqrt(sum v a^2), both (replicas, batch, n_out)."""
    return add_noise(product(a, mu.mT), product(a2, var.mT), eps, scale)


def add_noise(z: Tensor, variance: Tensor, eps: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """z = s (sum mu a + eps sqrt(sum v a^2)) and r, in place of the two sums; any shape."""
    # 1/sqrt(0) = inf becomes 0: the convention for Delta = 0. NaN stays, so divergence is seen.
    if fused.fit(z, variance, eps):
        fused.add_noise(z, variance, eps, scale=scale)
        return z, variance
    r = torch.rsqrt(variance).nan_to_num_(nan=math.nan, posinf=0.0).mul_(eps)
    z.addcmul_(variance, r)
    return (z if scale == 1 else z.mul_(scale)), r


def backward(
    k: Tensor,
    a: Tensor,
    a2: Tensor,
    mu: Tensor,
    var: Tensor,
    r: Tensor,
    grad_mu: Tensor,
    grad_var: Tensor,
    *,
    add: bool = False,
    input_gradient: bool = True,
) -> Tensor | None:
    """Eqs. 5-6 from k = s dC/dz. Overwrites r; fills grad_mu and *twice* grad_var, or adds.

    `chain` multiplies by the missing factor 1/2, in one pass over all layers.
    """
    kr = r.mul_(k)
    fill = add_product if add else product
    fill(k.mT, a, out=grad_mu)
    fill(kr.mT, a2, out=grad_var)
    if not input_gradient:
        return None
    return product(k, mu).addcmul_(a, product(kr, var))


def chain(
    m: Tensor, pi: Tensor, xi: Tensor, grad_m: Tensor, grad_pi: Tensor, grad_xi: Tensor
) -> None:
    """Eqs. 7: the three gradients from dC/dmu in `grad_m` and 2 dC/dv in `grad_xi`, in place.

    dmu/dm = 1 - pi, dv/dm = 2 pi m (1 - pi); dmu/dpi = -m, dv/dpi = m^2 (1 - 2 pi) - Xi, which is
    m mu - (Xi + pi m^2); dv/dXi = 1 - pi.
    """
    if fused.fit(m, pi, xi, grad_m, grad_pi, grad_xi):
        fused.chain(m, pi, xi, grad_m, grad_pi, grad_xi)
        return
    present, pi_m, by_var = 1 - pi, pi * m, grad_xi.mul_(0.5)
    slope = (present * m).mul_(m).sub_(torch.addcmul(xi, pi_m, m))
    torch.mul(slope, by_var, out=grad_pi).addcmul_(m, grad_m, value=-1)
    grad_xi.mul_(present)
    grad_m.mul_(present).addcmul_(pi_m, grad_xi, value=2)


class _MeanFieldLinear(torch.autograd.Function):
    """Eqs. 2-3 forward, Eqs. 5-7 backward, on (replicas, ., .) tensors."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor, scale: float
    ) -> Tensor:
        w = moments(m, pi, xi)
        a2 = a * a
        z, r = forward(a, a2, w.mu, w.var, eps, scale)
        ctx.save_for_backward(a, a2, m, pi, xi, r, *w)
        ctx.scale = scale
        return z

    @staticmethod
    @once_differentiable
    @without_autocast
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        a, a2, m, pi, xi, r, mu, var = ctx.saved_tensors
        grad_mu, grad_var = torch.empty_like(m), torch.empty_like(m)
        k = grad_z if ctx.scale == 1 else grad_z * ctx.scale
        grad_a = backward(
            k, a, a2, mu, var, r.clone(), grad_mu, grad_var,
            input_gradient=ctx.needs_input_grad[0],
        )  # fmt: skip
        return grad_a, *parameter_gradients(m, pi, xi, grad_mu, grad_var), None, None


def parameter_gradients(
    m: Tensor, pi: Tensor, xi: Tensor, grad_mu: Tensor, grad_var: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of m, pi and Xi from dC/dmu and 2 dC/dv, which are overwritten."""
    grads = (grad_mu, torch.empty_like(m), grad_var)
    chain(m, pi, xi, *grads)
    return grads


def mean_field_linear(
    a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor, *, scale: float | None = None
) -> Tensor:
    """Pre-activations z = G + eps Delta of spike-and-slab weights, Eqs. 2-3.

    Arguments:
        a: upstream activations, (..., batch, n_in).
        m, pi, xi: parameters of the weights, (..., n_out, n_in).
        eps: standard normal draws, (..., batch, n_out), a constant for the gradients.
        scale: the prefactor; 1/sqrt(n_in) by default.

    Leading axes broadcast.

    Returns:
        z, (..., batch, n_out), differentiable in a, m, pi and xi by the closed forms (Eqs. 5-7).
    """
    tensors = (a, m, pi, xi, eps)
    lead = torch.broadcast_shapes(*(t.shape[:-2] for t in tensors))
    count = math.prod(lead)
    flat = [t.expand(*lead, *t.shape[-2:]).reshape(count, *t.shape[-2:]) for t in tensors]
    scale = 1 / math.sqrt(a.shape[-1]) if scale is None else scale
    z: Tensor = _MeanFieldLinear.apply(*flat, scale)
    return z.view(*lead, *z.shape[-2:])
