"""The line that tells how far sampling is."""

from __future__ import annotations

import pytest

from heterodyne_cmc import watch
from heterodyne_cmc.nuts import SamplerSettings
from heterodyne_cmc.watch import Count, Meter, Watch

SETTINGS = SamplerSettings(chains=2, warmup=100, draws=300)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in s, to be set."""
    now = [0.0]
    monkeypatch.setattr(watch, "perf_counter", lambda: now[0])
    return now


def test_chains_are_added_up_and_the_time_left_follows_from_what_was_seen(clock):
    lines: list[str] = []
    seen = Watch(Meter(SETTINGS, 1, lines.append))
    seen(0, 50, 0)
    clock[0] = 10.0
    seen(1, 50, 0)
    clock[0] = 30.0
    seen(0, 150, 3)
    assert lines == [
        "sampling 2 chains: [------------] 6%, 0 divergences",
        "sampling 2 chains: [#-----------] 12%, 0 divergences, 2 min 20 s left",
        "sampling 2 chains: [###---------] 25%, 3 divergences, 2 min 0 s left",
    ]


def test_shards_share_a_line_that_names_those_at_work(clock):
    lines: list[str] = []
    meter = Meter(SETTINGS, 4, lines.append)
    meter(Count(400, 1), "shard 1")
    clock[0] = 4.0
    meter(Count(200, 0), "shard 3")
    clock[0] = 8.0
    meter(Count(800, 1), "shard 1")
    assert lines == [
        "sampling 4 shards (0 ended; 1 at 50%): [#-----------] 12%, 1 divergence",
        "sampling 4 shards (0 ended; 1 at 50%, 3 at 25%): [##----------] 19%, 1 divergence, 52 s left",
        "sampling 4 shards (1 ended; 3 at 25%): [###---------] 31%, 1 divergence, 29 s left",
    ]


def test_a_second_try_is_called_one_and_the_end_has_no_time_left(clock):
    lines: list[str] = []
    meter = Meter(SETTINGS, 1, lines.append, attempt=2)
    meter(Count(400))
    clock[0] = 1.0
    meter(Count(800))
    assert lines == [
        "sampling 2 chains, try 2: [######------] 50%, 0 divergences",
        "sampling 2 chains, try 2: [############] 100%, 0 divergences",
    ]


def test_a_shard_that_begins_again_tells_no_negative_time(clock):
    lines: list[str] = []
    meter = Meter(SETTINGS, 2, lines.append)
    meter(Count(400), "shard 1")
    meter(Count(100), "shard 1")
    assert lines[-1] == "sampling 2 shards (0 ended; 1 at 12%): [------------] 6%, 0 divergences"


def test_counts_pass_between_processes_as_text():
    assert Count.from_text(Count(120, 3).text()) == Count(120, 3)
    assert Count.from_text("UserWarning: 2 things") is None
    assert Count.from_text("") == Count()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99.0, "99 s"), (200.0, "3 min 20 s"), (7500.0, "2 h 5 min")]
)
def test_durations_have_two_units_at_most(clock, seconds, words):
    lines: list[str] = []
    meter = Meter(SETTINGS, 1, lines.append)
    meter(Count(0))
    clock[0] = seconds
    meter(Count(400))
    assert lines[-1].endswith(f", {words} left")
