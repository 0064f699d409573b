"""Makes models: training, model card, and publishing to the registry."""
