"use strict";

const place = document.getElementById("swagger-ui");
const documents = JSON.parse(place.dataset.documents);
// Only the standalone layout has the bar in which one chooses among several documents.
const shown = documents.length === 1
  ? { url: documents[0].url, layout: "BaseLayout" }
  : { urls: documents, layout: "StandaloneLayout" };

SwaggerUIBundle({
  ...shown,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
});
