// Draws the API's documentation. validatorUrl: by default Swagger UI shows the document to a service on the internet.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
