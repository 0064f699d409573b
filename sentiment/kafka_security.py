"""How a client proves who it is and knows the brokers, as librdkafka's properties."""

from collections.abc import Callable
from typing import Any

from sentiment import logs
from sentiment.errors import SettingsError
from sentiment.settings import KafkaSettings

log = logs.get(__name__)

# Gives a token and when it ends, in seconds since 1970.
TokenSource = Callable[[str], tuple[str, float]]


def security_config(settings: KafkaSettings) -> dict[str, Any]:
    """The properties of SASL and TLS.

    Args:
        settings: Have been checked: what a mechanism needs is there.

    Raises:
        ModuleNotFoundError: AWS_MSK_IAM without the extra `msk`.
    """
    sasl = settings.security_protocol.startswith("SASL_")
    return {
        "security.protocol": settings.security_protocol,
        **(_sasl(settings) if sasl and settings.sasl_mechanism else {}),
        **{name: value for name, value in _tls(settings).items() if value},
    }


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    if settings.sasl_mechanism == "AWS_MSK_IAM":
        return {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": msk_tokens(settings.msk_region)}
    if settings.sasl_mechanism == "OAUTHBEARER":
        given = {
            "sasl.oauthbearer.token.endpoint.url": settings.oauth_token_url,
            "sasl.oauthbearer.client.id": settings.oauth_client_id,
            "sasl.oauthbearer.client.secret": settings.oauth_client_secret.get_secret_value(),
            "sasl.oauthbearer.scope": settings.oauth_scope,
        }
        return {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            **{name: value for name, value in given.items() if value},
        }
    return {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password.get_secret_value(),
    }


def _tls(settings: KafkaSettings) -> dict[str, str]:
    return {
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password.get_secret_value(),
    }


def msk_tokens(region: str) -> TokenSource:
    """Tokens that say which AWS identity we are; made on this machine, without a call.

    Args:
        region: Of the cluster.

    Returns:
        librdkafka's `oauth_cb`. The identity is looked for as AWS's own tools do it: the
        environment, a profile, the role of the pod or machine.

    Raises:
        SettingsError: There is no identity.
        ModuleNotFoundError: The extra `msk` isn't installed.
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.session import Session

    # Asked now: the client would wait ten seconds for a token and then not say why it has none.
    if Session().get_credentials() is None:
        raise SettingsError(
            "AWS_MSK_IAM finds no AWS identity: no keys, no profile and no role.",
            "Give the pod or machine a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY.",
        )

    def token(config: str) -> tuple[str, float]:
        del config
        try:
            signed, ends_ms = MSKAuthTokenProvider.generate_auth_token(region)
        except Exception:
            # The client drops what a callback raises.
            log.exception("no token for AWS_MSK_IAM", region=region)
            raise
        return signed, ends_ms / 1000

    return token
