"""The handlers of the routes: those that classify, and those that take no image."""
