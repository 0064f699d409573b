"""Claims about ends: nothing is lost or doubled when pods are replaced."""

import pytest

from sentiment.settings import WorkerSettings
from stream_worker.trends.process import STOP_S
from tests.deploy import charts
from tests.deploy.charts import NAMES, environment, objects, of_kind
from web.command import CLOSE_S, GRACE_S


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_is_never_killed_before_its_own_deadline(name: str) -> None:
    """SIGKILL comes later than the time that the worker gives its open batch."""
    worker = charts.pod_of(objects(name), "worker")
    own = float(
        environment(worker).get("WORKER_SHUTDOWN_TIMEOUT_S") or WorkerSettings().shutdown_timeout_s
    )
    assert worker["spec"]["terminationGracePeriodSeconds"] >= own + 5


def test_the_grace_follows_the_workers_setting() -> None:
    """A longer deadline makes a longer grace, and a grace that is too short is refused."""
    setting = "worker.settings.WORKER_SHUTDOWN_TIMEOUT_S=45.5"
    worker = charts.pod_of(charts.render("--set", setting), "worker")
    assert worker["spec"]["terminationGracePeriodSeconds"] == 56
    refused = charts.template("--set", "worker.terminationGracePeriodSeconds=20")
    assert refused.returncode == 1
    assert "WORKER_SHUTDOWN_TIMEOUT_S=20" in refused.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_page_goes_only_when_nobody_is_sent_to_it(name: str) -> None:
    """A page's pod waits before its end, and has time for what is open afterwards."""
    spec = charts.pod_of(objects(name), "web")["spec"]
    wait = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert wait >= 5
    assert spec["terminationGracePeriodSeconds"] > wait + GRACE_S + CLOSE_S
    (page,) = (
        m for m in of_kind(objects(name), "Deployment") if m["metadata"]["name"].endswith("-web")
    )
    assert page["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_trends_have_longer_than_they_give_themselves() -> None:
    """The trends end by themselves before they are killed, and never run twice."""
    trends = charts.pod_of(objects("eks"), "trends")
    assert trends["spec"]["terminationGracePeriodSeconds"] > STOP_S
    (deployment,) = (
        m
        for m in of_kind(objects("eks"), "Deployment")
        if m["metadata"]["name"].endswith("-trends")
    )
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_has_a_name_of_its_own_that_it_keeps(name: str) -> None:
    """Each pod's transactional id is its own, comes back with it, and is one that it may use."""
    (workers,) = of_kind(objects(name), "StatefulSet")
    worker = workers["spec"]["template"]
    group = WorkerSettings().group_id
    assert environment(worker)["WORKER_TRANSACTIONAL_ID"] == f"{group}-$(POD_NAME)"
    first = worker["spec"]["containers"][0]["env"][0]
    assert first["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize("name", NAMES)
def test_nodes_are_drained_one_pod_of_a_part_at_a_time(name: str) -> None:
    """Workers and page have budgets that let one go; none stops a drain."""
    budgets = of_kind(objects(name), "PodDisruptionBudget")
    assert {b["metadata"]["name"].rpartition("-")[2] for b in budgets} == {"worker", "web"}
    assert all(budget["spec"]["maxUnavailable"] == 1 for budget in budgets)
