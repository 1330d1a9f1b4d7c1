"""The BentoML service that answers `POST /predict`."""

from __future__ import annotations

from model_format import usage_reports

usage_reports.switch_off()
