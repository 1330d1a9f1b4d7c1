"""Load tests of a running service, with locust. Imports no other package of the project."""
