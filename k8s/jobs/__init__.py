"""Training as a Job of Kubernetes, on one pod or several."""
