"""Compilation in brief: the options of XLA, and what happens where it does not know them."""

import numpy as np
import pytest

from heterodyne.kernels import _jax
from heterodyne.kernels._jax import compiled, compiler_options, jax, jnp


@pytest.fixture
def unknown_options(monkeypatch):
    """An XLA that does not know the options."""
    monkeypatch.setattr(_jax, "_BRIEF", {"xla_no_such_option": True})
    compiler_options.cache_clear()
    yield
    compiler_options.cache_clear()


def double(x, times):
    return times * jnp.sin(x)


def test_compiled_code_gives_what_the_function_does():
    x = np.linspace(0.0, 1.0, 5)
    np.testing.assert_allclose(compiled("times")(double)(x, 3), 3.0 * np.sin(x), rtol=1e-15)
    assert compiled("times")(double).__name__ == "double"


def test_options_that_xla_does_not_know_are_left_out(unknown_options):
    assert compiler_options() is None
    assert float(compiled("times")(double)(0.5, 2)) == pytest.approx(2.0 * np.sin(0.5))


def test_where_xla_knows_the_options_they_are_used():
    options = compiler_options()
    if options is not None:
        jax.jit(double, static_argnums=1).lower(0.5, 2).compile(compiler_options=options)
    assert options in (None, _jax._BRIEF)
