"""The profile figure: Δχ² of a parameter, over the ratio of variances, with its intervals.

The dotted parabola is what the standard error alone would say; where the profile leaves it, the interval is
not symmetric.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heterodyne.atomic import file_name
from heterodyne.result.fit import Fit
from heterodyne.result.profile import Profile
from heterodyne_viz.pages import figures_folder, own_style, save_png

_SIZE, _DPI = (6.4, 4.4), 150

_FONT, _SMALL = 13.0, 11.0  # points

_ABOVE = 1.3  # times the highest threshold, the top of the axis


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write figures/profile-NAME.png for every profile into ``folder``; returns their paths."""
    home = figures_folder(folder)
    return [save_png(figure(fit, name), home / f"profile-{file_name(name)}.png") for name in fit.profiles]


@own_style()
def figure(fit: Fit, name: str) -> Figure:
    """The figure of one profile; raises `KeyError` for a parameter without one."""
    profile = fit.profiles[name]
    page = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = page.add_subplot()
    _draw(axes, profile, fit.errors.get(name, np.nan))
    unit = "" if profile.unit == "1" else f" ({profile.unit})"
    axes.set_xlabel(f"{name}{unit}", fontsize=_FONT)
    axes.set_ylabel(r"$\Delta\chi^2$ / ratio of variances", fontsize=_FONT)
    axes.set_title("\n".join(profile.lines()), fontsize=_SMALL, loc="left", wrap=True)
    axes.tick_params(labelsize=_SMALL)
    return page


def _draw(axes: Axes, profile: Profile, error: float) -> None:
    scaled = profile.delta_chi2 / profile.scale
    kind = profile.intervals[0].errors
    shown = [one for one in profile.intervals if one.errors == kind]
    for one in shown:
        height = one.threshold / profile.scale
        low, high = np.clip((one.low, one.high), profile.values[0], profile.values[-1])
        axes.axhline(height, color="0.7", linewidth=0.8)
        axes.text(
            1.0, height, f"{one.level:.0%} ", transform=axes.get_yaxis_transform(), ha="right", va="bottom"
        )
        axes.axvspan(low, high, color="tab:blue", alpha=0.12, linewidth=0)
    if error > 0:
        grid = np.linspace(profile.values[0], profile.values[-1], 200)
        axes.plot(grid, ((grid - profile.best) / error) ** 2, ":", color="0.4", label="standard error")
    axes.plot(profile.values, scaled, "o-", color="tab:blue", markersize=4, label="profile")
    axes.axvline(profile.best, color="0.4", linewidth=0.8)
    axes.set_ylim(0.0, _ABOVE * max(one.threshold for one in shown) / profile.scale)
    axes.legend(fontsize=_SMALL, frameon=False, loc="upper center")
