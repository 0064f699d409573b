"""Copies of remote files, from the web or S3: fetched once, checked before they get their name.

Beside a copy, `NAME.json` says of which version it is (its tag) and what its SHA-256 was. A later
run asks with the tag whether there is another version; a copy that was damaged since is fetched
again. All of it may be deleted at any time.

boto3 finds the credentials for S3: environment, profile, web identity (IRSA), container or instance
role; with `role_arn` these assume that role. AWS_ENDPOINT_URL_STS names another address for STS.
"""

import errno
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import boto3
import botocore.exceptions as failures
import botocore.session
import msgspec
import requests
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
from msgspec import Struct
from urllib3.exceptions import HTTPError

from sentiment.errors import InputError, SentimentError, SettingsError, SetupError
from sentiment.registry.artifact import sha256_of
from trainer import tables
from trainer.params import S3
from trainer.reports import Say, silent, ticking

# Large enough that a call costs nothing beside its bytes, small enough for any machine.
BLOCK_BYTES = 1024 * 1024
# Times that a file is begun, and the seconds between them, doubled each time: 7 in all, longer than
# a server's restart and within a person's patience.
TRIES, PAUSE_S = 4, 1.0
# Seconds until a web server has to accept a connection, and of its longest silence after that.
TIMEOUT_S = (10, 30)
_OK, _NOT_MODIFIED, _DENIED, _TOO_MANY, _SERVER_ERROR = 200, 304, 403, 429, 500


class BrokenTransferError(Exception):
    """The connection broke or sent nothing for too long: trying again may help."""


class Remote(NamedTuple):
    """A remote file that is being read."""

    # Differs when its content does; empty: unknown.
    tag: str
    # Its bytes.
    size: int
    # Its content, of this one version; may raise `BrokenTransferError`.
    blocks: Iterator[bytes]


class _Note(Struct):
    tag: str
    sha256: str


def fetch(
    uri: str,
    read: Callable[[str], Remote | None],
    target: Path,
    sha256: str | None = None,
    say: Say = silent,
) -> str:
    """Download a file to `target`, unless it is there already; its SHA-256.

    Args:
        uri: Names it to people; without secrets.
        read: Begins to read it, given the tag of the copy that is there; None: it is the same.
        target: Where it goes; its folder is made if missing.
        sha256: What it has to have. A copy that has it needs no asking.
        say: Called with progress lines.

    Raises:
        InputError: It has another checksum.
        SetupError: The connection keeps breaking, or the disk is full.
    """
    note_path = target.with_name(f"{target.name}.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            note = msgspec.json.decode(note_path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            note = None
        kept = note.sha256 if note and target.is_file() and sha256_of(target) == note.sha256 else ""
        if kept and kept == sha256:
            return kept
        part = target.with_name(f"{target.name}.part")
        for attempt in range(TRIES):
            try:
                remote = read(note.tag if note and kept else "")
                if remote is None:
                    require(uri, kept, sha256)
                    return kept
                found, tag = _save(uri, remote, part, say), remote.tag
                break
            except BrokenTransferError as error:
                if attempt == TRIES - 1:
                    raise SetupError(
                        f"The download of {uri} broke off {TRIES} times: {error}.",
                        "Look at the network, and run the command again.",
                    ) from error
                say(f"{uri}: {error}; beginning anew")
                time.sleep(PAUSE_S * 2**attempt)
        try:
            require(uri, found, sha256)
        except InputError:
            part.unlink()
            raise
        # The note first: a file whose note is another's is fetched again.
        with tables.file(note_path) as new:
            new.write_bytes(msgspec.json.encode(_Note(tag, found)))
        part.replace(target)
    except OSError as error:
        raise SetupError(
            f"{target.parent} can't take a download: {error.strerror or error}.",
            "Free some space there." if error.errno == errno.ENOSPC else "",
        ) from error
    return found


def shown(address: str) -> str:
    """An address without what may be secret: user, password, query and fragment."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_web(address: str, tag: str) -> Remote | None:
    """Begin to read what an http or https address has; see `fetch`.

    Raises:
        BrokenTransferError: Its server can't be reached, or has no time.
        InputError: There is no such file, or its server doesn't say how long it is.
    """
    uri = shown(address)
    # The bytes as they are stored: some servers call a .gz file an encoding of its content.
    headers = {"Accept-Encoding": "identity"} | ({"If-None-Match": tag} if tag else {})
    try:
        answer = requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_S)
    except (requests.ConnectionError, requests.Timeout) as error:
        # Its own text has the whole address in it.
        raise BrokenTransferError(type(error).__name__) from error
    except requests.RequestException as error:
        raise InputError(
            f"{uri} can't be asked for: {type(error).__name__}.", "Look at the address."
        ) from error
    if answer.status_code == _NOT_MODIFIED and tag:
        answer.close()
        return None
    if answer.status_code != _OK:
        answer.close()
        told = f"{answer.status_code} {answer.reason}"
        if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_ERROR:
            raise BrokenTransferError(f"it answers {told}")
        raise InputError(f"{uri} answers {told}.", "Look at the address.")
    size = answer.headers.get("Content-Length", "")
    if not (size.isascii() and size.isdigit() and len(size) < len(str(2**63))):
        answer.close()
        raise InputError(
            f"{uri}: its server doesn't say how long it is.",
            "Download it yourself, and give the file instead of the address.",
        )
    return Remote(answer.headers.get("ETag", ""), int(size), _web_blocks(answer))


def _web_blocks(answer: requests.Response) -> Iterator[bytes]:
    try:
        while block := answer.raw.read(BLOCK_BYTES, decode_content=False):
            yield block
    except (HTTPError, OSError) as error:
        raise BrokenTransferError(type(error).__name__) from error
    finally:
        answer.close()


def _save(uri: str, remote: Remote, part: Path, say: Say) -> str:
    """Write a remote file to the disk; its SHA-256."""
    free = shutil.disk_usage(part.parent).free
    if remote.size > free:
        raise OSError(errno.ENOSPC, f"{remote.size:,} bytes are to come, {free:,} are free")
    hashed, count = hashlib.sha256(), 0
    what = f"bytes of {uri}"
    with part.open("wb") as file:
        for block in ticking(remote.blocks, say, what, total=remote.size, size=len):
            count += len(block)
            if count > remote.size:
                break
            file.write(block)
            hashed.update(block)
    if count != remote.size:
        raise BrokenTransferError(f"{count:,} bytes came, and not {remote.size:,}")
    return hashed.hexdigest()


def require(uri: str, found: str, sha256: str | None) -> None:
    """Refuse a file with another SHA-256 than the one it has to have; None: it may have any."""
    if sha256 not in {None, found}:
        raise InputError(
            f"{uri} has the SHA-256 {found}, not {sha256} as params.yaml says.",
            "It is another version, or damaged. If it is the right one, change `sha256`.",
        )


# Objects in S3, or in what speaks its protocol: listed, read, checked.


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
    failures.CredentialRetrievalError,
    failures.LoginError,
    failures.MetadataRetrievalError,
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.ProfileNotFound,
    failures.SSOError,
    failures.TokenRetrievalError,
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


class Store:
    """The S3 that `params.yaml` describes; a context manager."""

    def __init__(self, params: S3) -> None:
        self.params = params
        with explained(params):
            session = botocore.session.Session(profile=params.profile)
            if params.role_arn:
                role = SimpleNamespace(load_credentials=partial(_assumed, session, params))
                session = botocore.session.Session(profile=params.profile)
                session.register_component("credential_provider", role)
            self.client: Any = boto3.session.Session(
                botocore_session=session, region_name=params.region
            ).client("s3", endpoint_url=params.endpoint, config=CONFIG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def names(self, prefix: str) -> list[str]:
        """Addresses of the objects below `s3://bucket/` or `s3://bucket/some/prefix/`, sorted.

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
        """Begin to read an object; see `fetch`.

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
            except failures.ClientError as error:
                if error.response["ResponseMetadata"].get("HTTPStatusCode") == _NOT_MODIFIED:
                    return None
                raise
        return Remote(answer["ETag"], answer["ContentLength"], _blocks(address, answer["Body"]))


def _assumed(source: botocore.session.Session, params: S3) -> DeferredRefreshableCredentials:
    """Credentials of the role, fetched anew before they end, however long a download takes."""
    role = {"RoleArn": params.role_arn, "RoleSessionName": "sentiment-ingest"}

    def refresh() -> Any:  # noqa: ANN401 - botocore has no types
        client = source.create_client("sts", region_name=params.region, config=CONFIG)
        return create_assume_role_refresher(client, role)()

    return DeferredRefreshableCredentials(refresh, "assume-role")


def parse(address: str) -> tuple[str, str]:
    """Bucket and key, or prefix, of `s3://bucket/key`."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key


def _blocks(address: str, body: Any) -> Iterator[bytes]:  # noqa: ANN401 - botocore has no types
    with closing(body):
        try:
            yield from body.iter_chunks(BLOCK_BYTES)
        except failures.FlexibleChecksumError as error:
            raise InputError(
                f"{address}: what arrived differs from its checksum: {error}",
                "It was damaged on the way: run the command again.",
            ) from error
        except (failures.BotoCoreError, OSError) as error:
            raise BrokenTransferError(type(error).__name__) from error


@contextmanager
def explained(params: S3, address: str = "") -> Iterator[None]:
    """Turn boto3's errors inside the block into ours; `address` is what is asked for, if anything.

    Raises:
        SettingsError: There are no credentials, or S3 doesn't take them.
        InputError: There is no such bucket or object, or it may not be read.
        SetupError: S3 can't be reached, or fails.
    """
    what, at = address or "S3", _plain(params.endpoint or "its usual address")
    try:
        yield
    except failures.ClientError as error:
        raise _refusal(error, params, what, at) from error
    except _NO_CREDENTIALS as error:
        raise SettingsError(
            f"There are no usable credentials for {what}: {_sentence(error)}",
            "Set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `ingest.s3.profile`"
            " in params.yaml, or run where a role is given.",
        ) from error
    except (failures.ConnectionError, failures.HTTPClientError) as error:
        raise SetupError(
            f"S3 does not answer at {at}, asked for {what}: {_sentence(error)}",
            "Look at `ingest.s3.endpoint` and `region` in params.yaml, AWS_ENDPOINT_URL and the"
            " network.",
        ) from error
    except (failures.BotoCoreError, ValueError) as error:
        # A malformed endpoint or ARN is a ValueError.
        raise SettingsError(
            f"S3 can't be asked for {what}: {_sentence(error)}",
            "Look at `ingest.s3` in params.yaml and the AWS_ variables of the environment.",
        ) from error


def _refusal(error: failures.ClientError, params: S3, what: str, at: str) -> SentimentError:
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
        message = f"S3 at {at} does not take the credentials: {reason}"
        hint = "Renew or correct them; `aws sts get-caller-identity` shows whose they are."
    elif code == "NoSuchBucket":
        message = f"There is no bucket for {what} at {at}."
        hint = "Look at the source's `uri`, and at `ingest.s3.endpoint` in params.yaml."
    elif code in {"NoSuchKey", "404"}:
        message = f"There is no object {what}."
        hint = "Keys are exact to the letter; the prefix of several objects ends in a slash."
    elif status == _DENIED:
        message = f"S3 denies access to {what}: {reason}"
        hint = (
            "s3:GetObject is needed, and s3:ListBucket for a prefix. Without the latter, S3 says"
            " the same of what doesn't exist."
        )
    elif status >= _SERVER_ERROR:
        kind, message, hint = SetupError, f"S3 fails on {what}: {reason}", "Try again later."
    else:
        message, hint = f"S3 refuses {what}: {reason}", ""
    return kind(message, hint)


def _sentence(error: Exception) -> str:
    return _plain(error).rstrip(".") + "."


def _plain(text: object) -> str:
    """A text without the user and the password that an address in it may hold."""
    return re.sub(r"//[^/@\s]+@", "//***@", str(text))
