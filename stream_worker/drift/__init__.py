"""Drift: whether texts and scores still look as they did when the model was made.

Small samples of the batches are measured while they are scored (`sampling`), gathered for each
model until they are enough to judge by (`window`), and become metrics (`watch`). Only counts are
kept, never texts.
"""
