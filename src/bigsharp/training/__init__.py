"""Training: recipes, patches cut on the device, and the loop."""
