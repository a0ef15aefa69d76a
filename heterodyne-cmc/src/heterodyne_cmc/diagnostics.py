"""Whether chains can be trusted: diagnostics of raw chains, against thresholds that can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from heterodyne.result.statistics import Diagnosis
from heterodyne_cmc.chains import bfmi, ess_bulk, ess_tail, rhat
from heterodyne_cmc.nuts import Draws

_ACCEPTED = 0.05  # of the draws of combined shards: with fewer they do not cover the posterior of all data
_SURPLUS = 1.1  # of draws, as sample sizes scatter
_ByName = dict[str, float]  # of parameters


@dataclass(frozen=True)
class Gates:
    """What chains must meet: R-hat at most, ESS (bulk and tail) and BFMI at least, shares of divergences and
    of trees at their greatest depth at most."""

    rhat: float = 1.01
    ess: float = 400.0
    bfmi: float = 0.3
    divergences: float = 1e-3
    saturated: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Gates:
        """The gates among the options."""
        return cls(**{field.name: options[field.name] for field in fields(cls)})


def diagnose(names: Sequence[str], values: np.ndarray, draws: Draws, max_tree_depth: int) -> Diagnosis:
    """The diagnosis of values (chains, draws, p) of the parameters ``names``."""
    statistics = draws.statistics
    return Diagnosis(
        *chain_diagnostics(names, values),
        float(np.min(bfmi(statistics["energy"]))),
        int(statistics["diverging"].sum()),
        int(np.sum(statistics["num_steps"] >= 2**max_tree_depth - 1)),
        float(statistics["num_steps"].mean()),
        int(statistics["diverging"].size),
    )


def chain_diagnostics(names: Sequence[str], values: np.ndarray) -> tuple[_ByName, _ByName, _ByName]:
    """Rank-normalised R-hat, bulk and tail ESS of every parameter, of values (chains, draws, p)."""
    columns = dict(zip(names, np.moveaxis(values, -1, 0), strict=True))

    def of_every(diagnostic: Callable[[np.ndarray], float]) -> _ByName:
        return {name: diagnostic(column) for name, column in columns.items()}

    return of_every(rhat), of_every(ess_bulk), of_every(ess_tail)


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


def failures(diagnosis: Diagnosis, gates: Gates) -> list[str]:
    """What does not meet the gates, with what to do, one line each; empty if all do."""
    lines = chain_failures(diagnosis.rhat, diagnosis.ess_bulk, diagnosis.ess_tail, gates)
    if not diagnosis.bfmi >= gates.bfmi:
        lines.append(f"BFMI {diagnosis.bfmi:.2g} < {gates.bfmi:g}: warm up longer")
    if diagnosis.divergences > gates.divergences * diagnosis.draws:
        lines.append(
            f"{diagnosis.divergences} of {diagnosis.draws} draws diverged: raise target_accept, or fix what the data "
            "do not determine"
        )
    if diagnosis.saturated > gates.saturated * diagnosis.draws:
        lines.append(
            f"{diagnosis.saturated} trees at their greatest depth: warm up longer or raise max_tree_depth"
        )
    return lines


def shard_failures(diagnoses: Sequence[Diagnosis], gates: Gates) -> list[str]:
    """What the chains of shards do not meet, with the number of the shard where there are several."""
    return [
        f"shard {number}: {line}" if len(diagnoses) > 1 else line
        for number, diagnosis in enumerate(diagnoses, 1)
        for line in failures(diagnosis, gates)
    ]


def refinement_failures(
    names: Sequence[str], values: np.ndarray, acceptance: float, gates: Gates
) -> list[str]:
    """What chains (chains, draws, p) made from combined shards do not meet."""
    lines = chain_failures(*chain_diagnostics(names, values), gates)
    if acceptance < _ACCEPTED:
        lines.insert(0, f"the posterior of all data accepts {acceptance:.1%} of their draws: raise draws")
    return [f"combined shards: {line} (or take fewer shards)" for line in lines]


def _beyond(what: str, values: Mapping[str, float], limit: float, at_most: bool, remedy: str) -> list[str]:
    bad = {
        name: value for name, value in values.items() if not (value <= limit if at_most else value >= limit)
    }
    if not bad:
        return []
    worst = max(bad, key=lambda name: bad[name] if at_most else -bad[name])
    sign = ">" if at_most else "<"
    others = f" ({len(bad)} parameters: {', '.join(sorted(bad))})" if len(bad) > 1 else ""
    return [f"{what} of {worst} {bad[worst]:.4g} {sign} {limit:g}{others}: {remedy}"]
