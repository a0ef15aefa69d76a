"""What two-time data cannot tell about a solution, in words.

    f = f0 exp(f1 (t - f2)) + f3        J = D0 t^α + D_offset        v = v0 t^β + v_offset

f0 and f2 enter only as f0 exp(-f1 f2); where f, J or v is constant, its prefactor and its offset enter only as
their sum; where all azimuths lie on one axis, v0 and φ0 only as v0 cos(φ - φ0). These are exact. A curve that
is constant within its error leaves the same parameters undetermined, though the local Gram matrix, taken at a
point that follows the noise, may have full rank. All other lost directions are put in words as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.linalg import qr

from heterodyne.data.geometry import azimuth_axes
from heterodyne.kernels.curves import CURVES, curve_names
from heterodyne.result.identifiability import Finding
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.words import first_listed, listed

_EXPLAINED = 0.9  # squared loading from which a direction is one that has been named
_MEMBER = 0.05  # squared loading from which a parameter takes part in a direction
_MINOR = 0.1  # share of the field below which a component is called minor
_SIGNIFICANT = 2.0  # standard errors
_SPEEDS = ("v0", "v")


def merged_parameters(here: Neighbourhood) -> list[Finding]:
    """Everything that leaves parameters undetermined: named degeneracies, then other lost directions."""
    named = [*_fraction(here), *_offsets(here), *_one_axis(here), *_minor_component(here)]
    return [*named, *_other_directions(here, {name for one in named for name in one.parameters})]


def conventions(here: Neighbourhood) -> list[Finding]:
    """What holds by convention or at an edge of the model: the axis of the flow, rates at their floor."""
    return [*_axis(here), *_floors(here)]


def _fraction(here: Neighbourhood) -> list[Finding]:
    """f0, f2 and f3: lines 1 and 2 of the degeneracies."""
    if "f" not in curve_names(here.values):
        return []
    both = here.varying("f0", "f2")
    product = "f0·exp(-f1·f2)"
    level = here.constant("f") if _may_vanish(here, "f1") else None
    if level is not None and here.varying("f0") and here.varying("f3"):
        names = here.varying("f0", "f2", "f3")
        formula = f"{product if 'f2' in names else 'f0'} + f3"
        words = f"{listed(names)} only as {formula} = {level}, the fraction being constant within its error"
        return [Finding("merged", f"{words}: fix f3=0", (*names, *here.varying("f1")), True)]
    if len(both) == 2:
        value = here.values["f0"] * np.exp(-here.values["f1"] * here.values["f2"])
        return [Finding("merged", f"f0 and f2 only as {product} = {value:.4g}: fix f2", both, True)]
    return []


def _may_vanish(here: Neighbourhood, exponent: str) -> bool:
    """Whether an exponent varies or is 0: else its term is told from a constant by its shape."""
    source = here.problem.ties.get(exponent, exponent)
    return source in here.problem.varying or here.values[exponent] == 0.0


def _offsets(here: Neighbourhood) -> list[Finding]:
    """Prefactor and offset of rates and velocities that are constant: line 3."""
    found = []
    for name in curve_names(here.values):
        prefactor, exponent, offset = CURVES[name][:3]
        both = here.varying(prefactor, offset)
        if name == "f" or len(both) < 2 or not _may_vanish(here, exponent):
            continue
        level = here.constant(name)
        if level is not None:
            unit = here.problem.parameters[offset].unit
            words = (
                f"{prefactor} and {offset} only as {prefactor} + {offset} = {level} {unit}, "
                f"{name} being constant within its error: fix {offset}=0"
            )
            found.append(Finding("merged", words, (*both, *here.varying(exponent)), True))
    return found


def _one_axis(here: Neighbourhood) -> list[Finding]:
    """Speed and azimuth of the flow where all bins look along one axis: line 6."""
    speeds, values = here.varying(*_SPEEDS), here.values
    if not speeds or not here.varying("phi0") or not here.undetermined & {*speeds, "phi0"}:
        return []
    axes = azimuth_axes(np.concatenate([data.phi for data in here.problem.data]))
    if len(axes) != 1:
        return []
    names, cosine = (*speeds, *here.varying("v_offset"), "phi0"), "cos(phi - phi0)"
    value = values[speeds[0]] * abs(np.cos(np.deg2rad(axes[0] - values["phi0"])))
    products = [f"{speeds[0]}·{cosine} = {value:.4g} {here.problem.parameters[speeds[0]].unit}"]
    products += [f"{name}·{cosine}" for name in here.varying("v_offset")]
    words = f"{listed(names)} only as {listed(products)}, all azimuths lying on one axis ({axes[0]:.4g}°)"
    return [Finding("merged", words, names, True)]


def _minor_component(here: Neighbourhood) -> list[Finding]:
    """Transport of a component that hardly takes part: line 8."""
    known = _sample_share(here)
    if known is None:
        return []
    what, share, error = known
    for component, part in (("sample", share), ("reference", 1.0 - share)):
        if part.max() >= _MINOR:
            continue
        suffix = "_sample" if component == "sample" else "_ref"
        own = (name for name in here.values if name.endswith(suffix))
        related = here.varying(*own, "v0", "beta", "v_offset", "v", "phi0")
        faint = bool(np.all(part <= _SIGNIFICANT * error))
        lost = tuple(name for name in related if faint or name in here.unknown)
        if lost:
            verb = "is" if len(lost) == 1 else "are"
            words = f"{listed(lost)} {verb} undetermined: the {component} is at most {part.max():.2g} of the {what}"
            return [Finding("minor", words, lost, True)]
    return []


def _sample_share(here: Neighbourhood) -> tuple[str, np.ndarray, np.ndarray] | None:
    """What the sample's share is of, field or intensity, that share over time, and its standard errors."""
    if "f" in curve_names(here.values):
        return "field", *here.curve("f")
    if "x" not in here.values:
        return None
    gradient = np.array([[float(name == "x") for name in here.names]])
    return "intensity", np.array([here.values["x"]]), here.errors(gradient)


def _axis(here: Neighbourhood) -> list[Finding]:
    """φ0 and the sign of the velocity: line 5."""
    row = here.problem.parameters.get("phi0") if here.varying("phi0") else None
    if row is None or not row.is_periodic:
        return []
    words = (
        f"phi0 is an axis, folded into ({row.low:g}, {row.high:g}]: phi0 + {row.period:g}° is the same, "
        "and the sign of the velocity cannot be measured"
    )
    return [Finding("axis", words, ("phi0",))]


def _floors(here: Neighbourhood) -> list[Finding]:
    """Transport rates that would be negative and are held at 0."""
    found = []
    for name in curve_names(here.values):
        if name.startswith("J") and here.varying(*CURVES[name]):
            x = here.curve(name)[0]
            if np.any(x == 0.0):
                words = f"{name} is at its floor, 0, for {np.mean(x == 0.0):.0%} of the time"
                found.append(Finding("floor", words, here.varying(*CURVES[name])))
    return found


def _other_directions(here: Neighbourhood, named: Iterable[str]) -> list[Finding]:
    """Lost directions that no named degeneracy explains, and parameters wider than their bounds."""
    known = np.isin(here.names, list(named))
    found, told = [], set(np.array(here.names)[known])
    for direction in sparse_basis(here.found.vectors[:, here.found.lost]).T:
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
    step = direction / here.found.size
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
