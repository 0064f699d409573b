"""What a person reads at the end of a replay and of a comparison."""

from collections.abc import Iterator
from typing import Any

# As many sources as a screen has room for; `--json` has all of them.
SOURCES_SHOWN = 10


def summary_text(topic: str, summary: dict[str, Any], seconds: float) -> str:
    """One or two lines about a replay.

    Args:
        topic: The output topic.
        summary: As `plan.summary` gives it.
        seconds: How long this run took.
    """
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
