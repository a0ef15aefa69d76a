"""What core itself offers, registered like anyone's."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import ExecutorRecord, LoaderRecord, ModelRecord, WriterRecord


@hookimpl
def heterodyne_models() -> Iterator[ModelRecord]:
    """The five variants of the paper."""
    home = "heterodyne.variants"
    yield ModelRecord("two-component", "two moving components, 14 parameters", f"{home}.two_component:MODEL")
    yield ModelRecord("static-reference", "a sample and a static reference", f"{home}.static_reference:MODEL")
    yield ModelRecord("no-flow", "two components without flow", f"{home}.no_flow:MODEL")
    yield ModelRecord("equilibrium", "constant diffusion and flow, lag only", f"{home}.equilibrium:MODEL")
    yield ModelRecord("static", "one diffusing component, no reference", f"{home}.static:MODEL")


@hookimpl
def heterodyne_loaders() -> Iterator[LoaderRecord]:
    """The layouts that core reads."""
    home = "heterodyne.loading.layouts"
    yield LoaderRecord("heterodyne", "the project's own HDF5 file", f"{home}.own")
    yield LoaderRecord("aps-u", "APS-U results (2025 on, boost_corr)", f"{home}.aps_u.loader")
    yield LoaderRecord(
        "aps-legacy", "8-ID-I results before 2025 (xpcs-eigen, boost_corr)", f"{home}.aps_legacy"
    )
    yield LoaderRecord("matlab", "MATLAB files, save -v7.3, of c2, q, phi and dt", f"{home}.matlab")
    yield LoaderRecord("nxxpcs", "NXxpcs files (NeXus) of any program", f"{home}.nxxpcs.loader")
    yield LoaderRecord("pychx", "NSLS-II results (pyCHX)", f"{home}.pychx")
    yield LoaderRecord("esrf-id02", "ESRF ID02 results (xpcsutilities), age-lag", f"{home}.esrf_id02")
    yield LoaderRecord("midtools", "European XFEL MID results (midtools), train by train", f"{home}.midtools")
    yield LoaderRecord("numpy", ".npz or .npy arrays with q, phi and dt", f"{home}.arrays")


@hookimpl
def heterodyne_writers() -> Iterator[WriterRecord]:
    """The outputs that core writes."""
    home = "heterodyne.writing"
    yield WriterRecord("json", "fit.json: the whole result as text", f"{home}.fit_json:write")
    yield WriterRecord("npz", "fit.npz: plain arrays", f"{home}.fit_npz:write")
    yield WriterRecord("profiles", "profile_NAME.csv: profile likelihoods", f"{home}.profile_csv:write")


@hookimpl
def heterodyne_executors() -> Iterator[ExecutorRecord]:
    """Where tasks run."""
    home = "heterodyne.executors"
    yield ExecutorRecord("serial", "one task after another", f"{home}.serial:execute")
    yield ExecutorRecord(
        "processes",
        "several tasks at once on this machine",
        f"{home}.processes:execute",
        f"{home}.process_keepers:keepers",
    )
    yield ExecutorRecord(
        "dask", "the machines of a dask cluster", f"{home}.dask:execute", f"{home}.dask_keepers:keepers"
    )
