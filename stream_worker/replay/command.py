"""`sentiment replay` and `sentiment replay compare`."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from sentiment.errors import InputError, SettingsError
from sentiment.settings import Settings

if TYPE_CHECKING:
    from stream_worker.replay.plan import Mark


EXAMPLES = """
\b
Examples:
  sentiment replay --from 2h --model sentiment@challenger --output-topic trial-7
  sentiment replay --from 2026-01-31T08:00:00Z --to 2026-01-31T09:00:00Z --output-topic again
  sentiment replay compare --output-topic trial-7
"""

group_option = click.option(
    "--group-id", help="Keeps the offsets; nobody joins it.  [default: by the output topic]"
)
servers_option = click.option(
    "--bootstrap-servers", help="Kafka's addresses.  [default: KAFKA_BOOTSTRAP_SERVERS]"
)
show_text_option = click.option(
    "--show-text", is_flag=True, help="Show the examples' texts, and not only their ids."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(
    invoke_without_command=True, subcommand_metavar="[compare]", epilog=EXAMPLES,
    short_help="Classify a time range again, into a topic of its own.",
)  # fmt: skip
@click.option(
    "--from", "since", metavar="WHEN",
    help="`beginning`, how long ago (30s, 10m, 2h, 7d), or a time (2026-01-31T08:00:00Z; without a"
    " zone, local time).",
)  # fmt: skip
@click.option(
    "--to", "until", metavar="WHEN", help="The end, exclusive.  [default: what is there now]"
)
@click.option(
    "--model", metavar="NAME@ALIAS", help="Or NAME/VERSION, or models:/….  [default: MODEL_URI]"
)
@click.option("--output-topic", metavar="TOPIC", help="Takes the results; made if it is not there.")
@group_option
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N",
    help="Most events per second.  [default: as fast as possible]",
)  # fmt: skip
@click.option("--compare", "compares", is_flag=True, help="At the end, compare with the live ones.")
@show_text_option
@json_option
@servers_option
@click.pass_context
def replay(
    context: click.Context,
    *,
    since: str | None,
    until: str | None,
    model: str | None,
    output_topic: str | None,
    group_id: str | None,
    rate: float | None,
    compares: bool,
    show_text: bool,
    as_json: bool,
    bootstrap_servers: str | None,
) -> int:
    """Classify again what came between two times, without touching the live workers.

    Results and the replay's own offsets commit in one transaction per batch: readers in
    read_committed see each event's result exactly once. After Ctrl-C, a kill or a broker's restart
    the same command goes on where it was, with the range and the model's version of its first
    start. Events that can't be classified are counted; the live dead letters have them.

    Exit codes: 0 finished, 1 failed, 2 wrong use, 3 another replay into the topic took over,
    4 transactions keep failing, 130 stopped by Ctrl-C or SIGTERM.
    """
    if context.invoked_subcommand:
        return 0
    if since is None or output_topic is None:
        raise click.UsageError("--from and --output-topic are needed.")
    from stream_worker.replay.plan import Offsets, Order, summary
    from stream_worker.replay.run import begin

    settings = _settings(bootstrap_servers, output_topic)
    _use_model(settings, model)
    order = Order(
        since, until, settings.model.uri, output_topic, _group(group_id, output_topic), rate
    )
    started = time.monotonic()
    with Offsets(settings, order.group_id) as offsets:
        running = begin(settings, order, offsets)
        _run_until_signal(running.run, running.stop.set)
    figures = summary(running.marks)
    if not as_json:
        click.echo(summary_text(output_topic, figures, time.monotonic() - started))
    if figures["finished"] and compares:
        figures["comparison"] = _compared(settings, output_topic, running.marks, show_text)
        if not as_json:
            click.echo(comparison_text(figures["comparison"]))
    if as_json:
        click.echo(json.dumps({"topic": output_topic, **figures}))
    return 0 if figures["finished"] else 130


@replay.command(short_help="How a replay's results differ from the live ones.")
@click.option("--output-topic", metavar="TOPIC", required=True, help="The replay's results.")
@group_option
@show_text_option
@json_option
@servers_option
def compare(
    output_topic: str,
    group_id: str | None,
    show_text: bool,
    as_json: bool,
    bootstrap_servers: str | None,
) -> None:
    """Compare a replay, finished or not, with the live results of the same events.

    Reads both topics and changes nothing. A live worker that is behind shows as results that only
    the replay has.
    """
    from stream_worker.replay.compare import known
    from stream_worker.replay.plan import Offsets

    settings = _settings(bootstrap_servers, output_topic)
    with Offsets(settings, _group(group_id, output_topic)) as offsets:
        marks = known(settings, output_topic, offsets)
    figures = _compared(settings, output_topic, marks, show_text)
    click.echo(json.dumps(figures) if as_json else comparison_text(figures))


def _settings(bootstrap_servers: str | None, output_topic: str) -> Settings:
    settings = Settings()
    settings.kafka = settings.kafka.replace(bootstrap_servers=bootstrap_servers)
    try:
        settings.topics.replace(results=output_topic)
    except SettingsError:
        raise InputError(
            f"{output_topic!r} is no name of a topic.",
            "Letters, digits, dots, underscores and hyphens, at most 249.",
        ) from None
    return settings


def _use_model(settings: Settings, model: str | None) -> None:
    if model is None:
        return
    try:
        settings.model = settings.model.replace(
            uri=model if model.startswith("models:/") else f"models:/{model}"
        )
    except SettingsError:
        raise InputError(
            f"--model {model!r} names no model.",
            "Give NAME@ALIAS, NAME/VERSION, or the same after models:/.",
        ) from None


def _group(group_id: str | None, output_topic: str) -> str:
    from stream_worker.replay.plan import PREFIX

    return group_id or PREFIX + output_topic


def _run_until_signal(run: Callable[[], None], stop: Callable[[], None]) -> None:
    """The first signal ends it after the present batch, the second one at once."""

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _compared(
    settings: Settings, output: str, marks: "dict[int, Mark]", show_text: bool
) -> dict[str, Any]:
    from sentiment.wire import Input
    from stream_worker.replay.compare import compare as compare_topics, text_of
    from stream_worker.replay.plan import summary

    replayed = summary(marks)
    told = {name: replayed[name] for name in ("model", "from", "to", "finished")}
    figures = {"topic": output} | told | compare_topics(settings, output, marks).as_dict()
    if show_text:
        for example in figures["examples"]:
            example["text"] = text_of(settings, Input(**example["input"]))
    return figures


# As many sources as a screen shows; `--json` has all of them.
SOURCES_SHOWN = 10


def summary_text(topic: str, summary: dict[str, Any], seconds: float) -> str:
    """One or two lines about a replay, from what `plan.summary` gives."""
    model = summary["model"]
    state = "Replayed" if summary["finished"] else "Stopped; the same command goes on. Replayed"
    text = (
        f"{state} {summary['events']:,} events into {topic} with {model['name']} version"
        f" {model['version']}: {summary['results']:,} results ({seconds:.1f} s)."
    )
    if summary["tombstones"]:
        text += f"\n{summary['tombstones']:,} had no value."
    if codes := summary["dead_letters"]:
        each = ", ".join(f"{count:,} {code}" for code, count in sorted(codes.items()))
        text += f"\n{sum(codes.values()):,} could not be classified: {each}."
    return text


def comparison_text(figures: dict[str, Any]) -> str:
    """A comparison's figures, as `as_dict` gives them, with examples' texts where they are."""
    return "\n".join(_lines(figures))


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    versions = figures["live_models"]
    live = ", ".join(f"version {version}: {count:,}" for version, count in sorted(versions.items()))
    yield f"Compared {figures['compared']:,} events with the live results ({live or 'none'})."
    if not figures["finished"]:
        yield "The replay is not finished; this is its part that is done."
    yield (
        f"Only live: {figures['only_live']:,}; only in the replay: {figures['only_replay']:,};"
        f" repeated live results passed over: {figures['repeated']:,}."
    )
    if not figures["compared"]:
        return
    changed = figures["changed"]
    each = ", ".join(f"{count:,} {direction}" for direction, count in sorted(changed.items()))
    yield (
        f"Agreement: {figures['agreement']:.2%}; {sum(changed.values()):,} decisions changed"
        + (f" ({each})." if each else ".")
    )
    difference = figures["score_difference"]
    mean, largest = difference["mean"], difference["largest"]
    yield f"Scores differ by {mean:.4f} on average, by {largest:.4f} at most."
    moved = [(name, each) for name, each in figures["by_source"].items() if each["changed"]]
    if moved:
        yield "Changed by source:"
    for name, counts in moved[:SOURCES_SHOWN]:
        yield f"  {name or '(none)'}: {counts['changed']:,} of {counts['compared']:,}"
    if len(moved) > SOURCES_SHOWN:
        yield f"  … and {len(moved) - SOURCES_SHOWN:,} more sources"
    if figures["examples"]:
        yield "Largest changes (live, replay):"
    for example in figures["examples"]:
        place = example["input"]
        yield (
            f"  {example['live']:.3f} {example['replay']:.3f}  {example['id']}"
            f"  ({place['topic']}, partition {place['partition']}, offset {place['offset']})"
        )
        if "text" in example:
            yield f"    {example['text'] if example['text'] is not None else '(gone)'}"
