"""The settings of what runs on this machine: the local Kafka and the demo."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from sentiment.settings import Section


class LocalSettings(Section):
    """Kafka and the demo on this machine."""

    model_config = SettingsConfigDict(env_prefix="LOCAL_")

    cache_dir: Path = Field(
        Path.home() / ".cache" / "sentiment-stream",
        description="Where Apache Kafka's jars are kept; about 100 MB.",
    )
    data_dir: Path = Field(
        Path.home() / ".local" / "share" / "sentiment-stream",
        description="Where the local Kafka and the demo keep their data between starts.",
    )
