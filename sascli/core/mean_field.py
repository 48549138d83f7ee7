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
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sascli.core.products import product


class Moments(NamedTuple):
    """Moments of the weights and intermediate results for their derivatives; any shape."""

    mu: Tensor  # (1 - pi) m
    var: Tensor  # (1 - pi)(Xi + pi m^2)
    present: Tensor  # 1 - pi
    pi_m: Tensor  # pi m
    spread: Tensor  # Xi + pi m^2

    @classmethod
    def empty_like(cls, m: Tensor) -> "Moments":
        """Uninitialised moments of parameters like `m`."""
        return cls(*(torch.empty_like(m) for _ in cls._fields))


def moments(m: Tensor, pi: Tensor, xi: Tensor, out: Moments | None = None) -> Moments:
    """Mean and variance of spike-and-slab weights, written into `out` if any."""
    out = Moments.empty_like(m) if out is None else out
    torch.sub(1, pi, out=out.present)
    torch.mul(out.present, m, out=out.mu)
    torch.mul(pi, m, out=out.pi_m)
    torch.addcmul(xi, out.pi_m, m, out=out.spread)
    torch.mul(out.present, out.spread, out=out.var)
    return out


def forward(
    a: Tensor, a2: Tensor, mu: Tensor, var: Tensor, eps: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Eqs. 2-3: pre-activations z and r = eps / sqrt(sum v a^2), both (replicas, batch, n_out)."""
    return add_noise(product(a, mu.mT), product(a2, var.mT), eps, scale)


def add_noise(z: Tensor, variance: Tensor, eps: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """z = s (sum mu a + eps sqrt(sum v a^2)) in place of its first sum, and r; any shape."""
    # 1/sqrt(0) = inf becomes 0: the convention for Delta = 0. NaN stays, so divergence is seen.
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
    input_gradient: bool = True,
) -> Tensor | None:
    """Eqs. 5-6 from k = s dC/dz. Overwrites r; fills grad_mu and *twice* grad_var.

    `chain` multiplies by the missing factor 1/2, in one pass over all layers.
    """
    kr = r.mul_(k)
    product(k.mT, a, out=grad_mu)
    product(kr.mT, a2, out=grad_var)
    if not input_gradient:
        return None
    return product(k, mu).addcmul_(a, product(kr, var))


def chain(m: Tensor, w: Moments, grad_mu: Tensor, grad_var: Tensor, out: Iterable[Tensor]) -> None:
    """Eqs. 7: gradients of m, pi and Xi into `out` from dC/dmu and 2 dC/dv.

    dmu/dm = 1 - pi, dv/dm = 2 pi m (1 - pi); dmu/dpi = -m, dv/dpi = m^2 (1 - 2 pi) - Xi, which is
    m mu - (Xi + pi m^2); dv/dXi = 1 - pi. Overwrites grad_var and `w.pi_m`.
    """
    grad_m, grad_pi, grad_xi = out
    grad_var.mul_(0.5)
    torch.mul(w.present, grad_var, out=grad_xi)
    torch.mul(w.present, grad_mu, out=grad_m).addcmul_(w.pi_m, grad_xi, value=2)
    slope = torch.mul(m, w.mu, out=w.pi_m).sub_(w.spread)
    torch.mul(slope, grad_var, out=grad_pi).addcmul_(m, grad_mu, value=-1)


class _MeanFieldLinear(torch.autograd.Function):
    """Eqs. 2-3 forward, Eqs. 5-7 backward, on (replicas, ., .) tensors."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor, scale: float
    ) -> Tensor:
        w = moments(m, pi, xi)
        a2 = a * a
        z, r = forward(a, a2, w.mu, w.var, eps, scale)
        ctx.save_for_backward(a, a2, m, r, *w)
        ctx.scale = scale
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        a, a2, m, r, *rest = ctx.saved_tensors
        w = Moments(*rest)
        grad_mu, grad_var = torch.empty_like(m), torch.empty_like(m)
        k = grad_z if ctx.scale == 1 else grad_z * ctx.scale
        grad_a = backward(
            k, a, a2, w.mu, w.var, r.clone(), grad_mu, grad_var,
            input_gradient=ctx.needs_input_grad[0],
        )  # fmt: skip
        return grad_a, *parameter_gradients(m, w, grad_mu, grad_var), None, None


def parameter_gradients(
    m: Tensor, w: Moments, grad_mu: Tensor, grad_var: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`chain` into new tensors, with the moments unchanged for a second backward pass."""
    grads = (torch.empty_like(m), torch.empty_like(m), torch.empty_like(m))
    chain(m, w._replace(pi_m=w.pi_m.clone()), grad_mu, grad_var, grads)
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
