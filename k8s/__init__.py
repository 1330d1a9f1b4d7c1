"""Release the classifier to Kubernetes. Speaks API, YAML and HTTP; imports nothing of ours."""
