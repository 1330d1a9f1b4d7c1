"""A two-node Kubernetes on one Linux machine, in namespaces of its own: for tests, and for trying things by hand."""
