"""What the cluster runs as pods from the start: DNS, metrics, the gateway, volumes, a registry."""
