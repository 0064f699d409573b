"""Measures the quality of a model.

- `figures`: accuracy and further metrics, by domain, with intervals
- `behaviours`: what a model must get right, whatever the data
- `plots`: the curves
"""
