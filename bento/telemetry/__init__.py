"""Metrics, logs, traces and the counters of drift, for operators."""
