"""Fetch an exported model into a model store: download, unpack, place. Needs the standard library alone."""
