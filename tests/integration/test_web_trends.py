from pathlib import Path

import pytest

from sentiment.settings import Settings
from tests.integration.conftest import StartWorker
from tests.integration.pages import page
from tests.integration.trends_process import StartTrends
from tests.integration.workers import send
from tests.waiting import until

pytestmark = pytest.mark.kafka


def test_the_page_shows_the_trends(
    settings: Settings, start_worker: StartWorker, start_trends: StartTrends, tmp_path: Path
) -> None:
    """The page answers as the trends do, passes their refusals on, and says when they are away."""
    start_worker()
    trends = start_trends()
    send(settings, [b'{"text":"a good film","source":"shop"}'] * 3 + [b'{"text":"bad"}'] * 2)
    trends.wait_for(5)
    with page(tmp_path / "web.log", WEB_TRENDS_URL=f"http://127.0.0.1:{trends.port}/") as site:
        code, found = site.ask("/api/trends?window=3600&source=shop&unknown=%26")
        assert code == 200
        assert found == trends.get("/trends?window=3600&source=shop")
        assert found["trends"][0]["total"]["events"] == 3
        assert site.ask("/api/trends?window=3600")[1]["trends"][0]["total"]["events"] == 5
        code, answer = site.ask("/api/trends?window=7")
        assert (code, answer["error"]["code"]) == (400, "invalid_parameter")
        assert "window=7" in answer["error"]["message"]
        trends.end()
        until(lambda: site.ask("/api/trends?window=3600")[0] != 200)
        assert site.ask("/api/trends?window=3600")[0] == 502
