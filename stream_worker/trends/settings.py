"""The settings of the trends, and the topic of their table, which is named after one."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from sentiment.kafka.topics import DAY_MS, Topic
from sentiment.settings import Section, Settings


class TrendsSettings(Section):
    """The windowed aggregates."""

    model_config = SettingsConfigDict(env_prefix="TRENDS_")

    group_id: str = Field(
        "sentiment-trends",
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="Consumer group of the trends; their table's topic is named after it.",
    )
    http_host: str = Field(
        "127.0.0.1", description="Address of `/trends` and `/metrics`; in a pod `0.0.0.0`."
    )
    http_port: int = Field(6066, ge=1, le=65535, description="Their port.")
    # Ten seconds: a killed process's work waits no longer; six is the least that brokers allow.
    session_timeout_s: float = Field(
        10.0,
        ge=6,
        description="After this a silent process counts as dead, and another one takes over, in"
        " seconds.",
    )

    @property
    def windows(self) -> str:
        """The topic that the table of windows is kept on; Faust's name for it."""
        return f"{self.group_id}-windows-changelog"


def topics(settings: Settings) -> list[Topic]:
    """The topic of the table, beside those of the wire."""
    # A process that was replaced may still write a window's older state: for a day, the newer one
    # is there beside it.
    config = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(DAY_MS)}
    return [Topic(settings.of(TrendsSettings).windows, 1, config)]
