from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import experiment
from heterodyne.catalogue import create_model
from heterodyne.data.diagonal import diagonal_from_neighbours
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.plugins.manager import discover, manager
from heterodyne.plugins.outputs import Writer
from heterodyne.plugins.records import WriterRecord
from heterodyne.problem.problem import create_problem
from heterodyne.result.fit import Fit
from heterodyne.result.statistics import Statistics
from heterodyne.simulation.sector import sector_correlation
from heterodyne.simulation.simulate import simulate
from heterodyne.testing.results import estimates_of, fit_by_hand, scaling_of
from heterodyne.variants.two_component import TRUTH
from heterodyne_viz import figures
from heterodyne_viz.fit_comparison import comparisons, figure, write
from tolerances import REORDERED

CONTRAST, OFFSET, NOISE, FRAMES, DT = 0.15, 1.0, 0.02, 40, 0.1


def fit_of(*sets: TwoTime, noise: float = NOISE) -> Fit:
    """A fit that ended exactly at the truth, as an optimizer would return it."""
    problem = create_problem(sets, create_model("two-component"))
    scaling = scaling_of(sets, CONTRAST, OFFSET, noise)
    return fit_by_hand(estimates_of(problem, TRUTH), model="two-component", scaling=scaling, problem=problem)


def modelled(data: TwoTime, bin: int) -> np.ndarray:
    s = create_model("two-component").correlation(TRUTH, data.t, data.q[bin], data.phi[bin])
    return OFFSET + CONTRAST * s


def blank_diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)


def panels(page: Figure) -> list[tuple[Axes, ...]]:
    """The four panels of every row."""
    return [tuple(page.axes[k : k + 4]) for k in range(0, len(page.axes), 4)]


def titles(page: Figure) -> list[str]:
    return [text.get_text() for text in page.texts]


def shown(axes: Axes) -> np.ndarray:
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_images_are_data_model_and_residual_in_units_of_the_noise():
    data = experiment()
    for bin, (measured, model, residual, _) in enumerate(panels(figure(fit_of(data)))):
        fitted = modelled(data, bin)
        np.testing.assert_allclose(shown(measured), diagonal_from_neighbours(data.c2[bin]))
        np.testing.assert_allclose(shown(model), diagonal_from_neighbours(fitted))
        expected = (data.c2[bin] - fitted) / NOISE
        np.testing.assert_allclose(shown(residual), blank_diagonal(expected), atol=1e-9)


def test_curves_are_the_means_of_the_diagonals_without_the_main_one():
    data = experiment(phi=(45.0,))
    ((*_, average),) = panels(figure(fit_of(data)))
    lag = DT * np.arange(1, FRAMES)
    for line, matrix in zip(average.lines, (data.c2[0], modelled(data, 0)), strict=True):
        np.testing.assert_allclose(line.get_xdata(), lag)
        np.testing.assert_allclose(line.get_ydata(), [matrix.diagonal(k).mean() for k in range(1, FRAMES)])


def test_data_and_model_share_colour_limits_and_those_of_the_residual_are_symmetric():
    data = experiment(phi=(0.0,))
    wild = TwoTime(data.c2 + 50.0 * np.eye(FRAMES), data.q, data.phi, data.t, data.dt)
    ((measured, model, residual, _),) = panels(figure(fit_of(wild)))
    assert measured.images[0].get_clim() == model.images[0].get_clim()
    np.testing.assert_allclose(
        measured.images[0].get_clim(), np.percentile(diagonal_from_neighbours(data.c2[0]), (0.5, 99.5))
    )
    low, high = residual.images[0].get_clim()
    assert low == -high < 0


def test_rows_and_axes_are_named_with_units():
    page = figure(fit_of(experiment()))
    assert titles(page) == [f"q = 0.01 Å⁻¹, φ = {phi}°" for phi in (0, 45, 90)]
    for *images, average in panels(page):
        assert [axes.get_title() for axes in images] == ["data $c_2$", "model $c_2$", "(data − model) / σ"]
        assert {axes.get_xlabel() for axes in images} == {"$t_1$ (s)"}
        assert images[0].get_ylabel() == "$t_2$ (s)"
        assert "(s)" in average.get_xlabel()


def test_every_title_stands_above_its_own_row_and_the_first_bin_on_top():
    page = figure(fit_of(experiment(frames=12)))
    heights = [text.get_position()[1] for text in page.texts]
    tops = [row[0].get_position().y1 for row in panels(page)]
    assert 1 > heights[0] > tops[0] > heights[1] > tops[1] > heights[2] > tops[2] > 0


def test_bins_of_several_data_sets_say_which_set_they_are_of():
    page = figure(fit_of(experiment(phi=(0.0,)), experiment(phi=(0.0, 90.0))), bins=[0, 2])
    assert titles(page) == ["q = 0.01 Å⁻¹, φ = 0°, data set 1", "q = 0.01 Å⁻¹, φ = 90°, data set 2"]


def test_the_model_is_averaged_over_the_bin_as_in_the_fit():
    data = experiment(phi=(60.0,), dphi=10.0)
    fit = fit_of(data)
    (point,) = comparisons(fit)
    (averaged,) = comparisons(replace(fit, statistics=Statistics(bin_nodes=(1, 10))))
    s = sector_correlation(create_model("two-component"), TRUTH, data.t, 0.01, 60.0, dphi=10.0)
    expected = diagonal_from_neighbours(OFFSET + CONTRAST * s)
    np.testing.assert_allclose(averaged.model, expected, rtol=0, atol=1e-5)
    assert np.nanmax(np.abs(point.model - expected)) > 1e-3


def test_masked_frames_are_blank_and_enter_no_average():
    data = experiment(phi=(0.0,))
    mask = np.ones((1, FRAMES), dtype=bool)
    mask[0, 7] = False
    spoiled = data.c2[0].copy()
    spoiled[7], spoiled[:, 7] = 99.0, 99.0
    masked = TwoTime(spoiled[None], data.q, data.phi, data.t, data.dt, mask=mask)
    (row,) = comparisons(fit_of(masked))
    for image, on_diagonal in ((row.data, 0), (row.model, 0), (row.residual, FRAMES - 1)):
        assert np.isnan(image[7]).all()
        assert np.isnan(image[:, 7]).all()
        assert np.isnan(image).sum() == 2 * FRAMES - 1 + on_diagonal
    assert np.nanmax(row.data_average) < OFFSET + CONTRAST + 5 * NOISE


def test_dark_frames_are_blank_as_they_are_left_out_of_the_fit():
    data = experiment(phi=(0.0,))
    dark = data.c2[0].copy()
    dark[3], dark[:, 3] = 0.0, 0.0
    (row,) = comparisons(fit_of(TwoTime(dark[None], data.q, data.phi, data.t, data.dt)))
    assert np.isnan(row.data[3]).all()
    assert np.nanmin(row.data_average) > OFFSET - 5 * NOISE


def test_a_gap_in_the_series_keeps_its_width_and_stays_blank():
    t = DT * np.r_[1:21, 31:51]
    data = simulate(q=0.01, phi=0.0, t=t, contrast=CONTRAST, noise=NOISE)
    (row,) = comparisons(fit_of(data))
    assert row.data.shape == (50, 50)
    assert np.isnan(row.data[20:30]).all()
    np.testing.assert_allclose(row.extent, (0.05, 5.05, 0.05, 5.05))
    assert row.lag[-1] == pytest.approx(4.9)


def test_large_matrices_are_averaged_over_blocks_for_display_and_the_title_says_so():
    data = experiment(phi=(0.0,), frames=810)
    (row,) = comparisons(fit_of(data))
    assert row.data.shape == (270, 270)
    assert row.title.endswith("images averaged over 3 × 3 frames")
    assert row.data[0, 5] == pytest.approx(data.c2[0][0:3, 15:18].mean())
    assert row.residual[0, 5] == pytest.approx((row.data[0, 5] - row.model[0, 5]) / NOISE)
    assert len(row.lag) == 809


@pytest.mark.parametrize(
    ("noise", "frames", "blocks"),
    [(0.4 * CONTRAST, 220, 220), (0.5 * CONTRAST, 220, 110), (9.0 * CONTRAST, 220, 110), (9.0, 40, 40)],
)
def test_noise_that_hides_the_contrast_is_averaged_away_down_to_a_hundred_blocks(noise, frames, blocks):
    (row,) = comparisons(fit_of(experiment(phi=(0.0,), frames=frames), noise=noise))
    assert row.data.shape == (blocks, blocks)


def test_lags_of_few_pairs_do_not_set_the_scale_of_the_average():
    data = experiment(phi=(90.0,))
    wild = data.c2[0].copy()
    wild[0, -1] = wild[-1, 0] = 50.0
    spoiled = TwoTime(wild[None], data.q, data.phi, data.t, data.dt)
    ((*_, average),) = panels(figure(fit_of(spoiled)))
    low, high = average.get_ylim()
    shown = np.asarray(average.lines[0].get_ydata())[: int(0.9 * FRAMES) - 1]
    assert low < shown.min() < shown.max() < high < 2.0


def test_without_a_noise_level_the_residual_is_in_units_of_c2():
    data = experiment(phi=(0.0,))
    ((_, _, residual, _),) = panels(figure(fit_of(data, noise=0.0)))
    assert residual.get_title() == "data − model"
    np.testing.assert_allclose(
        shown(residual), blank_diagonal(data.c2[0] - modelled(data, 0)), atol=REORDERED
    )


def test_matrices_are_read_one_at_a_time_and_only_those_asked_for():
    class Counted(list):
        reads: list[int] = []  # noqa: RUF012

        def __getitem__(self, bin):
            self.reads.append(bin)
            return super().__getitem__(bin)

    data = experiment()
    lazy = replace(data, c2=Counted(data.c2))
    rows = comparisons(fit_of(lazy), [2, 0])
    assert Counted.reads == []
    next(rows)
    assert Counted.reads == [2]
    next(rows)
    assert Counted.reads == [2, 0]


@pytest.mark.slow
def test_five_bins_stand_in_one_file_and_azimuths_never_overwrite_one_another(tmp_path):
    fit = fit_of(experiment(phi=(10.1, 10.2, 10.3, 10.4, 10.5, 10.6), frames=12))
    paths = write(fit, tmp_path)
    assert paths == [tmp_path / "figures" / f"fit-comparison-{page}.png" for page in (1, 2)]
    assert sorted((tmp_path / "figures").iterdir()) == paths
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.mark.slow
def test_pages_of_an_earlier_longer_result_do_not_stay(tmp_path):
    fit_of(experiment(phi=tuple(range(6)), frames=12)).save(tmp_path, ["figures"])
    other = tmp_path / "figures" / "mine.png"
    other.touch()
    paths = fit_of(experiment(phi=(0.0,), frames=12)).save(tmp_path, ["figures"])
    assert sorted((tmp_path / "figures").iterdir()) == sorted([*paths, other])


def test_a_fit_read_back_from_disk_says_what_to_do_and_writes_nothing(tmp_path):
    fit = replace(fit_of(experiment(phi=(0.0,), frames=12)), problem=None)
    with pytest.raises(HeterodyneError, match="right after fitting"):
        write(fit, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_bin_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="no bin 3; it has bins 0 to 2"):
        figure(fit_of(experiment(frames=12)), bins=[3])


def test_the_plugin_offers_the_figures_writer():
    found = discover(list(entry_points(group="heterodyne", name="viz")))
    assert [(plugin.distribution, plugin.error) for plugin in found.plugins] == [("heterodyne-viz", None)]
    record = found.find("writer", "figures")
    assert isinstance(record, WriterRecord)
    assert record.resolve(Writer) is figures.write
    assert manager().find("writer", "series/figures").resolve(Writer) is figures.write_series


def test_importing_the_plugin_loads_neither_matplotlib_nor_jax():
    check = "import sys, heterodyne_viz.plugin; sys.exit(bool({'matplotlib', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.slow
def test_the_figure_needs_no_pyplot():
    check = "import sys, heterodyne_viz.fit_comparison; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
