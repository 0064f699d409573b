"""What the routes take that send."""

from sentiment.asyncapi import EVENT_EXAMPLE
from sentiment.settings import WebSettings
from web.answers import FeedbackTaken, Sent
from web.batches.batch import Progress
from web.feedback import Opinion
from web.openapi.parts import TEXT, Json, answer, as_json, body, link, refusals
from web.openapi.schemas import UPLOAD

LOCATION: Json = {
    "Location": {"required": True, "schema": TEXT, "description": "Where its progress is."}
}
SENDING = {
    "s401": "`key_needed`, `wrong_key`: the server has API keys, and none of them came with it.",
    "s429": "`too_many_requests`: more than `WEB_RATE_LIMIT`.",
    "s503": "`kafka_unavailable`, `not_delivered`: Kafka is away, or did not acknowledge.",
}


def send() -> Json:
    """Events."""
    return {
        "operationId": "sendEvents",
        "summary": "Send texts to classify",
        "description": "Puts one or many events on the topic, and answers once the brokers have"
        " all of them. A `traceparent` header goes on to the results' records.",
        "requestBody": body(
            {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Events"},
                    "example": EVENT_EXAMPLE,
                }
            }
        ),
        "responses": {
            "202": {
                **answer(
                    "The brokers have them.",
                    as_json(Sent, {"events": [{"id": EVENT_EXAMPLE["id"]}]}),
                ),
                "links": {
                    "result": link("getResult", "$response.body#/events/0/id", "What it became."),
                },
            },
            **refusals(
                s400="Which event is wrong and why, by the codes of dead letters; `no_events`.",
                s413="`too_large`, `too_many_events`, `request_entity_too_large`.",
                s415="`not_json_type`: the body is not sent as JSON.",
                **SENDING,
            ),
        },
    }


def feedback() -> Json:
    """Feedback."""
    example = {"id": EVENT_EXAMPLE["id"], "verdict": "right"}
    return {
        "operationId": "giveFeedback",
        "summary": "A person's word on a result",
        "description": "A label, or whether the result is right. What the result said is looked up"
        " among the latest results; where it is not known, the caller says it.",
        "requestBody": body(as_json(Opinion, example)),
        "responses": {
            "202": answer("The brokers have it.", as_json(FeedbackTaken)),
            **refusals(
                s400="`not_json`, `invalid_field`, `label_or_verdict`.",
                s404="`no_result`: it is not known here, and the request has no `sentiment`.",
                s413="`too_large`, `request_entity_too_large`.",
                s415="`not_json_type`: the body is not sent as JSON.",
                **SENDING,
            ),
        },
    }


def upload(settings: WebSettings) -> Json:
    """Uploads."""
    lines = {**TEXT, "minLength": 1}
    limits = f"{settings.max_upload_lines:,} lines and {settings.max_upload_bytes:,} bytes"
    return {
        "operationId": "upload",
        "summary": "Send many lines",
        "description": "CSV with a column `text` (or only one column), a text a line, or JSON Lines"
        f" of events; at most {limits}. The events are sent in the background, under"
        " the upload's id, a hyphen and the line's number.",
        "requestBody": body(
            {
                "text/csv": {"schema": lines, "example": "text\nGreat.\n"},
                "text/plain": {"schema": lines, "example": "Great.\nAwful.\n"},
                "application/x-ndjson": {"schema": lines, "example": '{"text": "Great."}\n'},
                "application/jsonl": {"schema": lines, "example": '{"text": "Great."}\n'},
                "multipart/form-data": {"schema": UPLOAD},
            }
        ),
        "responses": {
            "202": {
                **answer("It is taken in.", as_json(Progress), LOCATION),
                "links": {
                    "progress": link("getUpload", "$response.body#/id", "How far it has come."),
                    "results": link("getUploadResults", "$response.body#/id", "Its results."),
                },
            },
            **refusals(
                s403="`other_origin`: another site's page may not upload.",
                s413="`too_many_lines`, `request_entity_too_large`.",
                s415="`not_a_table`: neither the type nor the file's name is a known one.",
                s422="`no_text_column`, `broken_table`, `no_lines`, `no_file`.",
                **{**SENDING, "s503": "`kafka_unavailable`; `too_many_batches` are waited for."},
            ),
        },
    }
