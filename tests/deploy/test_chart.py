"""Claims about the chart as a whole: its values, its objects, and how many workers there are."""

import json
import shutil
import tarfile
import textwrap
from pathlib import Path

import pytest
import yaml

from sentiment.kafka import topics
from sentiment.settings import Settings, TopicSettings, WorkerSettings
from tests.deploy import charts
from tests.deploy.charts import (
    NAMES,
    Manifest,
    environment,
    files,
    helm,
    objects,
    of_kind,
    pods,
    problems,
    render,
    template,
)
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
    ("worker.autoscaling.lagPerReplica=12", "the lag that transactions leave"),
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


MONITORED = ("eks", "eks-msk")


@pytest.mark.parametrize("name", NAMES)
def test_helm_finds_nothing_to_say(name: str) -> None:
    """`helm lint --strict` passes with each set of values."""
    done = helm("lint", "--strict", str(charts.CHART), *files(name))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_and_the_operators_take_every_object(name: str) -> None:
    """Each object fits the schemas of three versions of Kubernetes, or its operator's."""
    found = [problem for manifest in objects(name) for problem in problems(manifest)]
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_labels_are_the_releases(name: str) -> None:
    """No object overwrites another, and each carries the release's labels."""
    manifests = objects(name)
    named = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(named) == len(set(named))
    for manifest in manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == charts.RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


@pytest.mark.parametrize("name", NAMES)
def test_every_selector_finds_the_pods_of_its_part(name: str) -> None:
    """Workloads, Services, budgets and monitors select pods that there are, of one part."""
    manifests = objects(name)
    labels = [(part, pod["metadata"]["labels"]) for part, pod in pods(manifests)]
    kinds = ("Service", "Deployment", "StatefulSet", "PodDisruptionBudget", "PodMonitor")
    chosen = of_kind(manifests, *kinds)
    assert chosen
    for manifest in chosen:
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        found = {part for part, own in labels if wanted.items() <= own.items()}
        assert found == {wanted["app.kubernetes.io/component"]}, manifest["metadata"]["name"]


@pytest.mark.parametrize("name", NAMES)
def test_ports_by_name_are_ports_of_the_pods(name: str) -> None:
    """What a Service or monitor calls `http` is a port of each container that it leads to."""
    manifests = objects(name)
    for manifest in of_kind(manifests, "Service"):
        part = manifest["spec"]["selector"]["app.kubernetes.io/component"]
        container = charts.pod_of(manifests, part)["spec"]["containers"][0]
        names = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= names


@pytest.mark.parametrize("name", MONITORED)
def test_rules_and_dashboards_are_those_of_the_project(name: str) -> None:
    """The cluster gets `observability/` word for word."""
    folder = charts.ROOT / "observability"
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    assert [m["spec"] for m in of_kind(objects(name), "PrometheusRule")] == [rules]
    shown = {
        file: json.loads(text)
        for manifest in of_kind(objects(name), "ConfigMap")
        if manifest["metadata"]["labels"].get("grafana_dashboard")
        for file, text in manifest["data"].items()
    }
    there = {p.name: json.loads(p.read_text()) for p in (folder / "dashboards").glob("*.json")}
    assert shown == there


def test_alerts_lead_to_where_the_runbook_is_read() -> None:
    """With the address of the documents each alert has a whole one."""
    manifests = charts.render(*files("eks"), "--set=monitoring.docsUrl=https://example.org/docs/")
    (rules,) = of_kind(manifests, "PrometheusRule")
    found = [
        rule["annotations"]["runbook_url"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert found
    assert all(url.startswith("https://example.org/docs/operations.md#") for url in found)


def test_an_archive_of_the_chart_has_the_rules_themselves(tmp_path: Path) -> None:
    """Links become files in a package, so that it is whole without the project around it."""
    done = helm("package", str(charts.CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as package:
        member = package.getmember("sentiment-stream/files/rules.yml")
        content = package.extractfile(member)
        assert member.isfile()
        assert content is not None
        assert content.read() == (charts.ROOT / "observability" / "rules.yml").read_bytes()


def test_a_slip_in_an_operators_resource_is_noticed() -> None:
    """The schemas refuse a field that is misspelt and a number where a string has to be."""
    scaled = json.loads(json.dumps(of_kind(objects("eks"), "ScaledObject")[0]))
    assert not problems(scaled)
    scaled["spec"]["triggers"][0]["metadata"]["lagThreshold"] = 20000
    scaled["spec"]["minReplicas"] = 2
    assert len(problems(scaled)) == 2


KEDA = "--api-versions=keda.sh/v1alpha1"


def trigger(manifests: list[Manifest]) -> dict[str, str]:
    """What KEDA is told about Kafka."""
    (scaled,) = of_kind(manifests, "ScaledObject")
    metadata: dict[str, str] = scaled["spec"]["triggers"][0]["metadata"]
    return metadata


def test_keda_where_the_cluster_has_it_and_an_hpa_where_not() -> None:
    """One scaler, of the kind that the cluster can serve; none where a number is fixed."""
    assert of_kind(render(KEDA), "ScaledObject")
    assert not of_kind(render(KEDA), "HorizontalPodAutoscaler")
    (hpa,) = of_kind(render(), "HorizontalPodAutoscaler")
    assert hpa["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"
    assert not of_kind(render(), "ScaledObject")
    assert not of_kind(objects("minimal"), "ScaledObject", "HorizontalPodAutoscaler")


@pytest.mark.parametrize("name", NAMES)
def test_a_scaler_and_a_fixed_number_never_fight(name: str) -> None:
    """`replicas` is there exactly where nothing else decides it; a scaler means the workers."""
    (workers,) = of_kind(objects(name), "StatefulSet")
    scalers = of_kind(objects(name), "ScaledObject", "HorizontalPodAutoscaler")
    assert ("replicas" in workers["spec"]) == (not scalers)
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == workers["metadata"]["name"]


@pytest.mark.parametrize(
    ("partitions", "most", "got"), [(12, 12, 12), (4, 12, 4), (12, 3, 3), (24, 12, 12)]
)
def test_there_are_never_more_workers_than_partitions(partitions: int, most: int, got: int) -> None:
    """The most is what was asked for or the number of partitions, whichever is less."""
    given = f"topics.partitions={partitions},worker.autoscaling.maxReplicas={most}"
    (scaled,) = of_kind(render(KEDA, "--set", given), "ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] == got


@pytest.mark.parametrize(("partitions", "producers"), [(12, 1), (24, 2), (4, 0)])
def test_markers_of_transactions_wake_nobody(partitions: int, producers: int) -> None:
    """Activation is above what idle partitions rest at: a marker of each transactional producer."""
    given = f"topics.partitions={partitions},worker.autoscaling.transactionalProducers={producers}"
    asked = trigger(render(KEDA, "--set", given))
    # KEDA is active above the threshold, not at it.
    assert int(asked["activationLagThreshold"]) == partitions * producers
    assert int(asked["lagThreshold"]) > int(asked["activationLagThreshold"])


def test_lag_is_that_of_the_workers_own_group_and_topic() -> None:
    """KEDA asks for the group and topic that the workers use, other names included."""
    asked = trigger(objects("eks"))
    assert asked["consumerGroup"] == WorkerSettings().group_id
    assert asked["topic"] == TopicSettings().events
    given = "settings.TOPICS_EVENTS=in,settings.WORKER_GROUP_ID=g"
    asked = trigger(render(KEDA, "--set", given))
    assert (asked["topic"], asked["consumerGroup"]) == ("in", "g")


def test_workers_go_slowly_and_one_at_a_time() -> None:
    """A scale-down waits ten minutes and takes one; a scale-up waits for nothing."""
    (scaled,) = of_kind(objects("eks"), "ScaledObject")
    behaviour = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 600
    assert [p["value"] for p in behaviour["scaleDown"]["policies"]] == [1]
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] == 0


@pytest.mark.parametrize("name", ["eks", "eks-msk"])
def test_keda_comes_in_as_the_brokers_ask(name: str) -> None:
    """KEDA speaks the mechanism of the listener that the workers use, with a name of its own."""
    asked = trigger(objects(name))
    wanted = {"eks": "scram_sha512", "eks-msk": "oauthbearer"}[name]
    assert (asked["sasl"], asked["tls"]) == (wanted, "enable")
    (scaled,) = of_kind(objects(name), "ScaledObject")
    own = scaled["spec"]["triggers"][0]["authenticationRef"]["name"]
    for file in ("authentication.yaml", "authentication-msk.yaml"):
        assert charts.documents(charts.CLUSTER / "keda" / file)[-1]["metadata"]["name"] == own
