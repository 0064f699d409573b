"""The API of uploads."""

import uuid

from flask import Blueprint, Response, request

from web import services
from web.answers import respond
from web.api import require_kafka, trace
from web.batches import export, reading, upload
from web.batches.batch import Batch
from web.batches.reading import Limits
from web.errors import ApiError

batches = Blueprint("batches", __name__, url_prefix="/api/batches")


@batches.post("")
def take() -> Response:
    """Take in many lines and send them in the background; 202 with the upload's id."""
    upload.require_own_origin()
    shared = services.current()
    web = shared.settings.web
    require_kafka()
    shared.batches.require_room()
    name = uuid.uuid4().hex
    kind, stream = upload.body(web.max_upload_bytes)
    limits = Limits(web.max_upload_lines, shared.settings.worker.max_event_bytes)
    batch = Batch(name, reading.read(stream, kind, name, limits), trace())
    shared.batches.add(batch)
    return respond(batch.progress(), 202, Location=f"/api/batches/{name}")


@batches.get("/<name>")
def progress(name: str) -> Response:
    """How far an upload has come."""
    return respond(_batch(name).progress())


@batches.get("/<name>/results")
def results(name: str) -> Response:
    """The results so far, in the order of the lines; `?format=jsonl` or `csv`."""
    kind = request.args.get("format", "jsonl")
    if kind not in {"jsonl", "csv"}:
        raise ApiError(400, "invalid_format", "'format' is 'jsonl' or 'csv'.")
    batch = _batch(name)
    answer = (
        Response(export.as_csv(batch), mimetype="text/csv")
        if kind == "csv"
        else Response(export.json_lines(batch), mimetype="application/x-ndjson")
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="results-{batch.name}.{kind}"'
    return answer


def _batch(name: str) -> Batch:
    shared = services.current()
    batch = shared.batches.get(name)
    if batch is None:
        raise ApiError(
            404,
            "no_batch",
            "No upload of this id. Uploads are kept for"
            f" {shared.settings.web.batch_minutes:g} minutes, in the process that took them: with"
            " several replicas, ask the same one.",
        )
    return batch
