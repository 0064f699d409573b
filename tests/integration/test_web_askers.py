"""What a visitor may see of others' events, and what others may do to a visitor's."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sentiment import wire
from sentiment.settings import Settings
from sentiment.wire import Input
from tests.integration.pages import PageProcess, page, publish, result
from tests.integration.workers import WorkerProcess, read
from tests.waiting import LONGEST_S

pytestmark = pytest.mark.kafka

# What everybody may see of anybody's event: nothing of which its text could be made.
PUBLIC = {
    *("id", "sentiment", "score", "confidence", "model", "input", "received_at", "processed_at"),
    *("source", "created_at", "canary"),
}
LINES = {"Content-Type": "text/plain"}


def shown(site: PageProcess, name: str) -> Any:  # noqa: ANN401 - JSON
    """A result as a new feed shows it."""
    address = f"{site.url}/api/stream"
    with urllib.request.urlopen(address, timeout=LONGEST_S) as lines:  # noqa: S310 - ours
        frames = (json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
        return next(frame for frame in frames if frame.get("id") == name)


def places(settings: Settings, count: int) -> dict[str, Input]:
    """Where the events stand, by their ids."""
    topic = settings.topics.events
    return {
        (record.key() or b"").decode(): Input(topic, record.partition() or 0, record.offset() or 0)
        for record in read(settings, topic, lambda seen: len(seen) >= count)
    }


def elsewhere(place: Input) -> Input:
    """Where somebody else's event stands."""
    return Input(place.topic, place.partition, place.offset + 1000)


def at(place: Input, **more: str) -> str:
    """The parameters that ask for the event in a place."""
    return urlencode({"partition": place.partition, "offset": place.offset, **more})


def test_explanations_are_the_askers_alone(
    site: PageProcess, start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    """No feed or listing shows one; its sender gets it from any replica, also from a later one."""
    start_worker()
    sent = {"id": "mine", "text": "I loved it.", "explain": True, "attributes": {"a": "I loved"}}
    answer = site.ask("/api/events", sent)[1]
    assert set(site.outcome("mine")[1]) <= PUBLIC
    assert set(shown(site, "mine")) <= PUBLIC
    place = Input(**answer["events"][0]["input"])
    with page(tmp_path / "second.log") as second:
        assert set(second.outcome("mine")[1]) <= PUBLIC
        for replica in (site, second):
            path = f"/api/results/mine?{at(place, wait='30', token=answer['token'])}"
            code, found = replica.ask(path)
            assert (code, set(found) - PUBLIC) == (200, {"explanation"})
            assert found["explanation"]["parts"]
            for token in ("", "a", answer["token"][:-1], "mine"):
                code, found = replica.ask(f"/api/results/mine?{at(place, token=token)}")
                assert (code, set(found) - PUBLIC) == (200, set())
    # Another event's token shows nothing of this one.
    other = site.ask("/api/events", {**sent, "id": "other"})[1]
    assert set(site.ask(f"/api/results/mine?token={other['token']}")[1]) <= PUBLIC
    assert site.ask("/api/events", {"text": "no explanation"})[1]["token"] is None


def test_another_event_with_the_same_id_is_no_answer(settings: Settings, site: PageProcess) -> None:
    """Whoever asks with the place of an event gets its own outcome, whatever else has its id."""
    assert site.ask("/api/events", {"id": "mine", "text": "I loved it."})[0] == 202
    place = places(settings, 1)["mine"]
    publish(settings, result(id="mine", score=0.1, input=elsewhere(place)))
    # Without a place it is the last one of the id, whoever sent it.
    assert site.outcome("mine")[1]["sentiment"] == "negative"
    assert site.ask(f"/api/results/mine?{at(place, wait='0.2')}")[0] == 404
    # Of a topic that was made anew, another event stands in the place.
    publish(settings, result(id="old", score=0.1, input=place))
    assert site.outcome("old")[0] == 200
    assert site.ask(f"/api/results/mine?{at(place, wait='0.2')}")[0] == 404
    publish(settings, result(id="mine", input=place))
    code, found = site.ask(f"/api/results/mine?{at(place, wait='30')}")
    assert (code, found["sentiment"]) == (200, "positive")
    publish(settings, result(id="mine", score=0.2, input=elsewhere(elsewhere(place))))
    assert site.ask(f"/api/results/mine?{at(place)}")[1]["sentiment"] == "positive"
    # A label is about the answer that was seen.
    opinion = {"id": "mine", "verdict": "wrong", "input": found["input"]}
    assert site.ask("/api/feedback", opinion)[1]["label"] == "negative"


def test_uploads_are_read_with_their_secret_alone(settings: Settings, site: PageProcess) -> None:
    """What a feed shows of an upload's events does not open it; its URL does."""
    code, body = site.send("/api/batches", b"my dear diary\nand more\n", **LINES)
    assert code == 202
    secret = json.loads(body)["id"]
    found = places(settings, 2)
    publish(settings, *(result(id=name, input=place) for name, place in found.items()))
    for name in found:
        seen = shown(site, name)["id"]
        assert secret not in seen
        for guess in (seen, seen.partition("-")[0]):
            for path in (f"/api/batches/{guess}", f"/api/batches/{guess}/results"):
                code, answer = site.ask(path)
                assert (code, answer["error"]["code"]) == (404, "no_batch")
    records = read(settings, settings.topics.events, lambda seen: len(seen) >= 2)
    assert all(secret.encode() not in (record.value() or b"") for record in records)
    assert b"my dear diary" in site.send(f"/api/batches/{secret}/results")[1]


def test_others_cannot_answer_an_upload(settings: Settings, site: PageProcess) -> None:
    """Outcomes of events that others sent under an upload's ids change nothing of it."""
    body = site.send("/api/batches", b"good\nfine\n", **LINES)[1]
    path = f"/api/batches/{json.loads(body)['id']}"
    found = places(settings, 2)
    false = [result(id=name, score=0.1, input=elsewhere(place)) for name, place in found.items()]
    publish(settings, *false, last := result())
    assert site.outcome(last.id)[0] == 200
    progress = site.ask(path)[1]
    assert (progress["sent"], progress["answered"]) == (2, 0)
    true = [result(id=name, input=place) for name, place in found.items()]
    # The false ones also in the same read as the true ones, before and after them.
    publish(settings, *false, *true, *false, last := result())
    assert site.outcome(last.id)[0] == 200
    progress = site.ask(path)[1]
    assert (progress["state"], progress["positive"], progress["negative"]) == ("done", 2, 0)


def test_models_that_never_answered_get_no_labels(settings: Settings, site: PageProcess) -> None:
    """Feedback on a result that is not known here names a model whose results came by, or none."""
    publish(settings, seen := result())
    assert site.outcome(seen.id)[0] == 200
    for version, wanted in (("7", 202), ("8", 422), ("9" * 200, 422), ("9" * 300, 400)):
        model = {"name": "sentiment", "version": version}
        opinion = {"id": "gone", "verdict": "right", "sentiment": "positive", "model": model}
        assert site.ask("/api/feedback", opinion)[0] == wanted, version
    del opinion["model"]
    assert site.ask("/api/feedback", opinion)[0] == 202
    records = read(settings, settings.topics.feedback, lambda seen: len(seen) >= 2)
    models = [wire.decode_feedback(record.value() or b"").model for record in records]
    assert models == [seen.model, None]
