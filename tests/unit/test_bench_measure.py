"""Claims about the benchmark's arithmetic; nothing here is timed."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from benchmarks import bench, measurements, report, soak
from benchmarks.bench import Pace, Sample, pace, watch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Sample]:
    """Time that goes only where somebody sleeps, and samples of it."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    time = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(bench, "time", time)
    return lambda count: Sample(now[0], count, 2 * now[0], now[0])


def test_a_pace_is_what_lies_between_two_samples() -> None:
    """What was done and used before the first sample is not counted."""
    found = pace(Sample(10.0, 5_000, 7.0, 3.0), Sample(12.0, 205_000, 9.0, 4.0))
    assert found == Pace(events_per_second=100_000, processor_s=10.0, broker_s=5.0)


def test_one_sign_of_work_is_no_pace() -> None:
    """A candidate that is seen at work only once has no rate, and says so."""
    with pytest.raises(TimeoutError, match="no second one"):
        pace(Sample(1.0, 5, 0, 0), Sample(2.0, 5, 0, 0))


def test_a_standstill_after_the_last_commit_is_no_work(clock: Callable[[int], Sample]) -> None:
    """A candidate that commits 1,000 events every five seconds does 200 a second at any limit."""
    for limit_s in (11.0, 14.9):
        began = clock(0).at_s
        done = lambda began=began: int((clock(0).at_s - began) // 5) * 1000  # noqa: E731
        found = watch(done, 1_000_000, limit_s, clock)
        assert found.events_per_second == pytest.approx(200, rel=0.02)
        # Two processor seconds go by in each second of this clock.
        assert found.processor_s == pytest.approx(2 * 5 / 1000 * 1e6, rel=0.02)


def test_the_end_of_a_backlog_ends_the_watch(clock: Callable[[int], Sample]) -> None:
    """A fast candidate is measured to its last event, not to the limit."""
    found = watch(lambda: min(int(clock(0).at_s * 100_000), 30_000), 30_000, 60.0, clock)
    assert found.events_per_second == pytest.approx(100_000, rel=0.1)
    assert clock(0).at_s < 1


def test_a_candidate_that_does_nothing_is_given_up(clock: Callable[[int], Sample]) -> None:
    """The wait for the first event has an end."""
    with pytest.raises(TimeoutError, match="did nothing"):
        watch(lambda: 0, 100, 60.0, clock)


def test_the_median_run_counts() -> None:
    """A candidate's figures are those of one run, the median; all rates are told."""
    runs = [Pace(float(rate), float(rate), 1.0) for rate in (30, 10, 20)]
    assert measurements.summary(runs) == {
        "events_per_second": 20, "processor_s": 20, "broker_s": 1, "runs": [30, 10, 20],
    }  # fmt: skip
    assert measurements.summary(runs[:2])["events_per_second"] == 10


def test_percentiles_of_latency() -> None:
    """p50 and p99 are those of the probes; without a probe there is no latency."""
    found = measurements.of_probes([float(number) for number in range(101)], 1000.0)
    assert (found["p50_ms"], found["p99_ms"], found["probes"]) == (50, 99, 101)
    with pytest.raises(TimeoutError):
        measurements.of_probes([], 1000.0)


def test_cost_in_pods() -> None:
    """A billion texts a day: 11,574 a second, three times that at the peak, seven tenths used."""
    found = report.cost(1e9, 10_000, 20.0)
    assert found["pods"] == 5
    assert found["average_per_second"] == pytest.approx(11_574, abs=1)
    assert found["cores"] == pytest.approx(0.2315, abs=1e-4)
    assert report.cost(1, 10_000, 20.0)["pods"] == 1


def samples(
    memory: float = 0, threads: float = 0, files: float = 0, lag: float = 0
) -> list[soak.Sample]:
    """An hour of a worker in which each measure grows by so much, after a start that settles."""
    return [
        soak.Sample(
            at_s=5.0 * number,
            memory_mib=(200 if number < 100 else 300) + memory * number / 720,
            threads=int(17 + threads * number / 720),
            files=int(22 + files * number / 720),
            lag=int(100 + number % 7 + lag * number / 720),
        )
        for number in range(720)
    ]


@pytest.mark.parametrize(
    ("grown", "named"),
    [
        ({}, []),
        ({"memory": 5}, []),
        ({"memory": 60}, ["memory_mib"]),
        ({"threads": 12}, ["threads"]),
        ({"files": 12}, ["files"]),
        ({"lag": 100_000}, ["lag"]),
        ({"memory": 60, "files": 12}, ["memory_mib", "files"]),
    ],
    ids=str,
)
def test_what_grows_is_named(grown: dict[str, float], named: list[str]) -> None:
    """A leak of memory, threads or files, or a queue that runs away, is found and nothing else."""
    assert soak.verdict(samples(**grown))["grows"] == named


def test_too_few_samples_are_no_verdict() -> None:
    """A run of seconds is not taken for a proof."""
    with pytest.raises(ValueError, match="too few"):
        soak.verdict(samples()[:7])
