"""Speech encoders on torch: configurations, weights, layers run in stages, and the device they run on."""
