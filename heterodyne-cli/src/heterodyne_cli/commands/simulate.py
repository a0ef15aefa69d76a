"""`heterodyne simulate`: a two-time file of a model with noise, the truth beside the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heterodyne.errors import ConfigError
from heterodyne_cli.output import extent, refuse_existing, show
from heterodyne_cli.selection import present


def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Model variant (default two-component).")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V", help="True value of a parameter; others keep the default truth. Repeatable."
        ),
    ] = None,
    q: Annotated[
        list[float] | None,
        typer.Option(metavar="VALUE", help="Wavevector in 1/Å. Repeatable (default 0.01)."),
    ] = None,
    phi: Annotated[
        list[float] | None,
        typer.Option(metavar="DEGREES", help="Azimuth. Repeatable (default 0, 45, 90)."),
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Number of frames (default 300).")] = None,
    dt: Annotated[float | None, typer.Option(metavar="SECONDS", help="Frame spacing (default 0.1).")] = None,
    age: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Time before the first frame (default 0).")
    ] = None,
    contrast: Annotated[float | None, typer.Option(help="Speckle contrast (default 0.15).")] = None,
    offset: Annotated[float | None, typer.Option(help="Baseline of c2 (default 1).")] = None,
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation per element (default 0.02).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise (default 0).")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Simulate an experiment and write it as a two-time file; -o alone is enough."""
    refuse_existing(output, force)
    import heterodyne as het

    chosen = present(model=model, q=q, phi=phi, frames=frames, dt=dt, age=age)
    chosen |= present(contrast=contrast, offset=offset, noise=noise, seed=seed)
    data = het.simulate(params=_numbers("--param", param or []), **chosen)
    show(f"wrote {data.save(output)}: {extent(data.n_bins, data.n_frames)}")


def _numbers(flag: str, texts: list[str]) -> dict[str, float]:
    """The numbers of ``NAME=V`` by name; raises `ConfigError` naming the flag."""
    from heterodyne.problem.spellings import as_assignments, as_number

    try:
        return {name: as_number(text) for name, text in as_assignments(texts).items()}
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from error
