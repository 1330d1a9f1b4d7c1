"""When a rollout is done, in progress or stuck."""

from __future__ import annotations

from typing import Any

import pytest

from k8s.pods.rollout import is_ready, rollout_state, unready

Json = dict[str, Any]


def deployment(replicas: int = 2, **status: Any) -> Json:
    known = {"observedGeneration": 3} | status
    return {"metadata": {"name": "demo", "generation": 3}, "spec": {"replicas": replicas}, "status": known}


def pod(*, ready: bool = False, conditions: list[Json] | None = None, **container: Any) -> Json:
    status = [{"name": "server", "image": "ic:2", "ready": ready, "restartCount": 0} | container]
    condition = {"type": "Ready", "status": str(ready)}
    found = {"phase": "Pending", "conditions": [condition, *(conditions or [])], "containerStatuses": status}
    return {"metadata": {"name": "demo-1"}, "status": found}


def test_a_rollout_is_done_once_all_pods_are_updated_and_available() -> None:
    done = deployment(replicas=2)
    done["status"] |= {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    assert rollout_state(done, []).done
    assert rollout_state(done, []).progress == "2 of 2 updated, 2 available"


def test_a_rollout_of_fewer_pods_than_were_asked_for_is_in_progress() -> None:
    """An autoscaler starts with one pod and then brings them to its minimum."""
    few = deployment(replicas=1)
    few["status"] |= {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    assert rollout_state(few, []).done
    state = rollout_state(few, [], least=3)
    assert (state.done, state.progress) == (False, "1 of 3 updated, 1 available")


def test_a_rollout_that_the_controller_has_not_seen_is_not_done() -> None:
    status = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    assert not rollout_state(deployment(**status), []).done


@pytest.mark.parametrize(
    "status",
    [
        {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3},
        {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
        {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
    ],
)
def test_a_rollout_with_old_missing_or_unavailable_pods_is_in_progress(status: Json) -> None:
    state = rollout_state(deployment(**status), [pod(state={"running": {}})])
    assert not state.done
    assert state.trouble is None


def test_a_rollout_of_no_replicas_is_done_at_once() -> None:
    assert rollout_state(deployment(replicas=0), []).done


def test_an_image_that_may_not_be_pulled_fails_at_once() -> None:
    state = {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}
    trouble = rollout_state(deployment(), [pod(state=state)]).trouble
    assert trouble is not None
    assert (str(trouble), trouble.patience) == ("ErrImageNeverPull: ic:2: not present", 0)


def test_a_failing_pull_is_retried_for_some_time() -> None:
    trouble = rollout_state(deployment(), [pod(state={"waiting": {"reason": "ImagePullBackOff"}})]).trouble
    assert trouble is not None
    assert trouble.patience


def test_a_crash_loop_is_reported_with_restarts_exit_code_and_reason() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    trouble = rollout_state(deployment(), [pod(restartCount=2, lastState=last, state=waiting)]).trouble
    assert str(trouble) == "crash loop: container server ended 2 times, exit code 137 (OOMKilled)"


def test_a_single_crash_is_not_a_crash_loop() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert rollout_state(deployment(), [pod(restartCount=1, lastState=last, state=waiting)]).trouble is None
    assert rollout_state(deployment(), [pod(restartCount=2, lastState=last, state={"running": {}})]).trouble is None


def test_crashing_init_containers_are_found() -> None:
    fetching = pod(state={"waiting": {"reason": "PodInitializing"}})
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    fetch = {"name": "fetch", "image": "ic:2", "ready": False, "restartCount": 2, "lastState": last}
    fetching["status"]["initContainerStatuses"] = [fetch | {"state": {"waiting": {}}}]
    trouble = rollout_state(deployment(), [fetching]).trouble
    assert trouble is not None
    assert trouble.container == "fetch"


def test_an_unschedulable_pod_waits_as_long_as_the_command_lets_it_and_the_schedulers_message_is_kept() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: 2 Insufficient cpu."}
    trouble = rollout_state(deployment(), [pod(conditions=[condition])]).trouble
    assert trouble is not None
    assert str(trouble) == "unschedulable: 0/2 nodes are available: 2 Insufficient cpu."
    assert trouble.patience is None
    assert trouble.no_room


def test_an_exceeded_quota_is_read_from_the_deployment() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few, limited: pods=3"}
    trouble = rollout_state(deployment(conditions=[condition]), []).trouble
    assert str(trouble) == "no pod can be created: exceeded quota: few, limited: pods=3"


def test_a_paused_deployment_fails_at_once_unless_there_is_nothing_to_do() -> None:
    paused = deployment(replicas=2, updatedReplicas=0, availableReplicas=2)
    paused["spec"]["paused"] = True
    trouble = rollout_state(paused, []).trouble
    assert trouble is not None
    assert trouble.patience == 0
    assert str(trouble).endswith("first kubectl rollout resume deployment/demo")
    paused["status"] |= {"replicas": 2, "updatedReplicas": 2}
    assert rollout_state(paused, []).done


def test_a_terminating_pod_is_not_ready() -> None:
    going = pod(ready=True)
    assert is_ready(going)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not is_ready(going)


def test_the_reason_why_a_pod_is_not_ready_is_described() -> None:
    running = pod(state={"running": {}}, restartCount=1)
    assert unready([running]) == "demo-1: container server runs but isn't ready (1 restarts)"
    assert unready([]) == "no pod"
