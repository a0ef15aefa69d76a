"""`heterodyne demo`: an experiment simulated, fitted as a user would, and compared with its truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.words import significant, table
from heterodyne_cli.output import NOT_CONVERGED, extent, progress, refuse_existing, show

if TYPE_CHECKING:
    from heterodyne.result.fit import Estimate, Fit

_MODEL, _OPTIMIZER = "two-component", "nlsq"

_FILES = ("run.h5", "fit.json", "fit.npz")

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for data and results.")]


def demo(
    output: Folder = Path("heterodyne-demo"),
    force: Annotated[bool, typer.Option("--force", help="Replace data and results there.")] = False,
) -> None:
    """Simulate an experiment, fit it without start values, and print the truth beside the fit."""
    optimizer_record(_OPTIMIZER)
    import heterodyne as het
    from heterodyne.atomic import check_folder

    for name in _FILES:
        refuse_existing(output / name, force)
    check_folder(output)
    simulated = het.simulate()
    output.mkdir(parents=True, exist_ok=True)
    file = simulated.save(output / _FILES[0])
    show(f"simulated {extent(simulated.n_bins, simulated.n_frames)}: {file}")
    data = het.load(file)
    truth = data.provenance["truth"]["params"]
    with progress() as say:
        # what does not vary is a convention: only with that of the truth can the others be compared with it
        parameters = het.create_model(_MODEL).parameters.values()
        held = {parameter.name: truth[parameter.name] for parameter in parameters if not parameter.vary}
        result = het.fit(data, model=_MODEL, optimizer=_OPTIMIZER, fix=held, progress=say)
    figures = ["figures"] if "figures" in manager().listing("writer") else []
    show(_comparison(result, truth))
    for path in result.save(output, ["json", "npz", *figures]):
        show(f"wrote {path}")
    if not result.success:
        raise typer.Exit(NOT_CONVERGED)


def _comparison(result: Fit, truth: dict[str, float]) -> str:
    """Truth beside fit, and their difference in standard errors; the curves at three times."""
    from heterodyne.result.derived import ABOUT, derived_table

    rows = [_cells(estimate, truth[estimate.name]) for estimate in result.estimates]
    seconds, chi2 = result.statistics["seconds"], result.statistics["reduced_chi2"]
    verdict = (
        f"fitted {result.model} by {result.optimizer} in {seconds:.1f} s: "
        f"{result.verdict}, reduced chi2 {chi2:.4g}"
    )
    header = ("parameter", "unit", "truth", "fit", "95 % interval", "(fit - truth)/error", "status")
    return f"{verdict}\n\n{table(header, rows)}\n\n{ABOUT}\n{derived_table(result.derived)}\n"


def _cells(estimate: Estimate, truth: float) -> tuple[str, ...]:
    known = estimate.vary and estimate.error > 0  # false where there is no error bar (NaN)
    value = significant(estimate.value, estimate.error) if known else f"{estimate.value:.6g}"
    deviation = f"{(estimate.value - truth) / estimate.error:+.2f}" if known else "-"
    interval = estimate.interval_text or "-"
    return estimate.name, estimate.unit, f"{truth:g}", value, interval, deviation, estimate.status
