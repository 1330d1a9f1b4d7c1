"""The route divides requests between two versions by its weights."""

from __future__ import annotations

import math

import httpx
import pytest

from tests.cluster.product import Product
from tests.cluster.target import HOST, Target
from tests.cluster.waiting import eventually

REQUESTS = 400
# By chance, a correct division fails one test in a thousand, and one run of the three tests in three hundred.
LEAST_CHANCE = 0.001


def chance(hits: int, tries: int, share: float) -> float:
    """Return the two-sided probability that a binomial count is at least as unlikely as this one."""
    likely = [math.comb(tries, k) * share**k * (1 - share) ** (tries - k) for k in range(tries + 1)]
    return sum(probability for probability in likely if probability <= likely[hits] * (1 + 1e-9))


def versions(target: Target, requests: int) -> list[str]:
    files = {"file": ("image.jpg", target.image, "image/jpeg")}
    url = f"{target.release.cluster.http}/predict"
    with httpx.Client(headers={"Host": HOST}) as client:
        return [client.post(url, files=files).raise_for_status().headers["X-Model-Version"] for _ in range(requests)]


@pytest.mark.parametrize("weight", [10, pytest.param(50, marks=pytest.mark.core), 100])
def test_the_canary_gets_its_share_and_none_after_its_removal(target: Target, newer: Product, weight: int) -> None:
    canary = {"enabled": True, "weight": weight, "replicaCount": 1, **newer.values}
    target.release.upgrade(target.values | {"canary": canary})
    # Envoy learns of the weights a moment after Helm has seen the pods ready.
    eventually(lambda: newer.model in versions(target, 40), "the first answer of the canary")
    hits = versions(target, REQUESTS).count(newer.model)
    assert hits == REQUESTS if weight == 100 else chance(hits, REQUESTS, weight / 100) > LEAST_CHANCE, hits

    target.release.upgrade(target.values)
    eventually(lambda: newer.model not in versions(target, 40), "the canary's end")
    assert newer.model not in versions(target, 100)
