"""The settings of the page, its API, and the operators' pages."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from sentiment.settings import Section


class WebSettings(Section):
    """The page and its API."""

    model_config = SettingsConfigDict(env_prefix="WEB_")

    host: str = Field("127.0.0.1", description="Address to listen on; in a pod `0.0.0.0`.")
    port: int = Field(5000, ge=1, le=65535, description="Port to listen on.")
    # Each wait holds one thread; 256 sleeping threads cost about 10 MB.
    threads: int = Field(
        256,
        ge=2,
        description="Requests at one time, open feeds among them; seven eighths are for feeds and"
        " waits alone.",
    )
    # 50,000 results of about a kilobyte are 50 MB: minutes of a busy page's traffic.
    recent_results: PositiveInt = Field(
        50_000, description="Latest results that can be read back by id."
    )
    # Long enough to open the page after a restart and still find one's own results.
    recent_minutes: PositiveInt = Field(
        10, description="Minutes of results that are read back at a start."
    )
    # Above a person's patience, below every proxy's own limit.
    max_wait_s: PositiveFloat = Field(
        30.0, description="Longest that a request may wait for a result, in seconds."
    )
    # A quarter of what all may have: an office behind one address, and never the whole server.
    max_open_per_caller: PositiveInt = Field(
        56, description="Most open feeds and waits of one API key or, without one, of one address."
    )
    # An upload of the largest size, which takes four times that while it is read, and as much again
    # for others. With 250 MB of Python, Kafka's client and results, below the chart's 384 MiB.
    max_bytes_in_flight: PositiveInt = Field(
        67_108_864,
        description="Memory for the requests and answers under way, in bytes; one address has three"
        " quarters of it. Beyond it the answer is 503.",
    )
    max_batch: PositiveInt = Field(1000, description="Most events in one request.")
    # A thousand texts of a tweet's length, with room; bounds what one request can hold.
    max_request_bytes: PositiveInt = Field(1_048_576, description="Largest request, in bytes.")

    # More than an office behind one address types, and a fraction of what one process takes in.
    rate_limit: str = Field(
        "100 per second",
        pattern=r"^([1-9][0-9]{0,8} per (second|minute|hour|day))?$",
        description="Most POSTs of one API key or, without one, of one address, per process;"
        " empty: no limit.",
    )
    # Nobody's word on the caller's address is taken unasked: it decides who is limited.
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="Proxies before the page, whose `X-Forwarded-For` is believed."
    )
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys, one of which every POST of the API then needs, with white space or"
        " commas between; empty: everybody may send. Never logged.",
    )
    # A spreadsheet of the most lines, of a long comment each.
    max_upload_bytes: PositiveInt = Field(
        10_485_760, description="Largest upload of many lines, in bytes."
    )
    # Seconds of one worker, about 6 MB of results; for a data set there is `sentiment produce`.
    max_upload_lines: PositiveInt = Field(10_000, description="Most lines in one upload.")
    # With the two limits above: about 160 MB if each is as large as it may be.
    max_batches: PositiveInt = Field(
        10, description="Uploads that are kept; of finished ones the oldest goes first."
    )
    # Time enough to come back for the results after lunch.
    batch_minutes: PositiveFloat = Field(60.0, description="Minutes that an upload is kept.")
    feedback_text: bool = Field(
        default=False,
        description="Whether feedback keeps the text that comes with it; only where the texts'"
        " owners agreed.",
    )
    trends_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="Address of `sentiment trends`, as `http://trends:6066`; empty: there is none.",
    )

    @property
    def quick_threads(self) -> int:
        """Those of the threads that neither a feed nor a wait may take."""
        return max(1, self.threads // 8)


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
