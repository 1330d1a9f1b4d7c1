"""Pods: whether they are ready, how to wait for them, how to reach them, and what their service answers."""
