"""The page for operators."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from sentiment.settings.section import Section

# 16 random characters are above 80 bits: beyond guessing, at any rate and also off-line.
LEAST_SECRET = 16

# What HTTP allows in a header's name, without the underscore that some proxies turn into a hyphen.
HeaderName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]{0,100}$")]


class OperatorsSettings(Section):
    """The page for operators, below `/operators`; off unless a token or a proxy is given."""

    model_config = SettingsConfigDict(env_prefix="OPERATORS_")

    token: SecretStr = Field(
        SecretStr(""),
        description="Token that opens the operators' page, 16 characters or more; never logged."
        " Neither this nor a user header: there is no such page.",
    )
    user_header: HeaderName = Field(
        "",
        description="Header in which a proxy that logs people in names the user, such as"
        " `X-Forwarded-User`; believed only beside the proxy's secret.",
    )
    proxy_secret: SecretStr = Field(
        SecretStr(""),
        description="What only that proxy knows, 16 characters or more; never logged.",
    )
    proxy_secret_header: HeaderName = Field(
        "X-Proxy-Secret", min_length=1, description="Header in which it sends that."
    )
    https: bool = Field(
        default=False,
        description="Whether operators come by https, through a proxy that ends it: their cookie"
        " is then never sent without.",
    )

    @property
    def enabled(self) -> bool:
        """Whether there is a page for operators."""
        return bool(self.token.get_secret_value() or self.user_header)

    @model_validator(mode="after")
    def _nobody_guesses_the_secrets(self) -> Self:
        for name in ("token", "proxy_secret"):
            length = len(getattr(self, name).get_secret_value())
            if 0 < length < LEAST_SECRET:
                raise ValueError(
                    f"OPERATORS_{name.upper()} has {length} characters, fewer than {LEAST_SECRET}"
                    " (`openssl rand -base64 32` makes a good one)"
                )
        return self

    @model_validator(mode="after")
    def _a_header_alone_is_no_login(self) -> Self:
        if self.user_header and not self.proxy_secret.get_secret_value():
            raise ValueError(
                "OPERATORS_USER_HEADER needs OPERATORS_PROXY_SECRET: anybody can send a header"
            )
        if self.proxy_secret.get_secret_value() and not self.user_header:
            raise ValueError("OPERATORS_PROXY_SECRET needs OPERATORS_USER_HEADER")
        return self
