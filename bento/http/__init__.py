"""The HTTP side: connections, routes, requests and their bodies, answers, the page."""
