"""Claims about how many workers there are."""

import pytest
import yaml

from sentiment.settings import TopicSettings, WorkerSettings
from tests.deploy import charts
from tests.deploy.charts import NAMES, Manifest, files, objects, of_kind, render

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
    reference = of_kind(objects(name), "ScaledObject")[0]["spec"]["triggers"][0]
    own = reference["authenticationRef"]["name"]
    for file in ("authentication.yaml", "authentication-msk.yaml"):
        text = (charts.ROOT / "k8s" / "keda" / file).read_text()
        documents = list(yaml.safe_load_all(text))
        assert documents[-1]["metadata"]["name"] == own


def test_no_scaler_is_made_of_a_value_that_lag_never_reaches() -> None:
    """A threshold at the resting lag would add workers for nothing, and is refused."""
    done = charts.template(*files("eks"), "--set", "worker.autoscaling.lagPerReplica=12")
    assert done.returncode == 1
    assert "the lag that transactions leave" in done.stderr
