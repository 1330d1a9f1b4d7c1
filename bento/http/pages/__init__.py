"""The files for browsers: the page at / and Swagger UI at /docs."""
