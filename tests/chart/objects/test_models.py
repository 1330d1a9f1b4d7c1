"""The image of the server and the source of its model."""

from __future__ import annotations

import pytest

from tests.chart.conftest import refusal, template
from tests.chart.manifests import NAME, Object

DIGEST = "sha256:" + "0" * 64
PVC = {"model.source": "pvc", "model.tag": "image_classifier:abc", "model.pvc.claimName": "models"}
URL = {
    "model.source": "url",
    "model.tag": "image_classifier:abc",
    "model.url.location": "https://store.example.com/m.bentomodel",
    "model.url.sha256": "f" * 64,
}


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "image-classifier:0.1.0"),
        ({"image.tag": "7"}, "image-classifier:7"),
        ({"image.registry": "r.example.com:5000"}, "r.example.com:5000/image-classifier:0.1.0"),
        ({"global.imageRegistry": "g.example.com"}, "g.example.com/image-classifier:0.1.0"),
        ({"global.imageRegistry": "g.example.com", "image.registry": "r"}, "r/image-classifier:0.1.0"),
        ({"image.tag": "7", "image.digest": DIGEST}, f"image-classifier@{DIGEST}"),
    ],
)
def test_the_image_is_named_by_registry_tag_or_digest(values: dict[str, str], image: str) -> None:
    release = template(values)
    assert release.server()["image"] == image
    assert release.get("Pod", f"{NAME}-test")["spec"]["containers"][0]["image"] == image


def test_a_model_in_the_image_needs_nothing_else() -> None:
    release = template()
    assert "initContainers" not in release.pod()["spec"]
    assert "MODEL_TAG" not in release.env()


def test_model_tag_and_runtime_become_environment_variables() -> None:
    env = template({"model.tag": "image_classifier:abc", "model.runtime": "onnx"}).env()
    assert (env["MODEL_TAG"], env["RUNTIME"]) == ("image_classifier:abc", "onnx")


def test_pods_are_annotated_with_the_model_they_serve() -> None:
    annotations = template({"model.tag": "m:1", "model.digest": "abc"}).pod()["metadata"]["annotations"]
    assert annotations["image-classifier/model-tag"] == "m:1"
    assert annotations["image-classifier/model-digest"] == "abc"


def mounts(container: Object) -> dict[str, Object]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def test_a_model_store_volume_is_mounted_read_only_in_bentoml_home() -> None:
    release = template(PVC)
    home = release.env()["BENTOML_HOME"]
    assert mounts(release.server())[f"{home}/models"] == {
        "name": "models",
        "mountPath": f"{home}/models",
        "subPath": "models",
        "readOnly": True,
    }
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "models", "persistentVolumeClaim": claim} in release.pod()["spec"]["volumes"]
    assert release.env()["MODEL_TAG"] == "image_classifier:abc"


def test_an_empty_sub_path_mounts_the_whole_volume() -> None:
    release = template(PVC | {"model.pvc.subPath": ""})
    assert "subPath" not in mounts(release.server())["/bentoml/models"]


def test_an_init_container_of_the_same_image_fetches_and_checks_a_model_from_a_url() -> None:
    release = template(URL)
    (fetch,) = release.pod()["spec"]["initContainers"]
    location, sha256 = URL["model.url.location"], URL["model.url.sha256"]
    home = release.env()["BENTOML_HOME"]
    assert fetch["command"] == ["python", "-m", "bento.fetch"]
    assert fetch["args"] == [location, f"--sha256={sha256}", f"--into={home}"]
    assert fetch["image"] == release.server()["image"]
    assert mounts(fetch)[home] == mounts(release.server())[home]


def test_a_model_url_can_use_credentials_and_plain_http() -> None:
    release = template(URL | {"model.url.existingSecret": "store", "model.url.plainHttp": True})
    (fetch,) = release.pod()["spec"]["initContainers"]
    assert fetch["args"][-1] == "--plain-http"
    assert fetch["envFrom"] == [{"secretRef": {"name": "store"}}]


def test_the_download_of_a_model_gets_the_extra_environment_and_volumes() -> None:
    """A proxy and the certificate of a private registry must reach every container that opens a connection."""
    extra: dict[str, list[Object]] = {
        "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"}],
        "extraEnvFrom": [{"configMapRef": {"name": "proxy"}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    }
    release = template(URL | extra | {"model.url.existingSecret": "store"})
    for pod in (release.pod()["spec"], release.get("Pod", f"{NAME}-test")["spec"]):
        (fetch,) = pod["initContainers"]
        assert fetch["env"] == extra["extraEnv"]
        assert fetch["envFrom"] == [*extra["extraEnvFrom"], {"secretRef": {"name": "store"}}]
        assert fetch["volumeMounts"][-1:] == extra["extraVolumeMounts"]
        assert pod["volumes"][-1:] == extra["extraVolumes"]


def test_the_model_is_fetched_before_extra_init_containers_run() -> None:
    release = template(URL | {"extraInitContainers": [{"name": "after", "image": "i"}]})
    assert [container["name"] for container in release.pod()["spec"]["initContainers"]] == ["fetch-model", "after"]


@pytest.mark.parametrize("source", [PVC, URL])
def test_the_test_pod_mounts_the_same_model(source: dict[str, str]) -> None:
    release = template(source)
    server, test = release.pod()["spec"], release.get("Pod", f"{NAME}-test")["spec"]
    assert test.get("initContainers") == server.get("initContainers")
    assert test["volumes"] == server["volumes"]
    assert mounts(test["containers"][0]) == mounts(server["containers"][0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model.source": "pvc", "model.tag": "m:1"}, "model.source pvc needs model.pvc.claimName"),
        ({"model.source": "pvc", "model.pvc.claimName": "c"}, "model.source pvc needs model.tag"),
        ({"model.source": "url", "model.tag": "m:1"}, "needs model.url.location and model.url.sha256"),
        (URL | {"model.url.sha256": ""}, "needs model.url.location and model.url.sha256"),
        ({"canary.enabled": True, "canary.model": {"source": "pvc"}}, "canary.model.source pvc needs canary.model.tag"),
    ],
)
def test_an_incomplete_model_source_is_refused_with_the_missing_value(values: dict[str, object], message: str) -> None:
    assert message in refusal(values)
