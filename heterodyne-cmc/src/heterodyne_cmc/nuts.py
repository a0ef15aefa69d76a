"""NUTS by NumPyro, block after block of draws, so that a run that was stopped goes on where it was.

One file per block of a chain holds its draws and the sampler's state after it, as plain arrays. Chains run
side by side in threads: compiled code releases the interpreter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from heterodyne.kernels._jax import compiled, compiler_options, jax
from heterodyne_cmc.arrays import leaves, read_arrays, tree_of, write_arrays
from heterodyne_cmc.density import Code, Target, potential

STATISTICS = ("diverging", "accept_prob", "num_steps", "energy", "potential_energy")


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample: chains, warm-up and draws per chain, acceptance aimed at, seed, block of draws."""

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    target_accept: float = 0.8
    max_tree_depth: int = 10
    seed: int = 0
    block: int = 50
    threads: int = 2


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws ``u`` (chains, draws, p) and the sampler's statistics by name, (chains, draws) each."""

    u: np.ndarray
    statistics: dict[str, np.ndarray]


OnBlock = Callable[[int, int, int], None]
"""Called with a chain's number, its steps done, warm-up included, and its divergences after warm-up."""


def sample(
    code: Code,
    target: Target,
    starts: np.ndarray,
    settings: SamplerSettings,
    folder: Path | None,
    on_block: OnBlock,
) -> Draws:
    """Draws from ``starts`` (chains, p); blocks that stand in ``folder`` are not drawn again."""
    sampler, stopped = _Sampler(code, target, settings), threading.Event()

    def heed(chain: int, done: int, divergences: int) -> None:
        if stopped.is_set():
            raise CancelledError
        on_block(chain, done, divergences)

    with ThreadPoolExecutor(max(1, min(settings.threads, settings.chains))) as pool:
        run = partial(_chain, sampler, folder, heed)
        try:
            chains = list(pool.map(run, range(settings.chains), starts))
        except BaseException:  # Ctrl-C reaches this thread alone; the others end with their block
            stopped.set()
            raise
    return Draws(
        np.stack([chain["u"] for chain in chains]),
        {name: np.stack([chain[name] for chain in chains]) for name in STATISTICS},
    )


class _Sampler:
    """NumPyro's kernel for one density, compiled once for all chains."""

    def __init__(self, code: Code, target: Target, settings: SamplerSettings):
        self.target, self.settings = jax.tree.map(jax.numpy.asarray, target), settings
        self._lock = threading.Lock()
        self._compiled: dict[int, Any] = {}
        self._start, self._kernel = hmc(
            potential_fn_gen=lambda target: partial(potential, code, target), algo="NUTS"
        )
        self._slope = compiled()(jax.value_and_grad(partial(potential, code), argnums=1))

    def start(self, u: np.ndarray, key: Any) -> Any:
        """The state at the start of a chain."""
        with self._lock:  # the kernel keeps what it learns here in variables of its own
            # computed here, because the kernel would compute them one compiled operation at a time
            energy, slope = self._slope(self.target, u)
            return self._start(
                ParamInfo(jax.numpy.asarray(u), energy, slope),
                num_warmup=self.settings.warmup,
                target_accept_prob=self.settings.target_accept,
                max_tree_depth=self.settings.max_tree_depth,
                dense_mass=True,
                rng_key=key,
                model_args=(self.target,),
            )

    def advance(self, state: Any, steps: int) -> tuple[Any, Any]:
        """The state after so many steps, and the states on the way (draws and statistics)."""
        with self._lock:
            if steps not in self._compiled:
                lowered = jax.jit(partial(self._run, steps)).lower(state, self.target)
                self._compiled[steps] = lowered.compile(compiler_options())
        return self._compiled[steps](state, self.target)

    def _run(self, steps: int, state: Any, target: Target) -> tuple[Any, Any]:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            new = self._kernel(state, (target,), {})
            return new, {"u": new.z, **{name: getattr(new, name) for name in STATISTICS}}

        return jax.lax.scan(step, state, None, length=steps)


def _chain(
    sampler: _Sampler, folder: Path | None, on_block: OnBlock, chain: int, start: np.ndarray
) -> dict[str, np.ndarray]:
    """The draws of one chain after warm-up."""
    settings = sampler.settings
    key = jax.random.fold_in(jax.random.PRNGKey(settings.seed), chain)
    state = sampler.start(start, key)
    parts, divergences = [], 0
    for number, steps in enumerate(block_lengths(settings)):
        file = None if folder is None else folder / f"chain-{chain:02d}" / f"block-{number:04d}.npz"
        found = None if file is None else _read_block(file, state)
        if found is not None:
            part, state = found
        else:
            state, drawn = sampler.advance(state, steps)
            part = {name: np.asarray(value) for name, value in drawn.items()}
            if file is not None:
                _write_block(file, part, state)
        parts.append(part)
        done = sum(len(part["u"]) for part in parts)
        if done > settings.warmup:
            divergences += int(part["diverging"].sum())
        on_block(chain, done, divergences)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: values[settings.warmup :] for name, values in whole.items()}


def block_lengths(settings: SamplerSettings) -> list[int]:
    """Steps per block: warm-up, then draws, each in blocks and a rest."""
    lengths = []
    for total in (settings.warmup, settings.draws):
        whole, rest = divmod(total, settings.block)
        lengths += [settings.block] * whole + ([rest] if rest else [])
    return lengths


def _write_block(file: Path, part: dict[str, np.ndarray], state: Any) -> None:
    write_arrays(file, {**part, **leaves("state", state)})


def _read_block(file: Path, like: Any) -> tuple[dict[str, np.ndarray], Any] | None:
    """The draws of a block and the state after it, in the form of the state ``like``; None where it is to be drawn."""
    arrays = read_arrays(file)
    if arrays is None:
        return None
    state = jax.tree.map(
        lambda leaf, array: jax.numpy.asarray(array, dtype=leaf.dtype), like, tree_of("state", arrays, like)
    )
    return {name: arrays[name] for name in ("u", *STATISTICS)}, state
