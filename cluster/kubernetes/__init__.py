"""Kubernetes itself: certificates, configuration and daemons of the control plane and of the nodes."""
