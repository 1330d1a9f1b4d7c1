"""Connections: uvicorn's, with limits of size and time, and with early refusals."""
