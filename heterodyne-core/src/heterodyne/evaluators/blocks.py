"""Components cut into blocks of frames, and what carries terms from one block to another.

See `heterodyne.evaluators.structured` for the factors l, T and r of S between blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from jax import Array
from jaxtyping import Float

from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Components


class Blocks(NamedTuple):
    """Components cut into blocks, terms of which the last 2F are the cosines and the sines of F fringes.

    ``rise`` = Λ(i) - Λ(s); ``jump`` is Λ(s) - Λ(e of the block before) and ``turn`` κ(s) - κ(s of the block
    before), 0 for the first block. Derivatives have a leading axis (P,).
    """

    a: Float[Array, "*P blocks terms size"]
    rise: Float[Array, "*P blocks terms size"]
    jump: Float[Array, "*P blocks terms"]
    turn: Float[Array, "*P blocks fringes"]

    @property
    def span(self) -> Float[Array, "*P blocks terms"]:
        """Λ(e) - Λ(s) of every block."""
        return self.rise[..., -1]


def cut(rows: Components, size: int) -> Blocks:
    """The components in blocks of ``size`` frames."""
    a, exponent, phase = (jnp.moveaxis(x.reshape(len(x), x.shape[1] // size, size), 1, 0) for x in rows)
    plain = a.shape[1] - phase.shape[1]
    turned = phase - phase[..., :1]
    fringe = a[:, plain:]
    a = jnp.concatenate([a[:, :plain], fringe * jnp.cos(turned), fringe * jnp.sin(turned)], axis=1)
    exponent = jnp.concatenate([exponent, exponent[:, plain:]], axis=1)
    start, end = exponent[..., 0], exponent[..., -1]
    jump = jnp.concatenate([jnp.zeros_like(start[:1]), start[1:] - end[:-1]])
    return Blocks(
        a, exponent - start[..., None], jump, jnp.diff(phase[..., 0], axis=0, prepend=phase[:1, :, 0])
    )


def cut_slopes(rows: Components, slopes: Components, size: int) -> Blocks:
    """The derivatives of the components in blocks, with a leading axis (P,)."""
    return along(partial(cut, size=size), rows, slopes)[1]


def along(of: Callable[[Any], Any], at: Any, slopes: Any) -> tuple[Any, Any]:
    """The value of a function and its derivatives along tangents with a leading axis."""
    return jax.vmap(lambda slope: jax.jvp(of, (at,), (slope,)), out_axes=(None, 0))(slopes)


def sides(b: Blocks) -> tuple[Float[Array, "blocks terms size"], Float[Array, "blocks terms size"]]:
    """l and r."""
    return b.a * jnp.exp(b.rise - b.span[..., None]), b.a * jnp.exp(-b.rise)


class Transfer(NamedTuple):
    """T: each term times ``direct``, to which a fringe's two add each other times ``crossed``."""

    direct: Float[Array, "*blocks terms"]
    crossed: Float[Array, "*blocks 2*fringes"]


def rotation(factor: Float[Array, "*blocks terms"], angle: Float[Array, "*blocks fringes"]) -> Transfer:
    """The factors with a rotation of the fringes, the last terms, by ``angle``."""
    fringes = angle.shape[-1]
    plain = jnp.ones((*angle.shape[:-1], factor.shape[-1] - 2 * fringes))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    of_fringes = factor[..., factor.shape[-1] - 2 * fringes :]
    return Transfer(
        factor * jnp.concatenate([plain, cosine, cosine], axis=-1),
        of_fringes * jnp.concatenate([sine, -sine], axis=-1),
    )


def carried(t: Transfer, rows: Float[Array, "... terms n"]) -> Float[Array, "... terms n"]:
    """Tᵀ times rows."""
    moved = t.direct[..., None] * rows
    if not (turning := t.crossed.shape[-1]):
        return moved
    turned = moved[..., -turning:, :] + t.crossed[..., None] * _exchanged(rows, turning)
    return jnp.concatenate([moved[..., :-turning, :], turned], axis=-2)


def paired(
    rows: Float[Array, "*blocks terms n"], right: Float[Array, "*blocks terms n"], turning: int
) -> Transfer:
    """The derivative of Σ (Tᵀ rows) · right in T, of which ``turning`` terms turn."""
    ends = right[..., right.shape[-2] - turning :, :]
    crossed = jnp.sum(_exchanged(rows, turning) * ends, axis=-1)
    return Transfer(jnp.sum(rows * right, axis=-1), crossed)


def _exchanged(rows: Float[Array, "*blocks terms n"], turning: int) -> Float[Array, "*blocks {turning} n"]:
    """The last rows with cosines and sines exchanged."""
    return jnp.roll(rows[..., rows.shape[-2] - turning :, :], turning // 2, axis=-2)


def transposed(t: Transfer) -> Transfer:
    """T with rows and columns exchanged: rotations the other way."""
    return t._replace(crossed=-t.crossed)


def transfer(b: Blocks) -> Transfer:
    """T(I, J) of all pairs of blocks, 0 unless I < J."""
    start = jnp.cumsum(b.jump + jnp.concatenate([jnp.zeros_like(b.span[:1]), b.span[:-1]]), axis=0)
    phase = jnp.cumsum(b.turn, axis=0)
    before = jnp.triu(jnp.ones((len(start), len(start)), dtype=bool), 1)[..., None]
    exponent = jnp.where(before, start[None, :] - (start + b.span)[:, None], 0.0)
    return rotation(jnp.where(before, jnp.exp(-exponent), 0.0), phase[None, :] - phase[:, None])


class Steps(NamedTuple):
    """Per block l carried to the start of the next one, r, and what carries on to there."""

    left: Float[Array, "blocks *x terms size"]
    right: Float[Array, "blocks *x terms size"]
    over: Transfer


def steps_of(b: Blocks) -> Steps:
    # after the last block there is nothing; its l must be finite all the same
    over = jnp.concatenate([b.span[:-1] + b.jump[1:], b.span[-1:]])
    angle = jnp.concatenate([b.turn[1:], jnp.zeros_like(b.turn[:1])])
    left = carried(rotation(jnp.ones_like(over), angle), b.a * jnp.exp(b.rise - over[..., None]))
    return Steps(left, b.a * jnp.exp(-b.rise), rotation(jnp.exp(-over), angle))


def steps_along(b: Blocks, slopes: Blocks) -> Steps:
    """`Steps` and their derivatives along slopes with a leading axis (P,), after them in the axis x (1+P,)."""
    return jax.tree.map(
        lambda x, of: jnp.concatenate([x[:, None], of.swapaxes(0, 1)], axis=1), *along(steps_of, b, slopes)
    )


def corner(rise: Float[Array, "*blocks terms size"]) -> Float[Array, "*blocks terms size size"]:
    """The tiles on the diagonal: exp(-(Λ_k(j) - Λ_k(i))) for i < j, else 0."""
    upper = jnp.triu(jnp.ones((rise.shape[-1],) * 2, dtype=bool), 1)
    lag = jnp.where(upper, rise[..., None, :] - rise[..., :, None], 0.0)
    return jnp.where(upper, jnp.exp(-lag), 0.0)
