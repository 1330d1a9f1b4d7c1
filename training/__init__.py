"""Train an image classifier on a folder of labelled images and publish it to the BentoML model store."""

from __future__ import annotations

from model_format import usage_reports

usage_reports.switch_off()
