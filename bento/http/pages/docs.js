// Draws the API's documentation. By default, validatorUrl would send the document to a service on the internet.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
