"""A small OAuth server: hands out signed tokens for a client's secret, and tells its public key."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_ID = "test"
# Longer than any test; librdkafka fetches a new one before the old one ends.
VALID_S = 600


class TokenServer:
    """Answers the client-credentials grant (RFC 6749, 4.4) with RS256-signed JWTs.

    Args:
        clients: Secrets by client id; the id becomes the user's name on the broker.

    Attributes:
        address: Where it listens; `/token` and `/keys`.
    """

    def __init__(self, clients: dict[str, str]) -> None:
        self._clients = clients
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.address = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves inside the block."""
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"keys": [tokens.public_key()]})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._send(*tokens.grant(self.headers.get("Authorization") or ""))

            def _send(self, status: int, answer: object) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing of it belongs on the screen."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.address = f"http://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()

    def grant(self, authorization: str) -> tuple[int, dict[str, object]]:
        """The status and body of an answer to a request with this header."""
        client, _, secret = (
            base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        )
        if not secret or self._clients.get(client) != secret:
            return 401, {"error": "invalid_client"}
        return 200, {
            "access_token": self._token(client),
            "token_type": "Bearer",
            "expires_in": VALID_S,
        }

    def public_key(self) -> dict[str, str]:
        """The key that tokens are checked with, as a JWK."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": KEY_ID,
            "alg": "RS256",
            "use": "sig",
            "n": _base64(numbers.n.to_bytes(256)),
            "e": _base64(numbers.e.to_bytes(3)),
        }

    def _token(self, client: str) -> str:
        now = int(time.time())
        head = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
        claims = {
            "sub": client,
            "aud": "kafka",
            "iss": self.address,
            "iat": now,
            "exp": now + VALID_S,
        }
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
