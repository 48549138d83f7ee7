"""The mean-field map and its closed-form gradients against autograd and Eqs. 5-7."""

import math
from collections.abc import Callable

import pytest
import reference
import torch
from reference import ended_parameters, error, normal, smooth_parameters, uniform
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sascli.core import mean_field_linear

BATCH, N_IN, N_OUT = 7, 12, 6
NAMES = ("a", "m", "pi", "xi")
PARAMETERS = ("smooth", "ends", "zero", "one", "pi_zero", "xi_zero", "no_slab_noise_row")
INPUTS = ("normal", "relu", "one_hot", "zero", "one_sample_zero")


def make_parameters(case: str, *leading: int) -> reference.Parameters:
    shape = (*leading, N_OUT, N_IN)
    m, pi, xi = smooth_parameters(*shape)
    zero, one = torch.zeros_like(pi), torch.ones_like(pi)
    if case == "no_slab_noise_row":  # Delta = 0 in two rows only
        pi[..., 0, :], xi[..., 0, :], pi[..., 1, :] = 0, 0, 1
    return {
        "smooth": (m, pi, xi),
        "ends": ended_parameters(*shape),
        "zero": (m, zero, zero),
        "one": (m, one, xi),
        "pi_zero": (m, zero, xi),
        "xi_zero": (m, pi, zero),
        "no_slab_noise_row": (m, pi, xi),
    }[case]


def make_input(case: str, *leading: int) -> Tensor:
    a = normal(*leading, BATCH, N_IN, seed=100)
    if case == "one_sample_zero":
        a[..., 2, :] = 0
    one_hot = torch.eye(BATCH, N_IN, dtype=a.dtype).expand_as(a).clone()
    cases = {"relu": a.relu(), "zero": torch.zeros_like(a), "one_hot": one_hot}
    return cases.get(case, a)


def gradients(
    function: Callable[..., Tensor],
    values: tuple[Tensor, ...],
    eps: Tensor,
    k: Tensor,
    scale: float | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    inputs = tuple(value.clone().requires_grad_() for value in values)
    z = function(*inputs, eps, scale=scale)
    return z, torch.autograd.grad(z, inputs, k)


def compare(values: tuple[Tensor, ...], leading: tuple[int, ...], scale: float | None) -> None:
    eps, k = normal(*leading, BATCH, N_OUT, seed=101), normal(*leading, BATCH, N_OUT, seed=102)
    z, got = gradients(mean_field_linear, values, eps, k, scale)
    z_want, want = gradients(reference.pre_activation, values, eps, k, scale)
    assert z.isfinite().all()
    assert error(z, z_want) < 1e-10
    for name, g, w in zip(NAMES, got, want, strict=True):
        assert w.isfinite().all(), name
        assert error(g, w) < 1e-10, name


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_gradients_equal_autograd(parameters: str, inputs: str, scale: float | None) -> None:
    compare((make_input(inputs), *make_parameters(parameters)), (), scale)


@pytest.mark.parametrize(
    ("leading", "leading_a", "leading_m"),
    [
        ((3,), (3,), (3,)),
        ((3,), (3,), ()),
        ((3,), (), (3,)),
        ((3,), (1,), (3,)),
        ((2, 3), (2, 3), ()),
        ((2, 3), (2, 3), (3,)),
        ((2, 3), (2, 1), (1, 3)),
    ],
)
@pytest.mark.parametrize("parameters", ["smooth", "ends"])
def test_leading_axes_broadcast(
    parameters: str,
    leading: tuple[int, ...],
    leading_a: tuple[int, ...],
    leading_m: tuple[int, ...],
) -> None:
    values = (make_input("relu", *leading_a), *make_parameters(parameters, *leading_m))
    compare(values, leading, None)


@pytest.mark.parametrize("fixed", NAMES)
def test_gradients_with_one_tensor_that_needs_none(fixed: str) -> None:
    values = dict(zip(NAMES, (make_input("relu"), *make_parameters("ends")), strict=True))
    eps, k = normal(BATCH, N_OUT, seed=101), normal(BATCH, N_OUT, seed=102)
    _, want = gradients(reference.pre_activation, tuple(values.values()), eps, k, None)
    leaves = {name: v.clone().requires_grad_(name != fixed) for name, v in values.items()}
    mean_field_linear(*leaves.values(), eps).backward(k)
    for (name, leaf), w in zip(leaves.items(), want, strict=True):
        if name == fixed:
            assert leaf.grad is None
        else:
            assert error(leaf.grad, w) < 1e-10, name


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("parameters", ["smooth", "ends"])
def test_gradients_are_equations_5_to_7(parameters: str, scale: float | None) -> None:
    values = (make_input("normal"), *make_parameters(parameters))
    a, m, pi, xi = (value[:, None, :] if i == 0 else value for i, value in enumerate(values))
    eps, k = normal(BATCH, N_OUT, seed=101), normal(BATCH, N_OUT, seed=102)
    n = N_IN if scale is None else 1
    mu, rho = (1 - pi) * m, (1 - pi) * (xi + m**2)
    delta = ((rho - mu**2) * a**2 / n).sum(-1).sqrt()[..., None]
    assert (delta > 0).all()  # otherwise the ratio below is not the formula
    e, root = eps[..., None], math.sqrt(n)
    # (batch, i, j) derivatives of z_i
    da = mu / root + (rho - mu**2) * a * e / (n * delta)
    dm = (1 - pi) * a / root + m * pi * (1 - pi) * a**2 * e / (n * delta)
    dpi = -m * a / root + (m**2 * (1 - 2 * pi) - xi) * a**2 * e / (2 * n * delta)
    dxi = (1 - pi) * a**2 * e / (2 * n * delta)
    z, got = gradients(mean_field_linear, values, eps, k, scale)
    assert error(z, (mu * a).sum(-1) / root + eps * delta[..., 0]) < 1e-10
    want = (
        torch.einsum("bi,bij->bj", k, da),
        *(torch.einsum("bi,bij->ij", k, d) for d in (dm, dpi, dxi)),
    )
    for name, g, w in zip(NAMES, got, want, strict=True):
        assert error(g, w) < 1e-10, name


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("leading", [(), (2,)])
def test_gradcheck(leading: tuple[int, ...], scale: float | None) -> None:
    values = (normal(*leading, 3, 4, seed=5), *smooth_parameters(2, 4))
    inputs = tuple(value.requires_grad_() for value in values)
    eps = normal(*leading, 3, 2, seed=6)
    assert torch.autograd.gradcheck(
        lambda *args: mean_field_linear(*args, eps, scale=scale), inputs
    )


@pytest.mark.parametrize("parameters", ["zero", "one"])
def test_noise_terms_vanish_where_delta_is_zero(parameters: str) -> None:
    a, m, pi, xi = make_input("normal"), *make_parameters(parameters)
    eps, k = normal(BATCH, N_OUT, seed=101), normal(BATCH, N_OUT, seed=102)
    z, (da, dm, dpi, dxi) = gradients(mean_field_linear, (a, m, pi, xi), eps, k, None)
    weight_gradient, s = k.mT @ a, 1 / math.sqrt(N_IN)
    assert error(z, s * a @ ((1 - pi) * m).mT) < 1e-14
    assert error(da, s * k @ ((1 - pi) * m)) < 1e-14
    assert error(dm, s * (1 - pi) * weight_gradient) < 1e-14
    assert error(dpi, -s * m * weight_gradient) < 1e-14
    assert (dxi == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-22, 1e-10])
def test_tiny_inputs_give_finite_numbers(size: float, dtype: torch.dtype) -> None:
    values = (size * make_input("relu"), *make_parameters("ends"))
    eps, k = normal(BATCH, N_OUT, seed=101).to(dtype), normal(BATCH, N_OUT, seed=102).to(dtype)
    z, got = gradients(mean_field_linear, tuple(v.to(dtype) for v in values), eps, k, None)
    assert z.isfinite().all()
    assert all(g.isfinite().all() for g in got)


def test_negative_variance_is_not_hidden() -> None:
    m, pi, xi = make_parameters("pi_zero")
    z = mean_field_linear(make_input("normal"), m, pi, -xi, normal(BATCH, N_OUT, seed=101))
    assert z.isnan().all()


def test_float32_gradients_follow_float64() -> None:
    values = (make_input("relu"), *make_parameters("ends"))
    eps, k = normal(BATCH, N_OUT, seed=101), normal(BATCH, N_OUT, seed=102)
    single = tuple(value.float() for value in values)
    z, got = gradients(mean_field_linear, single, eps.float(), k.float(), None)
    z_want, want = gradients(mean_field_linear, values, eps, k, None)
    assert z.dtype == torch.float32
    assert error(z, z_want) < 1e-5
    assert all(error(g, w) < 1e-5 for g, w in zip(got, want, strict=True))


def test_default_prefactor_is_one_over_root_width() -> None:
    a, parameters = make_input("normal"), make_parameters("smooth")
    eps = normal(BATCH, N_OUT, seed=101)
    default = mean_field_linear(a, *parameters, eps)
    assert torch.equal(default, mean_field_linear(a, *parameters, eps, scale=1 / math.sqrt(N_IN)))
    assert error(math.sqrt(N_IN) * default, mean_field_linear(a, *parameters, eps, scale=1.0)) < (
        1e-14
    )


def test_eps_is_a_constant() -> None:
    a, parameters = make_input("normal"), make_parameters("smooth")
    eps = normal(BATCH, N_OUT, seed=101).requires_grad_()
    z = mean_field_linear(a.requires_grad_(), *parameters, eps)
    z.sum().backward()
    assert a.grad is not None
    assert eps.grad is None


def test_arguments_do_not_change() -> None:
    values = (make_input("relu"), *make_parameters("ends"))
    inputs = tuple(value.clone().requires_grad_() for value in values)
    eps, k = normal(BATCH, N_OUT, seed=101), normal(BATCH, N_OUT, seed=102)
    eps_before, k_before = eps.clone(), k.clone()
    z = mean_field_linear(*inputs, eps)
    z_before = z.detach().clone()
    torch.autograd.grad(z, inputs, k)
    assert all(torch.equal(i.detach(), v) for i, v in zip(inputs, values, strict=True))
    assert torch.equal(eps, eps_before)
    assert torch.equal(k, k_before)
    assert torch.equal(z.detach(), z_before)


def test_second_backward_gives_same_gradients() -> None:
    values = (make_input("relu"), *make_parameters("ends"))
    inputs = tuple(value.clone().requires_grad_() for value in values)
    z = mean_field_linear(*inputs, normal(BATCH, N_OUT, seed=101))
    k = normal(BATCH, N_OUT, seed=102)
    first = torch.autograd.grad(z, inputs, k, retain_graph=True)
    second = torch.autograd.grad(z, inputs, k)
    assert all(torch.equal(f, s) for f, s in zip(first, second, strict=True))


def test_strided_tensors_and_expanded_gradients() -> None:
    m, pi, xi = (p.mT.contiguous().mT for p in make_parameters("ends"))
    a = uniform(N_IN, BATCH, seed=7).mT
    eps = normal(N_OUT, BATCH, seed=101).mT
    ones = torch.ones((), dtype=a.dtype).expand(BATCH, N_OUT)  # the gradient that sum() sends
    _, got = gradients(mean_field_linear, (a, m, pi, xi), eps, ones, None)
    _, want = gradients(reference.pre_activation, (a, m, pi, xi), eps, ones, None)
    assert all(error(g, w) < 1e-10 for g, w in zip(got, want, strict=True))


@pytest.mark.parametrize(("input_gradient", "backward_products"), [(True, 4), (False, 2)])
def test_number_of_matrix_products(input_gradient: bool, backward_products: int) -> None:
    a = make_input("relu").requires_grad_(input_gradient)
    parameters = [p.requires_grad_() for p in make_parameters("smooth")]
    eps = normal(BATCH, N_OUT, seed=101)
    one_product = 2 * BATCH * N_IN * N_OUT
    with FlopCounterMode(display=False) as forward:
        z = mean_field_linear(a, *parameters, eps)
    with FlopCounterMode(display=False) as backward:
        z.sum().backward()
    assert forward.get_total_flops() == 2 * one_product
    assert backward.get_total_flops() == backward_products * one_product
