"""How good a model is: figures with intervals, behaviours, speed, plots."""
