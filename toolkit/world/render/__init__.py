"""From a scene and a view to a photograph: ray tracing with Warp, and a model of the sensor."""
