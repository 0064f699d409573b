"""Claims about the local Kafka, with its real brokers."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka.cimpl import NewTopic

from local import jars
from local.broker import LocalKafka
from local.settings import LocalSettings
from sentiment.errors import SetupError
from sentiment.kafka import clients
from sentiment.settings import KafkaSettings
from tests.integration.commands import PATIENCE_S, command, sentiment

CACHE = LocalSettings().cache_dir


def send_one(address: str) -> None:
    """Send one record to a new topic or an old one, and have it acknowledged by all replicas."""
    settings = KafkaSettings().replace(bootstrap_servers=address)
    producer = clients.new_producer(settings)
    failed: list[object] = []
    producer.produce("t", b"v", on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(PATIENCE_S) == 0
    assert failed == [None]


def create_topic(address: str) -> None:
    """Create the topic `t`."""
    admin = clients.new_admin(KafkaSettings().replace(bootstrap_servers=address))
    for future in admin.create_topics([NewTopic("t", 1, -1)]).values():
        future.result(PATIENCE_S)


def test_a_folder_has_one_kafka_and_keeps_its_data(tmp_path: Path) -> None:
    """A second Kafka on the same data is refused while the first one runs; later it has them."""
    with LocalKafka(tmp_path, CACHE, print) as first:
        create_topic(first.bootstrap_servers)
        send_one(first.bootstrap_servers)
        with (
            pytest.raises(SetupError, match="Another local Kafka"),
            LocalKafka(tmp_path, CACHE, print),
        ):
            pass
    with LocalKafka(tmp_path, CACHE, print) as second:
        settings = KafkaSettings().replace(bootstrap_servers=second.bootstrap_servers)
        assert "t" in clients.describe_cluster(settings).topics


def test_three_brokers_survive_the_loss_of_one(tmp_path: Path) -> None:
    """With one of three brokers killed, records are still acknowledged; it can come back."""
    with LocalKafka(tmp_path, CACHE, print, brokers=3) as cluster:
        create_topic(cluster.bootstrap_servers)
        cluster.kill(0)
        send_one(cluster.bootstrap_servers)
        cluster.start(0)
        cluster.wait_until_ready()


def test_needs_no_java_no_maven_and_no_network(tmp_path: Path) -> None:
    """With an empty PATH and every connection but loopback refused, the kept jars suffice."""
    jars.ensure(CACHE, print)
    environment = {
        **os.environ,
        "PATH": str(tmp_path),
        "JAVA_HOME": str(tmp_path),
        # A proxy that isn't there: whoever asks the network fails.
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    folder = str(tmp_path / "data")
    process = subprocess.Popen(
        command("kafka", "--port", "0", "--json", "--data-dir", folder),
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert json.loads(line)["bootstrap_servers"].startswith("127.0.0.1:")
    assert process.returncode == 0


def test_a_killed_parent_leaves_no_broker(tmp_path: Path) -> None:
    """`kill -9` of the command ends its brokers too."""
    process = subprocess.Popen(
        command("kafka", "--port", "0", "--json", "--data-dir", str(tmp_path)),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    brokers = psutil.Process(process.pid).children(recursive=True)
    assert brokers
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    _, alive = psutil.wait_procs(brokers, timeout=PATIENCE_S)
    assert alive == []


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    """A port in use ends the command with code 1 and says what to do, with no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = sentiment("kafka", "--port", port, "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_dies_says_why(tmp_path: Path) -> None:
    """A broker that can't read its data ends the start with the reason from its log."""
    data = tmp_path / "broker-0" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=x\n")
    began = time.monotonic()
    with (
        pytest.raises(SetupError, match="ended with code") as raised,
        LocalKafka(tmp_path, CACHE, print),
    ):
        pass
    assert raised.value.hint, f"no reason after {time.monotonic() - began:.0f} s"
