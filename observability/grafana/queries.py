"""The shapes that most expressions of the dashboards have."""

# Grafana's own: at least four scrapes, so that a rate never lacks a sample.
WINDOW = "$__rate_interval"


def per_second(metric: str, *by: str) -> str:
    """How fast a counter rises, summed up by labels; `metric` may have matchers."""
    return total(f"rate({metric}[{WINDOW}])", *by)


def total(metric: str, *by: str) -> str:
    """A gauge, summed up by labels."""
    return f"sum by ({', '.join(by)}) ({metric})" if by else f"sum({metric})"


def quantile(share: float, histogram: str, *by: str) -> str:
    """A quantile of a histogram, by labels; `histogram` has no suffix and may have matchers."""
    name, brace, matchers = histogram.partition("{")
    bucket = f"{name}_bucket{brace}{matchers}"
    return f"histogram_quantile({share}, {per_second(bucket, 'le', *by)})"


def ratio(part: str, whole: str) -> str:
    """A share, which is 0 and not unknown while there is no part."""
    return f"({part} or 0 * {whole}) / {whole}"


def worst(gauge: str, reference: str = "") -> str:
    """The largest of the workers' figures by model version; with a reference, above that."""
    return f"max by (model_version) ({gauge}{f' - {reference}' if reference else ''})"
