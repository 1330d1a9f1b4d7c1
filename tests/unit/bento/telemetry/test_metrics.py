"""The metrics' definitions."""

from __future__ import annotations

from annotated_types import Le

from bento.settings import Settings
from bento.telemetry import metrics


def test_the_buckets_of_durations_reach_the_longest_deadline() -> None:
    """The kind: a quantile above the last bucket is reported as that bucket."""
    (longest,) = (bound.le for bound in Settings.model_fields["deadline_ms"].metadata if isinstance(bound, Le))
    assert metrics._SECONDS[-1] * 1000 >= longest
