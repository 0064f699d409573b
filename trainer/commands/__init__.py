"""The commands of the model's life."""
