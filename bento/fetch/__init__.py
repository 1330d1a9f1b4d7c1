"""An exported model on its way into a model store: download, unpack, place. Needs the standard library alone."""
