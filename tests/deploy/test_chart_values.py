"""Claims about values: wrong ones are refused with a sentence, right ones arrive as they were."""

import shutil
import textwrap
from pathlib import Path

import pytest
import yaml

from sentiment.kafka import topics
from sentiment.settings import Settings
from tests.deploy import charts
from tests.deploy.charts import environment, of_kind, render, template
from tools import reference

SCRAM = "kafka.securityProtocol=SASL_SSL,kafka.saslMechanism=SCRAM-SHA-512"
BAD = [
    ("image.tag=latest", "image.tag"),
    ("image.pullPolicy=Sometimes", "image.pullPolicy"),
    ("worker.replica=3", "replica"),
    ("worker.replicas=0", "worker.replicas"),
    ("worker.replicas=three", "worker.replicas"),
    ("worker.replicas=13", "topics.partitions=12"),
    ("worker.settings.WORKER_MAX_BATHC=1", "WORKER_MAX_BATHC"),
    ("worker.settings.WORKER_HTTP_PORT=1", "WORKER_HTTP_PORT"),
    ("worker.settings.KAFKA_SASL_PASSWORD=x", "KAFKA_SASL_PASSWORD"),
    ("worker.autoscaling.kind=vpa", "worker.autoscaling.kind"),
    ("worker.autoscaling.minReplicas=13", "minReplicas=13"),
    ("worker.autoscaling.kind=hpa,worker.autoscaling.minReplicas=0", "needs KEDA"),
    ("worker.autoscaling.lagPerReplica=12", "transactions leave"),
    ("worker.resources.requests.memory=lots", "memory"),
    ("worker.resources.requests.gpu=1", "gpu"),
    ("web.service.type=Ingress", "web.service.type"),
    ("web.service.port=0", "web.service.port"),
    ("web.preStopSeconds=0", "web.preStopSeconds"),
    ("web.service.loadBalancerSourceRanges={everybody}", "loadBalancerSourceRanges"),
    ("kafka.bootstrapServers=", "kafka.bootstrapServers"),
    ("kafka.bootstrapServers=kafka", "kafka.bootstrapServers"),
    ("kafka.securityProtocol=TLS", "kafka.securityProtocol"),
    ("kafka.securityProtocol=SASL_SSL", "needs kafka.saslMechanism"),
    ("kafka.saslMechanism=PLAIN", "needs kafka.securityProtocol=SASL_SSL"),
    (SCRAM, "needs kafka.username"),
    ("kafka.securityProtocol=SASL_SSL,kafka.saslMechanism=AWS_MSK_IAM", "kafka.mskRegion"),
    ("topics.replication=0", "topics.replication"),
    ("topics.create=strimzi", "topics.strimziCluster"),
    ("registry.trackingUri=", "registry.trackingUri"),
    ("registry.trackingUri=mlflow:5000", "registry.trackingUri"),
    ("podSecurity.runAsUser=0", "podSecurity.runAsUser"),
    ("externalSecrets.enabled=true", "externalSecrets.store.name"),
    ("monitoring.interval=soon", "monitoring.interval"),
    ("extra=1", "extra"),
]


@pytest.mark.parametrize(("given", "told"), BAD)
def test_a_wrong_value_is_refused_by_name(given: str, told: str) -> None:
    """Helm stops before anything is changed, and says which value is meant."""
    done = template("--set", given)
    assert done.returncode == 1
    assert told in done.stderr


def test_trends_without_a_way_in_are_refused() -> None:
    """IAM is for workers and page; the trends' lack of it is told at once, with the way out."""
    region = "kafka.mskRegion=eu-central-1"
    iam = f"kafka.securityProtocol=SASL_SSL,kafka.saslMechanism=AWS_MSK_IAM,{region}"
    done = template("--set", iam)
    assert done.returncode == 1
    assert "Faust has no AWS_MSK_IAM" in done.stderr
    assert template("--set", iam, "--set", "trends.enabled=false").returncode == 0


def test_a_value_without_a_reason_is_refused() -> None:
    """The table can't be made of a value that no comment explains."""
    with pytest.raises(ValueError, match=r"image\.tag has no comment"):
        reference.values_table('image:\n  # Where.\n  registry: ""\n  tag: ""\n')
    assert "| `a.b` | `1` | Why. And how. |" in reference.values_table(
        "a:\n  # Why.\n  # And how.\n  b: 1\n"
    )


def test_numbers_arrive_as_the_apps_read_them(tmp_path: Path) -> None:
    """A large number of a file doesn't become 1.048576e+06 on its way through Helm."""
    file = tmp_path / "values.yaml"
    file.write_text("web: {settings: {WEB_MAX_REQUEST_BYTES: 1048576}}")
    page = charts.pod_of(render("--values", str(file)), "web")
    assert environment(page)["WEB_MAX_REQUEST_BYTES"] == "1048576"


def test_a_parts_setting_wins_over_the_shared_one() -> None:
    """What is set for one part changes no other."""
    given = ("--set", "settings.TOPICS_EVENTS=a", "--set", "web.settings.TOPICS_EVENTS=b")
    manifests = render(*given)
    assert environment(charts.pod_of(manifests, "web"))["TOPICS_EVENTS"] == "b"
    assert environment(charts.pod_of(manifests, "worker"))["TOPICS_EVENTS"] == "a"


def test_strimzis_topics_are_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """KafkaTopics have the names, partitions and settings that `sentiment topics` makes."""
    monkeypatch.setenv("TOPICS_PARTITIONS", "12")
    wanted = {t.name: (t.partitions, t.config) for t in topics.wanted(Settings())}
    made = [m["spec"] for m in of_kind(charts.objects("eks"), "KafkaTopic")]
    assert {t["topicName"]: (t["partitions"], t["config"]) for t in made} == wanted
    assert {t["replicas"] for t in made} == {3}


def test_a_hook_waits_for_no_secret_that_comes_after_it() -> None:
    """The topics' job is a hook, but an ordinary one where the chart makes Secrets."""
    (hook,) = of_kind(charts.objects(""), "Job")
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (ordinary,) = of_kind(charts.objects("eks-msk"), "Job")
    assert "annotations" not in ordinary["metadata"]
    assert ordinary["metadata"]["name"].endswith("-1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", ["until it has an address", "2 to 12 of them, 12 partitions", "No alerts"]),
        ("minimal", ["a fixed number, 1 of them"]),
        ("local", ["port-forward service/flask-app-service 5000:5000"]),
        ("eks", ["by consumer lag (KEDA), 2 to 12", "topics.create=strimzi"]),
    ],
)
def test_the_notes_say_what_to_do_next(name: str, said: list[str], tmp_path: Path) -> None:
    """After an install a person reads where the page is, how to try it and where to look."""
    # Helm shows notes only where it has a cluster; as an object's text they are rendered the same.
    copy = shutil.copytree(charts.CHART, tmp_path / "chart")
    notes = (copy / "templates" / "NOTES.txt").read_text()
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  notes: |\n"
    (copy / "templates" / "notes.yaml").write_text(head + textwrap.indent(notes, "    "))
    only = ("--show-only", "templates/notes.yaml", "--namespace", charts.NAMESPACE)
    done = charts.helm("template", charts.RELEASE, str(copy), *charts.files(name), *only)
    assert done.returncode == 0, done.stderr
    text = yaml.safe_load(done.stdout)["data"]["notes"]
    assert "helm -n sentiment test sentiment-stream --logs" in text
    assert all(part in text for part in said)
    assert "{{" not in text
