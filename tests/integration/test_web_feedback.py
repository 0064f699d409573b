import msgspec
import pytest

from sentiment.settings import Settings
from sentiment.wire import Feedback, Model
from tests.integration.pages import PageProcess, publish, result
from tests.integration.workers import read

pytestmark = pytest.mark.kafka


def given(settings: Settings, count: int) -> dict[bytes, Feedback]:
    """The feedback on its topic, by key."""
    records = read(settings, settings.topics.feedback, lambda seen: len(seen) >= count)
    assert len(records) == count
    return {
        record.key() or b"": msgspec.json.decode(record.value() or b"", type=Feedback)
        for record in records
    }


def test_feedback_has_what_the_result_said(settings: Settings, site: PageProcess) -> None:
    """A label or a verdict on a known result is on the topic, with model and answer; no text."""
    good, bad = result(), result(score=0.2)
    publish(settings, good, bad)
    assert site.outcome(bad.id)[0] == 200
    code, answer = site.ask("/api/feedback", {"id": good.id, "label": "negative", "text": "a"})
    assert (code, answer) == (202, {"id": good.id, "label": "negative", "text_kept": False})
    # What the caller says of a result that is known here does not count.
    lie = {"sentiment": "positive", "model": {"name": "other", "version": "0"}}
    code, answer = site.ask("/api/feedback", {"id": bad.id, "verdict": "wrong", **lie})
    assert (code, answer["label"]) == (202, "positive")
    model = Model("sentiment", "7")
    assert given(settings, 2) == {
        good.id.encode(): Feedback(good.id, "negative", model, "positive"),
        bad.id.encode(): Feedback(bad.id, "positive", model, "negative"),
    }


@pytest.mark.parametrize("site", [{"WEB_FEEDBACK_TEXT": "true"}], indirect=True)
def test_feedback_on_what_is_not_known_here(settings: Settings, site: PageProcess) -> None:
    """An unknown result is 404, unless the caller says what it said; text is kept where it may."""
    for opinion in ({"label": "positive"}, {"verdict": "right"}):
        code, answer = site.ask("/api/feedback", {"id": "x", **opinion})
        assert (code, answer["error"]["code"]) == (404, "no_result")
    said = {"id": "x/y", "verdict": "right", "sentiment": "negative", "text": "a bad film"}
    code, answer = site.ask("/api/feedback", said)
    assert (code, answer["text_kept"]) == (202, True)
    large = {**said, "text": "a" * 70_000}
    code, answer = site.ask("/api/feedback", large)
    assert (code, answer["error"]["code"]) == (413, "too_large")
    assert given(settings, 1) == {
        b"x/y": Feedback("x/y", "negative", None, "negative", "a bad film")
    }
