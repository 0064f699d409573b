"""Kinds of models that can be served, one module for each.

- `format`: what each of them has to offer, and where it is found
- `mlmodel`: which of them a model directory has
- `scikit_learn`: scikit-learn's pipelines in the skops format
- `pipelines`: which of these may be served
"""
