"""`python -m sentiment.healthcheck URL`: whether a probe is answered with 200.

For images, which have no curl. Imports next to nothing: it runs every few seconds beside an app
that has one processor.
"""

import http.client
import sys
from urllib.parse import urlsplit

# Below the ten seconds after which Docker would give up itself, and say less.
TIMEOUT_S = 8.0


def trouble(url: str) -> str:
    """Why an `http` address doesn't answer as it should; empty if it does."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        text = answer.read(200).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else f"{url}: {answer.status} {text}"


def main() -> None:
    """Exit codes: 0 healthy, 1 not, with the reason, 2 wrong use."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        sys.exit(2)
    # Docker shows the last lines to who asks with `docker inspect`.
    sys.exit(trouble(sys.argv[1]) or 0)


if __name__ == "__main__":
    main()
