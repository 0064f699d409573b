"""How good a model is.

- `figures`: accuracy and its kin, by domain, and how sure they are
- `behaviours`: what a model must get right, whatever the data
- `plots`: the curves
"""
