"""Claims about what MLflow is told of DagsHub."""

import pytest

from sentiment.registry.tracking import variables, without_secrets

URI = "https://dagshub.com/ada/reviews.mlflow"
REPO = {"DAGSHUB_REPO": "ada/reviews"}
TOKEN = {"DAGSHUB_USER_TOKEN": "t"}


def login(user: str, password: str = "t") -> dict[str, str]:  # noqa: S107 - nobody's
    """What MLflow reads."""
    return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        (TOKEN, {}),
        (REPO, {"MLFLOW_TRACKING_URI": URI}),
        (REPO | TOKEN, {"MLFLOW_TRACKING_URI": URI} | login("t")),
        (REPO | TOKEN | {"DAGSHUB_USER": "ada"}, {"MLFLOW_TRACKING_URI": URI} | login("ada")),
        (REPO | {"CAPSTONE_TEST": "old"}, {"MLFLOW_TRACKING_URI": URI} | login("old", "old")),
        (REPO | TOKEN | {"CAPSTONE_TEST": "old"}, {"MLFLOW_TRACKING_URI": URI} | login("t")),
        (TOKEN | {"MLFLOW_TRACKING_URI": URI}, login("t")),
        (REPO | TOKEN | {"MLFLOW_TRACKING_URI": ""}, {"MLFLOW_TRACKING_URI": URI} | login("t")),
        (
            REPO | TOKEN | {"MLFLOW_TRACKING_USERNAME": "ada"},
            {"MLFLOW_TRACKING_URI": URI, "MLFLOW_TRACKING_PASSWORD": "t"},
        ),
        (REPO | TOKEN | login("ada", "mine"), {"MLFLOW_TRACKING_URI": URI}),
        (REPO | TOKEN | {"MLFLOW_TRACKING_TOKEN": "x"}, {"MLFLOW_TRACKING_URI": URI}),
        # Not DagsHub, not its protocol, or not all of it.
        (REPO | TOKEN | {"MLFLOW_TRACKING_URI": "http://localhost:5000"}, {}),
        (TOKEN | {"MLFLOW_TRACKING_URI": URI.replace("https", "http")}, {}),
        (TOKEN | {"MLFLOW_TRACKING_URI": "https://dagshub.com.evil.org/ada/r.mlflow"}, {}),
        (TOKEN | {"MLFLOW_TRACKING_URI": "https://evil.org/https://dagshub.com/a"}, {}),
        (TOKEN | {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, {}),
        (TOKEN | {"MLFLOW_TRACKING_URI": URI, "MLFLOW_REGISTRY_URI": "https://other.org"}, {}),
        (
            REPO | TOKEN | {"DAGSHUB_CLIENT_HOST": "https://hub.corp/"},
            {"MLFLOW_TRACKING_URI": "https://hub.corp/ada/reviews.mlflow"} | login("t"),
        ),
    ],
)
def test_mlflow_is_told_what_is_missing(
    environment: dict[str, str], expected: dict[str, str]
) -> None:
    """The address and the token are passed on where MLflow's own variables don't say it, and the
    token to DagsHub only.
    """  # noqa: D205 - one claim
    assert variables(environment) == expected


def test_explicit_address_wins() -> None:
    """Calls to an address of their own never carry the token elsewhere."""
    assert variables(REPO | TOKEN, "http://localhost:5000") == {}
    assert variables(TOKEN, URI) == login("t")


def test_secrets_are_taken_out_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and passwords of addresses and known tokens are replaced; words stay."""
    monkeypatch.setenv("CAPSTONE_TEST", "0123456789")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "the")
    # pragma: allowlist nextline secret - of this test
    assert without_secrets("the token 0123456789 at http://ada:pw@host/x") == (
        "the token *** at http://***@host/x"
    )
