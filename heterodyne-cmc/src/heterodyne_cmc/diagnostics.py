"""Whether chains can be trusted: ArviZ's diagnostics of raw chains, against thresholds that can fail."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from heterodyne.result.statistics import Diagnosis
from heterodyne_cmc.nuts import Draws

_TAIL = (0.05, 0.95)
_SURPLUS = 1.1  # of draws, as sample sizes scatter
_Each = dict[str, float]  # by parameter


@dataclass(frozen=True)
class Gates:
    """What chains must meet: R-hat at most, ESS (bulk and tail) and BFMI at least, shares of divergences and
    of trees at their greatest depth at most."""

    rhat: float = 1.01
    ess: float = 400.0
    bfmi: float = 0.3
    divergences: float = 1e-3
    saturated: float = 0.0


def diagnose(names: Sequence[str], values: np.ndarray, draws: Draws, max_tree_depth: int) -> Diagnosis:
    """The diagnosis of values (chains, draws, p) of the parameters ``names``."""
    statistics = draws.statistics
    return Diagnosis(
        *chain_diagnostics(names, values),
        float(np.min(_arviz().bfmi(statistics["energy"]))),
        int(statistics["diverging"].sum()),
        int(np.sum(statistics["num_steps"] >= 2**max_tree_depth - 1)),
        float(statistics["num_steps"].mean()),
        int(statistics["diverging"].size),
    )


def chain_diagnostics(names: Sequence[str], values: np.ndarray) -> tuple[_Each, _Each, _Each]:
    """Rank-normalised R-hat, bulk and tail ESS of every parameter, of values (chains, draws, p)."""
    arviz, columns = _arviz(), dict(zip(names, np.moveaxis(values, -1, 0), strict=True))

    def each(of: Any, **more: Any) -> _Each:
        return {name: float(of(column, **more)) for name, column in columns.items()}

    return each(arviz.rhat), each(arviz.ess, method="bulk"), each(arviz.ess, method="tail", prob=_TAIL)


def _arviz() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of its next generation, which is served too
        import arviz
    return arviz


def chain_failures(
    rhat: Mapping[str, float], ess_bulk: Mapping[str, float], ess_tail: Mapping[str, float], gates: Gates
) -> list[str]:
    """What of R-hat and ESS does not meet the gates, with what to do, one line each."""
    return [
        *_beyond(
            "R-hat", rhat, gates.rhat, True, "raise warmup and draws, or fix what the data do not determine"
        ),
        *_beyond("bulk ESS", ess_bulk, gates.ess, False, _more(ess_bulk, gates.ess)),
        *_beyond("tail ESS", ess_tail, gates.ess, False, _more(ess_tail, gates.ess)),
    ]


def _more(ess: Mapping[str, float], limit: float) -> str:
    """How many draws it would take for an effective sample size of ``limit``."""
    least = min(ess.values())
    return f"raise draws {limit / least * _SURPLUS:.2g} times" if least > 0.0 else "draw more"


def failures(found: Diagnosis, gates: Gates) -> list[str]:
    """What does not meet the gates, with what to do, one line each; empty if all do."""
    lines = chain_failures(found.rhat, found.ess_bulk, found.ess_tail, gates)
    if not found.bfmi >= gates.bfmi:
        lines.append(f"BFMI {found.bfmi:.2g} < {gates.bfmi:g}: warm up longer")
    if found.divergences > gates.divergences * found.draws:
        lines.append(
            f"{found.divergences} of {found.draws} draws diverged: raise target_accept, or fix what the data "
            "do not determine"
        )
    if found.saturated > gates.saturated * found.draws:
        lines.append(
            f"{found.saturated} trees at their greatest depth: warm up longer or raise max_tree_depth"
        )
    return lines


def _beyond(what: str, values: Mapping[str, float], limit: float, at_most: bool, remedy: str) -> list[str]:
    bad = {k: v for k, v in values.items() if not (v <= limit if at_most else v >= limit)}
    if not bad:
        return []
    worst = max(bad, key=lambda name: bad[name] if at_most else -bad[name])
    sign = ">" if at_most else "<"
    others = f" ({len(bad)} parameters: {', '.join(sorted(bad))})" if len(bad) > 1 else ""
    return [f"{what} of {worst} {bad[worst]:.4g} {sign} {limit:g}{others}: {remedy}"]
