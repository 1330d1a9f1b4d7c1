"""The version of the project."""

VERSION = "0.1.0"
"""The project's; pyproject.toml says the same."""
