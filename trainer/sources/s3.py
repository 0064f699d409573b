"""Objects in S3, or in what speaks its protocol: listed, read, checked.

Who we are is found as boto3 does it: environment, profile, web identity (IRSA), container or
instance role; and with `role_arn`, whom these may become. AWS_ENDPOINT_URL_STS names another
address for that.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as BotoConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    LoginError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from sentiment.errors import InputError, SentimentError, SettingsError, SetupError
from trainer.params import S3
from trainer.sources.downloads import BLOCK_BYTES, BrokenTransferError, Remote

SCHEME = "s3://"
# Four tries of boto3's with its pauses: an endpoint that refuses is given up after some 10 s, one
# that says nothing after under a minute.
CONFIG = Config(
    connect_timeout=10,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    user_agent_extra="sentiment-ingest",
)
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
# S3's codes, grouped by what a person has to do.
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_NOT_MODIFIED, _HTTP_DENIED, _HTTP_SERVER_ERROR = 304, 403, 500


class Store:
    """The S3 that `params.yaml` describes; a context manager."""

    def __init__(self, params: S3) -> None:
        self.params = params
        with explained(params):
            session = botocore.session.Session(profile=params.profile)
            if params.role_arn:
                resolver = CredentialResolver([_Role(session, params.role_arn, params.region)])
                session = botocore.session.Session(profile=params.profile)
                session.register_component("credential_provider", resolver)
            self.client: Any = boto3.session.Session(
                botocore_session=session, region_name=params.region
            ).client("s3", endpoint_url=params.endpoint, config=CONFIG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def names(self, prefix: str) -> list[str]:
        """Addresses of the objects below a prefix, sorted.

        Args:
            prefix: `s3://bucket/` or `s3://bucket/some/prefix/`.

        Raises:
            SentimentError: It can't be listed.
        """
        bucket, start = parse(prefix)
        with explained(self.params, prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=start
            )
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        # Most buckets list in this order, directory buckets in none.
        return sorted(f"{SCHEME}{bucket}/{key}" for key in keys)

    def read(self, address: str, tag: str) -> Remote | None:
        """Begin to read an object; see `trainer.sources.downloads.fetch`.

        One answer has one version, and botocore compares the checksum that S3 has for it.

        Raises:
            SentimentError: It isn't there, or may not be read.
        """
        bucket, key = parse(address)
        known = {"IfNoneMatch": tag} if tag else {}
        with explained(self.params, address):
            try:
                answer = self.client.get_object(
                    Bucket=bucket, Key=key, ChecksumMode="ENABLED", **known
                )
            except ClientError as error:
                if error.response["ResponseMetadata"].get("HTTPStatusCode") == _NOT_MODIFIED:
                    return None
                raise
        return Remote(answer["ETag"], answer["ContentLength"], _blocks(address, answer["Body"]))


def parse(address: str) -> tuple[str, str]:
    """Bucket and key, or prefix, of `s3://bucket/key`."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key


def _blocks(address: str, body: Any) -> Iterator[bytes]:  # noqa: ANN401 - botocore has no types
    with closing(body):
        try:
            yield from body.iter_chunks(BLOCK_BYTES)
        except FlexibleChecksumError as error:
            raise InputError(
                f"{address}: what arrived differs from its checksum: {error}",
                "It was damaged on the way: run the command again.",
            ) from error
        except (BotoCoreError, OSError) as error:
            raise BrokenTransferError(type(error).__name__) from error


@contextmanager
def explained(params: S3, address: str = "") -> Iterator[None]:
    """Turn boto3's errors inside the block into ours.

    Args:
        params: How S3 is reached.
        address: The object or prefix that is asked for; empty: none yet.

    Raises:
        SettingsError: There are no credentials, or S3 doesn't take them.
        InputError: There is no such bucket or object, or it may not be read.
        SetupError: S3 can't be reached, or fails.
    """
    what = address or "S3"
    try:
        yield
    except ClientError as error:
        raise _refusal(error, params, what) from error
    except _NO_CREDENTIALS as error:
        raise SettingsError(
            f"There are no usable credentials for {what}: {_reason(error)}",
            "Set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `ingest.s3.profile`"
            " in params.yaml, or run where a role is given.",
        ) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise SetupError(
            f"S3 does not answer at {_endpoint(params)}, asked for {what}: {_reason(error)}",
            "Look at `ingest.s3.endpoint` and `region` in params.yaml, AWS_ENDPOINT_URL and the"
            " network.",
        ) from error
    except (BotoCoreError, ValueError) as error:
        # A malformed endpoint or ARN is a ValueError.
        raise SettingsError(
            f"S3 can't be asked for {what}: {_reason(error)}",
            "Look at `ingest.s3` in params.yaml and the AWS_ variables of the environment.",
        ) from error


def _refusal(error: ClientError, params: S3, what: str) -> SentimentError:
    code = str(error.response["Error"].get("Code", ""))
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    reason = f"{code}: {error.response['Error'].get('Message', '')}".rstrip(".: ") + "."
    kind: type[SentimentError] = InputError
    if error.operation_name.startswith("AssumeRole"):
        kind = SettingsError
        message = f"The role {params.role_arn or 'of the environment'} can't be assumed: {reason}"
        hint = "Its trust policy must name who asks, and they must be allowed sts:AssumeRole."
    elif code in _BAD_CREDENTIALS:
        kind = SettingsError
        message = f"S3 at {_endpoint(params)} does not take the credentials: {reason}"
        hint = "Renew or correct them; `aws sts get-caller-identity` shows whose they are."
    elif code == "NoSuchBucket":
        message = f"There is no bucket for {what} at {_endpoint(params)}."
        hint = "Look at the source's `uri`, and at `ingest.s3.endpoint` in params.yaml."
    elif code in {"NoSuchKey", "404"}:
        message = f"There is no object {what}."
        hint = "Keys are exact to the letter; the prefix of several objects ends in a slash."
    elif status == _HTTP_DENIED:
        message = f"S3 denies access to {what}: {reason}"
        hint = (
            "s3:GetObject is needed, and s3:ListBucket for a prefix. Without the latter, S3 says"
            " the same of what doesn't exist."
        )
    elif status >= _HTTP_SERVER_ERROR:
        kind, message, hint = SetupError, f"S3 fails on {what}: {reason}", "Try again later."
    else:
        message, hint = f"S3 refuses {what}: {reason}", ""
    return kind(message, hint)


def _endpoint(params: S3) -> str:
    return _without_secrets(params.endpoint or "its usual address")


def _reason(error: Exception) -> str:
    return _without_secrets(str(error)).rstrip(".") + "."


def _without_secrets(text: str) -> str:
    # An address may hold a user and a password.
    return re.sub(r"//[^/@\s]+@", "//***@", text)


class _Role(CredentialProvider):  # type: ignore[misc]
    """Credentials of a role, fetched anew before they end, however long a download takes."""

    METHOD = "assume-role"

    def __init__(
        self, session: botocore.session.Session, role_arn: str, region: str | None
    ) -> None:
        super().__init__()
        self._session, self._role_arn, self._region = session, role_arn, region

    def load(self) -> DeferredRefreshableCredentials | None:
        """None where there are no credentials to begin with."""
        source = self._session.get_credentials()
        if source is None:
            return None

        def client(service: str, **options: Any) -> Any:  # noqa: ANN401 - botocore has no types
            options["config"] = CONFIG.merge(options["config"]) if "config" in options else CONFIG
            return self._session.create_client(service, region_name=self._region, **options)

        fetcher = AssumeRoleCredentialFetcher(
            client, source, self._role_arn, extra_args={"RoleSessionName": "sentiment-ingest"}
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
