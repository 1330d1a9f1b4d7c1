"""The namespaces and control groups that keep the cluster apart from the machine, and the ways into them."""
