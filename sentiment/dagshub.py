"""DagsHub's hosted MLflow: its address and who we are, from the environment to where MLflow looks.

| variable | meaning |
|---|---|
| `DAGSHUB_REPO` | `owner/name`; the address where `MLFLOW_TRACKING_URI` gives none |
| `DAGSHUB_USER_TOKEN` | the token, as DagsHub's own client calls it |
| `CAPSTONE_TEST` | the token, as the system before this one called it |
| `DAGSHUB_USER` | the user; without it the token stands for the user too, which DagsHub accepts |
| `DAGSHUB_CLIENT_HOST` | another DagsHub than <https://dagshub.com>, as its own client calls it |

What MLflow's own variables say wins. A token goes to DagsHub and to no other server.
"""

import os
import re
from collections.abc import Mapping
from threading import Lock
from urllib.parse import urlsplit

from sentiment.errors import SettingsError

HOST = "https://dagshub.com"
# The first that is set.
TOKENS = ("DAGSHUB_USER_TOKEN", "CAPSTONE_TEST")

# Never shown.
SECRETS = (*TOKENS, "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")

# What we have put into the environment; whatever differs from it is the user's.
_ours: dict[str, str] = {}
# A worker asks the registry from more than one thread.
_lock = Lock()


def apply(tracking_uri: str | None = None) -> None:
    """Put into the environment what MLflow must find there; take out what no longer holds.

    MLflow reads user and password there at each request. So does whatever is started from here.

    Args:
        tracking_uri: The server or store of the calls that follow; None: the environment's.

    Raises:
        SettingsError: `DAGSHUB_REPO` is no repository.
    """
    with _lock:
        own = {name: v for name, v in os.environ.items() if _ours.get(name) != v}
        wanted = variables(own, tracking_uri)
        for name in _ours.keys() - wanted.keys() - own.keys():
            os.environ.pop(name, None)
        os.environ.update(wanted)
        _ours.clear()
        _ours.update(wanted)


def variables(environment: Mapping[str, str], tracking_uri: str | None = None) -> dict[str, str]:
    """The variables of MLflow that are missing in an environment to reach DagsHub.

    Args:
        environment: What the user has set.
        tracking_uri: See `apply`.

    Raises:
        SettingsError: `DAGSHUB_REPO` is no repository.
    """
    host = environment.get("DAGSHUB_CLIENT_HOST", HOST).rstrip("/")
    found: dict[str, str] = {}
    address = tracking_uri or environment.get("MLFLOW_TRACKING_URI")
    if not address and (repository := environment.get("DAGSHUB_REPO")):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise SettingsError(
                f"DAGSHUB_REPO is {repository!r}, which is no repository on DagsHub.",
                "Write it as owner/name.",
            )
        address = found["MLFLOW_TRACKING_URI"] = f"{host}/{repository}.mlflow"
    token = next((environment[name] for name in TOKENS if environment.get(name)), None)
    addresses = (address, environment.get("MLFLOW_REGISTRY_URI"))
    if (
        token
        and address
        and all(_server(uri) == _server(host) for uri in addresses if uri)
        and not environment.get("MLFLOW_TRACKING_PASSWORD")
        and not environment.get("MLFLOW_TRACKING_TOKEN")
    ):
        if not environment.get("MLFLOW_TRACKING_USERNAME"):
            found["MLFLOW_TRACKING_USERNAME"] = environment.get("DAGSHUB_USER") or token
        found["MLFLOW_TRACKING_PASSWORD"] = token
    return found


def without_secrets(message: str) -> str:
    """A message for people: no user or password of an address, no token that a server repeats."""
    message = re.sub(r"//[^/@\s]+@", "//***@", message)
    # Shorter ones are part of ordinary words, and no secret of such a length keeps anything.
    for secret in {os.environ.get(name, "") for name in SECRETS}:
        if len(secret) >= 8:  # noqa: PLR2004 - see above
            message = message.replace(secret, "***")
    return message


def _server(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port
