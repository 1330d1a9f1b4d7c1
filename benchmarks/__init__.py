"""The measurements behind the README's figures. Each prints a table and can write JSON."""

from __future__ import annotations

from model_format import usage_reports

usage_reports.switch_off()
