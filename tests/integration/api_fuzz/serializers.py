"""How bodies of types that schemathesis doesn't know are sent: as the text that they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def lines(context: schemathesis.SerializationContext, value: object) -> bytes:
    """The text itself."""
    del context
    return str(value).encode()
