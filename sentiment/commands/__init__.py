"""Commands of the hall itself."""
