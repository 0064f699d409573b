"""Everything on one machine: a real Apache Kafka without Docker, and the demo.

Apps are started as processes, never imported.
"""
