"""A user's priors: from text or mappings, and whether they can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

from heterodyne.errors import ParameterError, unknown
from heterodyne.parameters import NO_NUMBERS, Parameter, Prior

FORM = "FAMILY:LOCATION:WIDTH"
"""How a prior is written as text; ``uniform`` stands alone."""

_REACH = 4.0  # widths: farther away there is next to no density


def as_prior(given: object) -> Prior:
    """A prior from text in `FORM`, or from a mapping of family, location and width.

    Raises `ParameterError` for anything else, and for what `Prior` rejects.
    """
    if isinstance(given, Prior):
        return given
    if isinstance(given, str):
        return _from_text(given)
    if not isinstance(given, Mapping):
        raise ParameterError(f"a prior is {FORM} or a mapping of family, location and width, not {given!r}")
    known = [field.name for field in fields(Prior)]
    for key in given:
        if key not in known:
            raise ParameterError(unknown("key of a prior", key, known))
    if "family" not in given:
        raise ParameterError(f"a prior needs a family: {dict(given)!r} has none")
    if given["family"] != "uniform" and "width" not in given:
        raise ParameterError(f"a {given['family']} prior needs a width")
    return Prior(**given)


def _from_text(text: str) -> Prior:
    family, *numbers = (part.strip() for part in text.split(":"))
    if family == "uniform":
        if numbers:
            raise ParameterError(NO_NUMBERS)
        return Prior()
    try:
        location, width = map(float, numbers)
    except ValueError:
        raise ParameterError(f"prior {text!r} is not {FORM}, such as normal:0:0.3, nor uniform") from None
    return Prior(family, location, width)  # type: ignore[arg-type]  # the record checks it


def check_scaling_prior(row: Parameter, prior: Prior, choice: str | float) -> None:
    """Raise `ParameterError` for a prior of contrast or offset that cannot be integrated out.

    That is one that is not normal, has nothing inside the bounds, or stands beside a ``choice`` that is a number.
    """
    if prior.family != "normal" or prior.per_duration:
        raise ParameterError(
            f"prior of {row.name!r}: contrast and offset are integrated out with normal priors, normal:LOCATION:WIDTH"
        )
    check_prior(row, prior)
    if not isinstance(choice, str):
        raise ParameterError(f"{row.name} is held at {choice:g} and has a prior: give one of the two")


def check_prior(row: Parameter, prior: Prior) -> None:
    """Raise `ParameterError` where values inside the bounds have next to no density, or no logarithm."""
    where = f"prior of {row.name!r}"
    if prior.family == "uniform":
        return
    low, high = row.low, row.high
    if prior.family == "log-normal":
        if low < 0.0:
            raise ParameterError(f"{where}: log-normal needs values above 0, the bounds are {low:g}:{high:g}")
        low, high = (math.log(end) if end > 0.0 else -math.inf for end in (low, high))
    reach = _REACH * prior.width
    below = 0.0 if prior.family == "half-normal" else reach
    if not (low < prior.location + reach and prior.location - below < high):
        raise ParameterError(
            f"{where}: {prior.family} about {prior.location:g} by {prior.width:g} has nothing inside the bounds "
            f"{row.low:g}:{row.high:g}" + (" (in logarithms)" if prior.family == "log-normal" else "")
        )
