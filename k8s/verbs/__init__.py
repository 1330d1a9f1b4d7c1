"""One module for each verb of `python -m k8s`; what they share stands beside this folder."""
