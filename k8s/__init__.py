"""Release the classifier to Kubernetes by its API, by YAML and by HTTP."""
