"""The BentoML service that answers `POST /predict`."""
