"""`heterodyne convert`: readable files of any layout, or a selection from them, as the project's own files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from heterodyne.errors import ConfigError, DataError, HeterodyneError
from heterodyne_cli.output import NAME, extent, refuse_existing, show
from heterodyne_cli.selection import load_selected, selecting


@selecting
def convert(
    data: Annotated[
        list[str], typer.Argument(metavar="DATA", help="Files or patterns ('runs/*.hdf') to read.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR/",
            help="HDF5 file to write, or a folder for one of each file.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    *,
    selected: Mapping[str, Any],
) -> None:
    """Write the selected bins and frames of files as the project's own two-time files.

    Arrays (.npy, .npz) that carry no q, phi or dt take those given here as theirs. In a folder a file keeps its name,
    ending in .h5; files that cannot be converted are listed at the end, and the exit status is then 1.
    """
    from heterodyne.atomic import as_path
    from heterodyne.loading.patterns import expanded

    files, target = expanded(data), as_path(output)
    if output.endswith(("/", os.sep)) or (len(files) > 1 and target.is_dir()):
        _convert_all(files, target, force, selected)
    elif len(files) == 1:
        _convert(files[0], target, force, selected)
    else:
        raise ConfigError(f"{len(files)} files go into a folder: write -o {output}/")


def _convert(file: str, target: Path, force: bool, selected: Mapping[str, Any]) -> None:
    refuse_existing(target, force)
    from heterodyne.data.two_time import TwoTime

    two_time = load_selected(file, selected)
    if not isinstance(two_time, TwoTime):
        raise DataError(f"{file} gives one-time data (g2 over the lag), which a two-time file does not hold")
    show(f"wrote {two_time.save(target)}: {extent(two_time.n_bins, two_time.n_frames)}")


def _convert_all(files: Sequence[str], folder: Path, force: bool, selected: Mapping[str, Any]) -> None:
    """Every file into the folder; one that fails is told and keeps none of the others back."""
    targets = list(_targets(files, folder))
    _make(folder)
    failed: list[str] = []
    for file, target in zip(files, targets, strict=True):
        try:
            _convert(file, target, force, selected)
        except HeterodyneError as error:
            failed.append(str(error) if file in str(error) else f"{file}: {error}")
    if failed:
        show(f"{NAME}: error: {len(failed)} of {len(files)} files were not converted:", sys.stderr)
        show("\n".join(f"  {line}" for line in failed), sys.stderr)
        raise typer.Exit(1)


def _targets(files: Sequence[str], folder: Path) -> Iterator[Path]:
    """The file that each becomes; raises `ConfigError` where two would become one."""
    taken: dict[str, str] = {}
    for file in files:
        name = f"{Path(file).stem}.h5"
        if name in taken:
            raise ConfigError(
                f"{taken[name]} and {file} would both become {folder / name}: convert them apart"
            )
        taken[name] = file
        yield folder / name


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
