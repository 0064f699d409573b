"""Write what the deployment's files have in common with the code; `--check` only compares."""

import sys
from pathlib import Path

from sentiment.deploy import chart, msk, strimzi

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "sentiment-stream"
BEGIN, END = "<!-- values: generated -->\n", "\n<!-- values: end -->"


def wanted() -> dict[Path, str]:
    """Every generated file and what should stand in it."""
    readme = (CHART / "README.md").read_text()
    before, rest = readme.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    table = chart.values_table((CHART / "values.yaml").read_text())
    schema = CHART / "values.schema.json"
    return {
        CHART / "README.md": before + BEGIN + table + END + after,
        schema: chart.schema(schema.read_text()),
        ROOT / "k8s" / "strimzi" / "users.yaml": strimzi.users(),
        ROOT / "k8s" / "msk" / "trends-acls.sh": msk.acls(),
        **{
            ROOT / "k8s" / "msk" / "policies" / f"{user}.json": policy
            for user, policy in msk.policies().items()
        },
    }


def main() -> int:
    """Write the files, or with `--check` only compare. Returns the exit code."""
    stale = {
        path: text
        for path, text in wanted().items()
        if not path.exists() or path.read_text() != text
    }
    if "--check" not in sys.argv:
        for path, text in stale.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    elif stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.stderr.write(f"{names}: stale, run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
