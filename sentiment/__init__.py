"""What every app shares: the wire, Kafka clients, settings, errors, metrics, the model.

This package imports no app. Apps import it and never each other; `make lint` holds both.
"""
