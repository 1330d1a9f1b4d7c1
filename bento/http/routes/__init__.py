"""The table of all routes, and what is made from it: dispatch, the OpenAPI document, the table in the docs."""
