"use strict";

const place = document.getElementById("swagger-ui");
const documents = JSON.parse(place.dataset.documents);

SwaggerUIBundle({
  urls: documents,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: documents.length > 1 ? "StandaloneLayout" : "BaseLayout",
  url: documents.length === 1 ? documents[0].url : undefined,
});
