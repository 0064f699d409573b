"""`make audit`: known weaknesses of what images and laptops install, by pip-audit.

Which takes "nobody answers" for no weakness, or for a traceback. Here nothing found is 0; something
found, or a scan that failed, is 1; and packages that could not be asked about, else, are 3. It runs
in the environment of `requirements/scan.txt`, with the standard library alone.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOUND, UNANSWERED = 1, 3
# 200 packages take 10 s; a service that hangs does so for pip-audit's 15 s at its first package.
LONGEST_S = 600
# How pip-audit ends, or its HTTP client's traceback, where the service can't be reached or fails.
NO_ANSWER = re.compile(r"blocking this service|ServiceError|ConnectionError|ProxyError|Timeout")


def installed() -> list[str]:
    """The requirements that are installed somewhere: by the Dockerfile, and for the demo."""
    text = (ROOT / "Dockerfile").read_text()
    return sorted({"demo", *re.findall(r"-r requirements/([a-z]+)\.txt", text)})


def judge(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What was found, and what could not be asked about, a line each, of pip-audit's JSON."""
    packages = report["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {weakness['id']}"
        f" ({', '.join(weakness['aliases'])}), mended in"
        f" {', '.join(weakness['fix_versions']) or 'no version yet'}"
        for package in packages
        for weakness in package.get("vulns", [])
    ]
    unanswered = [package["skip_reason"] for package in packages if "skip_reason" in package]
    return found, unanswered


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, tell, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="make audit",
        description="Known weaknesses of what is installed; other options are pip-audit's.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--allow-unanswered",
        action="store_true",
        help="where no service can be reached: say so, and end well if nothing was found",
    )
    options, others = parser.parse_known_args(arguments)
    command = [str(Path(sys.executable).parent / "pip-audit"), "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner", "off", "--format", "json", *others]
    for name in installed():
        command += ["--requirement", str(ROOT / "requirements" / f"{name}.txt")]
    done = subprocess.run(  # noqa: S603 - pip-audit, with the caller's own options
        command, capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if not NO_ANSWER.search(last):
            return _tell(FOUND, f"pip-audit failed with code {done.returncode}: {last}")
        return _unanswered(last, "No package", allowed=options.allow_unanswered)
    found, unanswered = judge(report)
    asked = len(report["dependencies"]) - len(unanswered)
    if found:
        silent = [f"Not asked about: {len(unanswered)} packages."] if unanswered else []
        return _tell(FOUND, "\n".join(["Known weaknesses:", *found, *silent]))
    if unanswered or not asked:
        reason = unanswered[0] if unanswered else "it names no package"
        return _unanswered(reason, f"{asked} packages", allowed=options.allow_unanswered)
    return _tell(0, f"No known weakness in {asked} packages.")


def _unanswered(reason: str, asked: str, *, allowed: bool) -> int:
    return _tell(
        0 if allowed else UNANSWERED,
        f"NOT AUDITED: {asked} could be asked about, so this says nothing of weaknesses. {reason}"
        '\nHint: try another service with ARGS="-s osv"; CI\'s job `scan` asks on each push.',
    )


def _tell(code: int, text: str) -> int:
    print(text, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
