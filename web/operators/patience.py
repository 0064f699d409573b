"""Asking Kafka for somebody who waits for a page."""

import copy

from sentiment.errors import BrokerError
from sentiment.settings import Settings
from web import services

# Whoever waits for a page takes it for dead before a command's patience ends; seconds.
PATIENCE_S = 5.0


def settings() -> Settings:
    """The app's settings, with less patience for the brokers.

    Raises:
        BrokerError: It is known already that Kafka is away.
    """
    shared = services.current()
    if shared.inbox.trouble:
        raise BrokerError(shared.inbox.trouble, "The page goes on by itself when Kafka is back.")
    hurried = copy.copy(shared.settings)
    hurried.kafka = hurried.kafka.replace(
        connect_timeout_s=min(PATIENCE_S, hurried.kafka.connect_timeout_s)
    )
    return hurried
