# The commands for people and CI. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PORT ?= 3000
export BENTOML_DO_NOT_TRACK := True

BIN := .venv/bin
LOCKS := bento/requirements.txt requirements/dev.txt
CLUSTER_NEEDS := containerd runc iptables conntrack catatonit docker-registry ip openssl /usr/lib/cni/ptp
UV_LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --no-header

.PHONY: help setup run image training-image loadtests-image package check format test backends e2e e2e-core manifests values routes bench overload soak
.PHONY: pictures cluster cluster-down lock clean

help:  ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup: .venv/installed  ## create .venv with every dependency, locked

.venv/installed: requirements/dev.txt scripts/setup
	@scripts/setup

run: setup  ## train on the built-in digits if the store has no model, then serve on PORT (3000)
	@PORT=$(PORT) scripts/run

image: setup  ## build the image of the newest model, and print a report on it (BASE_IMAGE, ENGINE, HEIC: docs/image.md)
	@containers/image

training-image: setup  ## build the image for training as a Job
	@containers/job-image training

loadtests-image: setup  ## build the image for load tests on a cluster
	@containers/job-image loadtests

check: setup  ## check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup  ## fix style and format, as far as ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Three files at a time, because many tests wait; the long ones first, those marked `alone` last (tests/conftest.py).
test: setup  ## run every test that needs no cluster
	@scripts/packages chromium chromedriver prometheus promtool docker-registry postgres
	@scripts/helm which >/dev/null || true
	@scripts/build-tools scripts/tools/kubeconform >/dev/null || true
	@$(BIN)/pytest --durations 25 --numprocesses 3 --dist loadfile --no-loadscope-reorder \
		tests/integration/test_readme.py tests/integration/training tests/integration/test_unasked.py \
		tests/integration/bento tests/integration/k8s tests/integration/loadtests tests/unit tests/chart

backends: setup  ## test training with every Keras backend; installs PyTorch once, 5 GB (docs/training.md)
	@scripts/torch -c "import torch"
	@$(BIN)/pytest tests/integration/training/test_backends.py

e2e: setup  ## test the image, then chart and releases on the project's own Kubernetes or KUBECONFIG's (docs/cluster.md)
	@scripts/packages podman mmdebstrap prometheus postgres $(CLUSTER_NEEDS)
	@containers/can-build 12000 || true  # show now what the tests would report after half an hour
	@$(BIN)/pytest --durations 25 tests/containers tests/cluster $(E2E)

e2e-core: E2E = -m core
e2e-core: e2e  ## run the part of these tests that CI runs

package:  ## package the Helm chart as dist/image-classifier-VERSION.tgz
	@scripts/helm package helm/image-classifier --destination dist

manifests: setup  ## render the chart to k8s/manifests, for people without Helm
	@$(BIN)/python -m k8s manifests --out k8s/manifests

values: setup  ## write the chart's schema and its README's table from values.yaml
	@$(BIN)/python -m helm.describe

routes: setup  ## write the table of routes in docs/service.md
	@$(BIN)/python -m bento.http.routes.reference

bench: setup  ## measure training, its memory, and serving compared with other servers (20 minutes)
	@scripts/packages wrk
	@$(BIN)/python -m benchmarks.training
	@$(BIN)/python -m benchmarks.memory
	@$(BIN)/python -m benchmarks.serving

overload: setup  ## measure serving at up to ten times its capacity (4 minutes)
	@$(BIN)/python -m benchmarks.overload

soak: setup  ## send mixed traffic for ten minutes, and check that nothing grows
	@$(BIN)/python -m benchmarks.soak

pictures: setup  ## make the README's pictures: page, report and dashboard (8 minutes)
	@scripts/packages chromium chromedriver prometheus /usr/share/fonts/opentype/inter/Inter-Regular.otf
	@$(BIN)/python -m benchmarks.pictures

cluster: setup  ## start a two-node Kubernetes on this machine, and print the variables to export
	@scripts/packages $(CLUSTER_NEEDS) >&2
	@$(BIN)/python -m cluster up

cluster-down: setup  ## stop that Kubernetes; it keeps its images for the next start
	@$(BIN)/python -m cluster down

lock: setup  ## update all lock files to the newest versions
	@$(UV_LOCK) --upgrade bento/requirements.in -o bento/requirements.txt
	@$(UV_LOCK) --upgrade requirements/dev.in -o requirements/dev.txt
	@$(UV_LOCK) --upgrade requirements/training.in -o requirements/training.txt
	@$(UV_LOCK) --upgrade requirements/heic.in -o requirements/heic.txt
	@$(UV_LOCK) --upgrade requirements/torch.in -o requirements/torch.txt
	@$(UV_LOCK) --upgrade requirements/loadtests.in -o requirements/loadtests.txt
	@$(UV_LOCK) --upgrade containers/sbom.in -o containers/sbom.txt
	@$(UV_LOCK) --upgrade tests/moto.in -o tests/moto.txt

clean:  ## remove .venv, caches and runs, but not the model store
	@rm -rf .venv runs dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
