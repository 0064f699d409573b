"""What every section of the settings does: reads its part of the environment, with clear errors."""

import os
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as NotJsonError

from sentiment.errors import SettingsError


class Section(BaseSettings):
    """A part of the tree. Subclasses set their prefix; wrong values raise `SettingsError`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - the fields have the types
        prefix = str(self.model_config.get("env_prefix", ""))
        secrets = os.environ.get("SENTIMENT_SECRETS_DIR")
        if secrets and not Path(secrets).is_dir():
            raise SettingsError(f"SENTIMENT_SECRETS_DIR={secrets} is no directory.")
        try:
            super().__init__(_secrets_dir=secrets, **values)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            lines = [_sentence(prefix, e["loc"], e["msg"]) for e in wrong]
        except NotJsonError as error:
            # Its sentence has the field in quotation marks, and nothing else has.
            lines = [f"{prefix}{str(error).split(chr(34))[1]}".upper() + ": Input should be JSON"]
        else:
            return
        raise SettingsError(
            "Wrong setting: " + "; ".join(lines),
            "Set it in the environment; docs/operations.md lists every setting.",
        )

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - the fields have the types
        """A validated copy with some values changed; None changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return type(self)(**{**self.model_dump(), **given})


def _sentence(prefix: str, place: tuple[int | str, ...], message: str) -> str:
    """What is wrong with a variable; a rule about two of them names both itself."""
    if not place:
        return message.removeprefix("Value error, ")
    return f"{prefix}{'.'.join(map(str, place))}".upper() + f": {message}"
