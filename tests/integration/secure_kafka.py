"""A broker that lets nobody in without a secret, and nobody do what was not granted."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import trustme
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives import serialization

from local.broker import LocalKafka
from local.process import HOST, free_ports
from local.settings import LocalSettings
from sentiment.apps import Right
from sentiment.kafka import clients
from sentiment.settings import KafkaSettings, Settings
from tests.integration.token_server import TokenServer

# Everybody's, so that any of them can be found in a log that it leaked into.
# pragma: allowlist nextline secret
SECRET = "correct-horse-battery"  # noqa: S105 - of a broker that lives for a few tests
USERS = ("worker", "page", "producer", "nobody")

# What comes in by PLAINTEXT is the broker itself and these tests, and may do everything.
PROPERTIES = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},\
SASL_SSL://{host}:{sasl_port},SSL://{host}:{tls_port}
advertised.listeners=PLAINTEXT://{host}:{port},SASL_SSL://{host}:{sasl_port},SSL://{host}:{tls_port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
# A certificate's common name is its user.
listener.name.ssl.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required {plain};
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
{modules}.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=\
{modules}.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={issuer}/keys
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.expected.issuer={issuer}
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.expected.audience=kafka
"""
MODULES = "org.apache.kafka.common.security"
PREFIXED = ResourcePatternType.PREFIXED
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


class SecureKafka(LocalKafka):
    """One broker with a listener for passwords and tokens, and one for client certificates.

    Args:
        folder: Where its data and the certificates are kept.
        tokens: Whose tokens it accepts; runs already.

    Attributes:
        folder: The certificates: `ca.pem`, and for each user `NAME.pem` and `NAME.key`.
        tokens: As given.
    """

    def __init__(self, folder: Path, tokens: TokenServer) -> None:
        super().__init__(folder / "data", LocalSettings().cache_dir, print)
        self.folder = folder
        self.tokens = tokens
        self._sasl_port, self._tls_port = free_ports(2)
        self.admin = clients.new_admin(KafkaSettings(bootstrap_servers=self.bootstrap_servers))
        _certify(folder)

    def properties(self, number: int) -> str:
        """Adds the two listeners and the authorizer."""
        plain = " ".join(f'user_{user}="{SECRET}"' for user in USERS)
        return super().properties(number) + PROPERTIES.format(
            host=HOST,
            port=self.ports[number],
            controller_port=self.controller_ports[number],
            sasl_port=self._sasl_port,
            tls_port=self._tls_port,
            folder=self.folder,
            modules=MODULES,
            plain=plain,
            issuer=self.tokens.address,
        )

    def environment(self, mechanism: str, user: str, **others: str) -> dict[str, str]:
        """The settings of a client that comes in with a password or a token.

        Args:
            mechanism: Of SASL.
            user: One of `USERS`.
            others: What differs from that.
        """
        proof = (
            {
                "KAFKA_OAUTH_TOKEN_URL": f"{self.tokens.address}/token",
                "KAFKA_OAUTH_CLIENT_ID": user,
                "KAFKA_OAUTH_CLIENT_SECRET": SECRET,
            }
            if mechanism == "OAUTHBEARER"
            else {"KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": SECRET}
        )
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self._sasl_port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SSL_CA_LOCATION": str(self.folder / "ca.pem"),
            **proof,
            **others,
        }

    def certificate_environment(self, user: str) -> dict[str, str]:
        """The settings of a client that comes in with a certificate."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self._tls_port}",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CA_LOCATION": str(self.folder / "ca.pem"),
            "KAFKA_SSL_CERTIFICATE_LOCATION": str(self.folder / f"{user}.pem"),
            "KAFKA_SSL_KEY_LOCATION": str(self.folder / f"{user}.key"),
        }

    def set_password(self, secret: str, *users: str) -> None:
        """Give users a password for SCRAM, their first or a new one."""
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            # The least that Kafka takes: these tests sign in often.
            info = ScramCredentialInfo(mechanism, 4096)
            changes: list[UserScramCredentialAlteration] = [
                UserScramCredentialUpsertion(user, info, secret.encode()) for user in users
            ]
            for future in self.admin.alter_user_scram_credentials(changes).values():
                future.result(timeout=30)

    def grant(self, user: str, rights: Iterable[Right], settings: Settings) -> None:
        """Let somebody do something.

        Args:
            user: One of `USERS`.
            rights: What.
            settings: Have the names.
        """
        bindings = [
            AclBinding(
                KINDS[right.resource],
                right.name(settings).removesuffix("*"),
                PREFIXED if right.suffix.endswith("*") else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[right.operation],
                AclPermissionType.ALLOW,
            )
            for right in rights
        ]
        for future in self.admin.create_acls(bindings).values():
            future.result(timeout=30)

    def withdraw(self, user: str) -> None:
        """Let somebody do nothing any more."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]  # its types forget that a filter may leave it open
            ResourcePatternType.ANY,
            f"User:{user}",
            None,  # type: ignore[arg-type]  # same
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for future in self.admin.delete_acls([everything]).values():
            future.result(timeout=30)


@contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """A secure broker and a server of tokens, ended with the block."""
    tokens = TokenServer(dict.fromkeys(USERS, SECRET))
    with tokens.running():
        # A broker fetches keys from the places alone that its own command line allows.
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={tokens.address}/keys"
        with mock.patch.dict(os.environ, JDK_JAVA_OPTIONS=allowed):
            broker = SecureKafka(folder, tokens)
            with broker:
                broker.set_password(SECRET, *USERS)
                yield broker


def _certify(folder: Path) -> None:
    """Write the certificates of the broker and of everybody."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for user in USERS:
        own = authority.issue_cert(f"{user}.test", common_name=user)
        own.private_key_pem.write_to_path(folder / f"{user}.key")
        own.cert_chain_pems[0].write_to_path(folder / f"{user}.pem")
    own = authority.issue_cert(HOST)
    # Java reads no other kind of key.
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "broker.pem").write_bytes(key + own.cert_chain_pems[0].bytes())
