// The page of the API: Swagger UI on this server's own document; nothing is fetched from elsewhere.

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
  validatorUrl: null,
  syntaxHighlight: { activated: false },
});
