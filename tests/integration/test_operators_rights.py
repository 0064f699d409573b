"""On brokers with ACLs: what the operators' page needs is enough."""

import json
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sentiment import apps
from sentiment.settings import Settings
from tests.integration.commands import PATIENCE_S, values
from tests.integration.dead_letters import bury, event
from tests.integration.pages import page
from tests.integration.secure_kafka import SecureKafka
from tests.unit.operators import TOKEN

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bootstrap_servers(secure_broker: SecureKafka) -> str:
    """What the test itself does goes past all doors."""
    return secure_broker.bootstrap_servers


def ask(url: str, *, post: bool = False) -> Any:  # noqa: ANN401 - JSON
    """What a program with the token is told."""
    request = urllib.request.Request(  # noqa: S310 - ours
        url, b"" if post else None, {"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
        return json.loads(answer.read())


def test_the_operators_page_needs_no_more_than_its_rights(
    secure_broker: SecureKafka, settings: Settings, tmp_path: Path
) -> None:
    """With the page's rights and the operators' it lists a dead letter and sends it back."""
    bury(settings, [event(1)])
    both = [*apps.rights("page"), *apps.rights("operators")]
    # Each right once, as both parts write events.
    wanted = {replace(right, part="page") for right in both}
    secure_broker.grant("page", list(wanted), settings)
    environment = secure_broker.environment("PLAIN", "page")
    try:
        with page(tmp_path / "web.log", OPERATORS_TOKEN=TOKEN, **environment) as site:
            listed = ask(f"{site.url}/operators/dead-letters")
            assert [letter["id"] for letter in listed["letters"]] == ["0-0"]
            run = ask(f"{site.url}/operators/dead-letters/0-0/redrive", post=True)["run"]
            assert (run["problem"], run["redriven"]) == ("", 1)
    finally:
        secure_broker.withdraw("page")
    assert values(settings, settings.topics.events) == [event(1)]
