"""A two-node Kubernetes cluster on one Linux machine, in its own namespaces, for tests and for use by hand."""
