"""The gates before `champion`: each a function of figures, with a sentence that gives them.

A figure that is no number (NaN) passes no gate.
"""

from collections.abc import Mapping

from msgspec import Struct

from sentiment.feedback import Accuracy
from trainer.judging.figures import LOWER_IS_BETTER
from trainer.params import Promote
from trainer.report import Interval

# Decimals of losses that are compared with a limit: 0.90 - 0.88 is a little above 0.02 in binary.
_DECIMALS = 9

# A megabyte as disks and downloads count.
_MB = 1_000_000


class Check(Struct, frozen=True):
    """What one gate found.

    Attributes:
        gate: Its name.
        passed: Whether a model may go through.
        reason: A sentence with the figures.
        skipped: There was nothing to compare with; such a gate lets all through.
    """

    gate: str
    passed: bool
    reason: str
    skipped: bool = False


def skip(gate: str, reason: str) -> Check:
    """A gate that has nothing to compare with."""
    return Check(gate, passed=True, reason=reason, skipped=True)


def better(difference: Interval, params: Promote) -> Check:
    """The main metric is better, even at the unlucky end of its interval.

    Args:
        difference: The metric of the challenger less that of the champion, on the same texts.
        params: Names the metric and the gain that the unlucky end must exceed.
    """
    if params.metric in LOWER_IS_BETTER:
        gain = Interval(-difference.value, -difference.high, -difference.low)
        figure = f"{params.metric} (less is better)"
    else:
        gain = difference
        figure = params.metric
    passed = gain.low > params.min_gain
    return Check(
        "metric",
        passed,
        f"gain in {figure} {gain.value:+.4f}, interval {gain.low:+.4f} to {gain.high:+.4f}; its"
        f" lower end {'is' if passed else 'must be'} above {params.min_gain:g}",
    )


def first(overall: Mapping[str, Interval], params: Promote) -> Check:
    """Where there is no champion to beat: the main metric itself is good enough.

    Args:
        overall: Figures of the challenger's report.
        params: Names the metric and what it must reach.
    """
    if params.metric not in overall:
        return Check("metric", passed=False, reason=f"its report has no {params.metric}")
    value = overall[params.metric].value
    lower = params.metric in LOWER_IS_BETTER
    passed = value <= params.min_metric if lower else value >= params.min_metric
    return Check(
        "metric",
        passed,
        f"{params.metric} is {value:.4f}; the first champion needs at"
        f" {'most' if lower else 'least'} {params.min_metric:g}",
    )


def no_loss(
    gate: str, challenger: Mapping[str, float], champion: Mapping[str, float], most: float
) -> Check:
    """No single share, such as the accuracy of one domain, is much worse.

    Args:
        gate: The gate's name.
        challenger: The shares by name.
        champion: The same; a name that is new or gone is not compared.
        most: How much lower a share of the challenger may be.
    """
    common = [name for name in challenger if name in champion]
    if not common:
        return skip(gate, "nothing in common with the champion")
    losses = {name: round(champion[name] - challenger[name], _DECIMALS) for name in common}
    worse = [name for name in common if not losses[name] <= most]
    shown = sorted(worse, key=losses.__getitem__, reverse=True) or [max(common, key=losses.get)]  # type: ignore[arg-type]
    figures = ", ".join(f"{n} {champion[n]:.4f} to {challenger[n]:.4f}" for n in shown)
    if worse:
        reason = f"{len(worse)} of {len(common)} fall by more than {most:g}: {figures}"
    else:
        reason = f"none of {len(common)} falls by more than {most:g}; the worst: {figures}"
    return Check(gate, not worse, reason)


def compiled(reported: float | None, why_not: str, now: float | None, params: Promote) -> Check:
    """The compiled form gives the same answers as scikit-learn.

    Args:
        reported: Largest difference that the report found; None: it could not be compiled.
        why_not: The report's reason for that.
        now: Largest difference found just now; None: it is served through scikit-learn here.
        params: Holds the largest difference allowed.
    """
    most = params.max_compiled_difference
    if reported is None or now is None:
        why = why_not if reported is None else "the worker serves it through scikit-learn here"
        return Check("compiled", passed=False, reason=f"it is not compiled: {why or 'no reason'}")
    return Check(
        "compiled",
        reported <= most and now <= most,
        f"differs from scikit-learn by {reported:.1e} in the report and {now:.1e} now; allowed is"
        f" {most:g}",
    )


def size(found: int, params: Promote) -> Check:
    """The file of the model is small enough.

    Args:
        found: Bytes.
        params: Holds the limit.
    """
    return Check(
        "size",
        found <= params.max_size_mb * _MB,
        f"{found / _MB:.2f} MB; allowed are {params.max_size_mb:g}",
    )


def speed(challenger: float, champion: float, params: Promote) -> Check:
    """It is not much slower.

    Args:
        challenger: Texts a second, in the same run on the same texts as the champion's.
        champion: The same.
        params: Holds the least share.
    """
    share = challenger / champion
    return Check(
        "speed",
        share >= params.min_speed_share,
        f"{challenger:,.0f} texts a second, the champion {champion:,.0f}: a share of {share:.2f};"
        f" at least {params.min_speed_share:g} is asked",
    )


def feedback(found: Accuracy | None, least: float, params: Promote) -> Check:
    """People agree with the answers that it has given so far.

    Args:
        found: What their labels say of it; None: there are none.
        least: Share of them that must agree.
        params: Holds how many there must be.
    """
    labels = found.labels if found else 0
    if found is None or labels < params.min_feedback_labels:
        return Check(
            "feedback",
            passed=False,
            reason=f"people labelled {labels:,} of its answers; {params.min_feedback_labels:,} are"
            " asked: let it answer a share of the keys (MODEL_CANARY_SHARE)",
        )
    return Check(
        "feedback",
        found.accuracy >= least,
        f"{found.accuracy:.4f} of {labels:,} labels agree with its answers; at least {least:g} is"
        " asked",
    )
