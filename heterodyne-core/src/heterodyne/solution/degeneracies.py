"""What two-time data cannot tell about a solution, in words.

    f = f0 exp(f1 (t - f2)) + f3        J = D0 t^α + D_offset        v = v0 t^β + v_offset

f0 and f2 enter only as f0 exp(-f1 f2); where f, J or v is constant, its prefactor and its offset enter only as
their sum; where all azimuths lie on one axis, v0 and φ0 only as v0 cos(φ - φ0). These are exact. A curve that
is constant within its error leaves the same parameters undetermined, though the local Gram matrix, taken at a
point that follows the noise, may have full rank. All other lost directions are put in words as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from scipy.linalg import qr

from heterodyne.data.geometry import azimuth_axes
from heterodyne.kernels.curves import Growth, PowerLaw
from heterodyne.result.identifiability import Finding
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.words import first_listed, listed

_EXPLAINED = 0.9  # squared loading from which a direction is one that has been named
_MEMBER = 0.05  # squared loading from which a parameter takes part in a direction
_MINOR = 0.1  # share of the field below which a component is called minor
_SIGNIFICANT = 2.0  # standard errors


def merged_parameters(here: Neighbourhood) -> list[Finding]:
    """Everything that leaves parameters undetermined: named degeneracies, then other lost directions."""
    named = [*_growths(here), *_power_laws(here), *_one_axis(here), *_minor_component(here)]
    return [*named, *_other_directions(here, {name for one in named for name in one.parameters})]


def conventions(here: Neighbourhood) -> list[Finding]:
    """What holds by convention or at an edge of the model: the axis of the flow, rates at their floor."""
    return [*_axis(here), *_floors(here)]


def _growths(here: Neighbourhood) -> list[Finding]:
    """Prefactor, origin and offset of a growth: lines 1 and 2 of the degeneracies."""
    return [
        finding
        for curve in here.problem.model.curves
        if isinstance(curve, Growth)
        for finding in _growth(here, curve)
    ]


def _growth(here: Neighbourhood, curve: Growth) -> Iterator[Finding]:
    prefactor, rate, origin, offset = curve.parts
    both = here.varying(prefactor, origin)
    product = f"{prefactor}·exp(-{rate}·{origin})"
    level = here.constant(curve) if _may_vanish(here, rate) else None
    if level is not None and here.varying(prefactor) and here.varying(offset):
        names = here.varying(prefactor, origin, offset)
        words = (
            f"{listed(names)} only together, as {curve.name} = {level}, which is constant within its error"
        )
        yield Finding("merged", f"{words}: fix {offset}=0", (*names, *here.varying(rate)), True)
    elif len(both) == 2:
        value = here.values[prefactor] * np.exp(-here.values[rate] * here.values[origin])
        words = f"{prefactor} and {origin} only as {product} = {value:.4g}: fix {origin}"
        yield Finding("merged", words, both, True)


def _may_vanish(here: Neighbourhood, exponent: str) -> bool:
    """Whether an exponent varies or is 0: else its term is told from a constant by its shape."""
    source = here.problem.ties.get(exponent, exponent)
    return source in here.problem.varying or here.values[exponent] == 0.0


def _power_laws(here: Neighbourhood) -> list[Finding]:
    """Prefactor and offset of rates and velocities that are constant: line 3."""
    findings = []
    for curve in here.problem.model.curves:
        if not isinstance(curve, PowerLaw):
            continue
        prefactor, offset = curve.factors
        both = here.varying(prefactor, offset)
        if len(both) < 2 or not _may_vanish(here, curve.exponent):
            continue
        level = here.constant(curve)
        if level is not None:
            words = (
                f"{prefactor} and {offset} only together, as {curve.name} = {level} {curve.unit}, "
                f"which is constant within its error: fix {offset}=0"
            )
            findings.append(Finding("merged", words, (*both, *here.varying(curve.exponent)), True))
    return findings


def _one_axis(here: Neighbourhood) -> list[Finding]:
    """Speed and azimuth of the flow where all bins look along one axis: line 6."""
    flow, velocity = here.problem.model.flow, here.problem.model.velocity
    if flow is None or velocity is None:
        return []
    speed, *offsets = velocity.factors
    offsets = here.varying(*offsets)
    if len(here.varying(speed, flow.azimuth)) < 2 or not here.undetermined & {speed, flow.azimuth}:
        return []
    axes = azimuth_axes(np.concatenate([data.phi for data in here.problem.data]))
    if len(axes) != 1:
        return []
    names, cosine = (speed, *offsets, flow.azimuth), f"cos(phi - {flow.azimuth})"
    value = here.values[speed] * abs(np.cos(np.deg2rad(axes[0] - here.values[flow.azimuth])))
    products = [f"{speed}·{cosine} = {value:.4g} {here.problem.parameters[speed].unit}"]
    products += [f"{name}·{cosine}" for name in offsets]
    words = f"{listed(names)} only as {listed(products)}, all azimuths lying on one axis ({axes[0]:.4g}°)"
    return [Finding("merged", words, names, True)]


def _minor_component(here: Neighbourhood) -> list[Finding]:
    """Transport of a component that hardly takes part: line 8."""
    model = here.problem.model
    if model.mixture is None:
        return []
    share, error = here.curve(model.curve(model.mixture.share))
    of_flow = (
        () if model.flow is None or model.velocity is None else (*model.velocity.parts, model.flow.azimuth)
    )
    parts = (share, 1.0 - share)
    for component, own, part in zip(model.mixture.names, model.mixture.transport, parts, strict=True):
        if part.max() >= _MINOR:
            continue
        related = here.varying(*(() if own is None else model.curve(own).parts), *of_flow)
        faint = bool(np.all(part <= _SIGNIFICANT * error))
        lost = tuple(name for name in related if faint or name in here.unknown)
        if lost:
            whole = f"the {component} is at most {part.max():.2g} of the {model.mixture.of}"
            verb = "is" if len(lost) == 1 else "are"
            return [Finding("minor", f"{listed(lost)} {verb} undetermined: {whole}", lost, True)]
    return []


def _axis(here: Neighbourhood) -> list[Finding]:
    """The azimuth of the flow and the sign of the velocity: line 5."""
    flow = here.problem.model.flow
    if flow is None or not here.varying(flow.azimuth):
        return []
    name, row = flow.azimuth, here.problem.parameters[flow.azimuth]
    if not row.is_periodic:
        return []
    words = (
        f"{name} is an axis, folded into ({row.low:g}, {row.high:g}]: {name} + {row.period:g}° is the same, "
        "and the sign of the velocity cannot be measured"
    )
    return [Finding("axis", words, (name,))]


def _floors(here: Neighbourhood) -> list[Finding]:
    """Transport rates that would be negative and are held at 0."""
    findings = []
    for curve in here.problem.model.curves:
        if curve.limits[0] == 0.0 and isinstance(curve, PowerLaw) and here.varying(*curve.parts):
            value = here.curve(curve)[0]
            if np.any(value == 0.0):
                words = f"{curve.name} is at its floor, 0, for {np.mean(value == 0.0):.0%} of the time"
                findings.append(Finding("floor", words, here.varying(*curve.parts)))
    return findings


def _other_directions(here: Neighbourhood, named: Iterable[str]) -> list[Finding]:
    """Lost directions that no named degeneracy explains, and parameters wider than their bounds."""
    known = np.isin(here.names, list(named))
    found, told = [], set(np.array(here.names)[known])
    for direction in sparse_basis(here.spectrum.vectors[:, here.spectrum.lost]).T:
        if (direction[known] ** 2).sum() < _EXPLAINED:
            found.append(_direction(here, direction))
            told.update(found[-1].parameters)
    wide = [name for name in here.names if name in here.undetermined - told]
    return [*found, *(Finding("bounds", f"{n} is known no better than its bounds", (n,), True) for n in wide)]


def sparse_basis(vectors: np.ndarray) -> np.ndarray:
    """A basis of the columns' span (p, k) in which each vector of length 1 has a coordinate of its own.

    Eigenvectors of one eigenvalue are any mixture; this undoes it where directions share no parameter.
    """
    k = vectors.shape[1]
    if not k:
        return vectors
    *_, order = qr(vectors.T, mode="r", pivoting=True)
    pivots = np.sort(order[:k])
    echelon = vectors @ np.linalg.inv(vectors[pivots])
    return echelon / np.linalg.norm(echelon, axis=0)


def _direction(here: Neighbourhood, direction: np.ndarray) -> Finding:
    """A direction (p,) in scaled coordinates, in words."""
    order = np.argsort(-(direction**2), kind="stable")
    members = sorted(int(k) for k in order if direction[k] ** 2 > _MEMBER)
    names = tuple(here.names[k] for k in members)
    step = direction / here.spectrum.size
    if len(members) == 1:
        return Finding("bounds", f"{names[0]} is known no better than its bounds", names, True)
    if len(members) == 2:
        return Finding("merged", f"{listed(names)} only as {_pair(here, members, step)}", names, True)
    leading = int(order[0])
    changes = _changes(here, members, step, leading)
    return Finding("merged", f"{listed(names)} only together: c2 stays the same along {changes}", names, True)


def _pair(here: Neighbourhood, members: list[int], step: np.ndarray) -> str:
    """The combination of two parameters that does not change along a step: a product or a sum."""
    one, two = (here.names[k] for k in members)
    logs = [here.problem.parameters[name].scale == "log" for name in (one, two)]
    first, second = (step[k] * (1.0 if all(logs) else here.slopes[k]) for k in members)
    weight = -first / second
    if abs(abs(weight) - 1.0) < 0.01:
        weight = float(np.sign(weight))
    if all(logs):
        return f"{one}·{two}" if weight == 1.0 else f"{one}·{two}^{weight:.3g}"
    size = "" if abs(weight) == 1.0 else f"{abs(weight):.3g}·"
    return f"{one} {'+' if weight > 0 else '-'} {size}{two}"


def _changes(here: Neighbourhood, members: list[int], step: np.ndarray, leading: int) -> str:
    """Changes of the values along a step on which the leading parameter changes by a tenth of its value."""
    value = here.values[here.names[leading]]
    step = step * 0.1 * (abs(value) or 1.0) / (step[leading] * here.slopes[leading])
    return ", ".join(f"{here.names[k]} {step[k] * here.slopes[k]:+.3g}" for k in members)


def same_speckle(labels: Sequence[str], clusters: Iterable[Sequence[int]], robust: bool) -> list[Finding]:
    """Bins that hold the same speckle, Friedel mates or duplicates, by their labels."""
    counted = "count once in the errors" if robust else "count as independent in these errors"
    return [
        Finding("same speckle", f"{listed([labels[k] for k in one])} hold the same speckle and {counted}")
        for one in clusters
        if len(one) > 1
    ]


def merged_scaling(
    labels: Sequence[str], level: np.ndarray, contrast: np.ndarray, offset: np.ndarray, absent: np.ndarray
) -> list[Finding]:
    """Bins in which S is constant, at ``level`` (bins,): line 9.

    ``contrast`` and ``offset`` (bins,) mark those that the data do not determine, ``absent`` fitted contrasts
    of 0: there c2 is constant whatever S, and S = 1 would do as well.
    """
    constant = [f"{label} (S = {value:.4g})" for label, value in zip(labels, level, strict=True)]
    groups: Mapping[str, tuple[np.ndarray, Sequence[str]]] = {
        "contrast and offset only as offset + contrast·S, S being constant over the data of": (
            contrast & offset & ~absent,
            constant,
        ),
        "contrast has no effect, S being constant over the data of": (contrast & ~offset & ~absent, constant),
        "contrast and offset only as their sum if S = 1, which fits as well, the contrast being 0 in": (
            absent,
            labels,
        ),
    }
    return [
        Finding("scaling", f"{words} {first_listed(np.array(bins)[where].tolist())}")
        for words, (where, bins) in groups.items()
        if where.any()
    ]
