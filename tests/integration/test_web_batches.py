import csv
import io
import json
from typing import Any

import pytest

from tests.integration.conftest import StartWorker
from tests.integration.pages import PageProcess
from tests.waiting import until
from web.uploads import name_of

pytestmark = pytest.mark.kafka

CSV = {"Content-Type": "text/csv"}


def progress_when(site: PageProcess, name: str, state: str) -> Any:  # noqa: ANN401 - JSON
    """The progress of an upload once it is in a state."""

    def reached() -> Any:  # noqa: ANN401 - JSON
        code, answer = site.ask(f"/api/batches/{name}")
        assert code == 200
        return answer if answer["state"] == state else None

    return until(reached)


@pytest.mark.parametrize("form", [True, False])
def test_a_file_that_is_too_large_is_told(site: PageProcess, *, form: bool) -> None:
    """Whoever sends a far too large file reads why it is refused; no connection breaks."""
    kind, body = "text/plain", b"good\n" * 8_000_000
    if form:
        kind = "multipart/form-data; boundary=x"
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        body = head + body + b"\r\n--x--\r\n"
    for limit, path in (("10,485,760", "/api/batches"), ("1,048,576", "/api/events")):
        sent = {"Content-Type": "application/json" if path == "/api/events" else kind}
        code, answer = site.send(path, body, **sent)
        assert code == 413
        assert limit in json.loads(answer)["error"]["message"]


def test_a_file_goes_through_a_worker_and_back(
    site: PageProcess, start_worker: StartWorker
) -> None:
    """Each line of a CSV has its result, in the lines' order; bad lines are named, not sent."""
    start_worker()
    texts = [f"I loved part {n}." if n % 2 else f"Part {n} was awful." for n in range(1200)]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["stars", "Text"])
    writer.writerows([[1, text] for text in texts])
    writer.writerow([1, " "])
    writer.writerow([1, "=1+1, so good"])
    code, body = site.send("/api/batches", table.getvalue().encode(), **CSV)
    assert code == 202, body
    name = json.loads(body)["id"]
    found = progress_when(site, name, "done")
    assert (found["lines"], found["sent"], found["answered"]) == (1202, 1201, 1201)
    assert found["positive"] + found["negative"] == 1201
    assert min(found["positive"], found["negative"]) > 500
    [refused] = found["refused_lines"]
    assert (refused["line"], refused["code"]) == (1202, "empty_text")
    lines = site.send(f"/api/batches/{name}/results")[1].splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row.get("text") for row in rows] == [*texts, None, "=1+1, so good"]
    assert [row["line"] for row in rows] == list(range(2, 1204))
    assert {row["state"] for row in rows} == {"answered", "refused"}
    assert rows[1]["sentiment"] == "positive"
    assert rows[1]["id"] == f"{name_of(name)}-3"
    text = site.send(f"/api/batches/{name}/results?format=csv")[1].decode()
    cells = list(csv.DictReader(io.StringIO(text)))
    assert [row["text"] for row in cells] == [*texts, "", "'=1+1, so good"]
    assert cells[0]["sentiment"] == "negative"
