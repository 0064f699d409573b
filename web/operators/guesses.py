"""How often an address may be wrong about a secret."""

import hmac
import threading

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

# A person mistypes a few times; a program that guesses gets nowhere.
TRIES = "5/minute"
# When the next try may succeed, at the latest; in seconds.
RETRY_AFTER_S = 60


class TooManyGuessesError(Exception):
    """The address was wrong too often just now."""


class Guesses:
    """Compares secrets, and counts the wrong ones by address; in this process's memory."""

    def __init__(self) -> None:
        self._limit = parse(TRIES)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()

    def right(self, given: str, secret: str, address: str) -> bool:
        """Whether a secret is the right one; in a time that doesn't tell how much of it is.

        Args:
            given: What somebody sent.
            secret: What it has to be; nothing is right where this is empty.
            address: Who sent it.

        Raises:
            TooManyGuessesError: The address was wrong too often: not even the right one counts.
        """
        # One at a time, so that many guesses at once are no more than the same one by one.
        with self._lock:
            if not self._limiter.test(self._limit, address):
                raise TooManyGuessesError
            # As bytes: for text, only ASCII can be compared.
            right = bool(secret) and hmac.compare_digest(
                given.encode(errors="surrogatepass"), secret.encode()
            )
            if not right:
                self._limiter.hit(self._limit, address)
            return right
