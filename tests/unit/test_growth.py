import pytest

from benchmarks.soak import Sample, verdict


def samples(
    memory: float = 0, threads: float = 0, files: float = 0, lag: float = 0
) -> list[Sample]:
    """An hour of a worker in which each measure grows by so much, after a start that settles."""
    return [
        Sample(
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
    assert verdict(samples(**grown))["grows"] == named


def test_too_few_samples_are_no_verdict() -> None:
    """A run of seconds is not taken for a proof."""
    with pytest.raises(ValueError, match="too few"):
        verdict(samples()[:7])
