"""The model registry: resolve, fetch, check, keep the last good copy, publish.

What asks the registry raises the errors of `tracking.connect`; what opens a model,
a `ModelRefusedError` where it fails a check; a docstring says what it raises beside.

- `registry`: from an alias to a loaded model
- `tracking`: MLflow's client, bounded; DagsHub as a server
- `download`: a version's files, in a process with limits
- `artifact`: a model directory: checked, opened, compiled
- `model_cache`: the last good copies on disk
- `publish`: a model directory as a new version
"""
