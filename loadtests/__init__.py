"""Load on a running service, with locust. Imports nothing of ours."""
