"""The verbs of `python -m k8s`, one module each. What verbs share stands in the modules of `k8s`."""
