"""What goes wrong with S3, as sentences that say what to do; never with a secret in them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as BotoConnectionError,
    CredentialRetrievalError,
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
from trainer.sources.ranges import ChangedError

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
_HTTP_DENIED, _HTTP_CHANGED, _HTTP_SERVER_ERROR = 403, 412, 500


@contextmanager
def explained(params: S3, address: str = "") -> Iterator[None]:
    """Turn boto3's errors inside the block into ours.

    Args:
        params: How S3 is reached.
        address: The object or prefix that is asked for; empty: none yet.

    Raises:
        ChangedError: The object is another one than when it was looked up.
        SettingsError: There are no credentials, or S3 doesn't take them.
        InputError: There is no such bucket or object, or it may not be read.
        SetupError: S3 can't be reached, or fails.
    """
    what = address or "S3"
    try:
        yield
    except ClientError as error:
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == _HTTP_CHANGED:
            raise ChangedError from error
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
