"""A release as Helm records it, its lock, and every way to change it that can be undone."""
