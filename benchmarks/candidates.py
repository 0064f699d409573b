"""Who is measured: our own two, and the peers with each way of asking the model."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from sentiment.errors import SetupError

COPY, WORKER = "bare transactional copy loop", "worker"
PEERS_FOLDER = Path(__file__).parent / "peers"
# As many cores as every candidate has: Spark's threads are told, the others take what is there.
SPARK = ("--master", "local[2]", "--conf", "spark.ui.enabled=false")


@dataclass(frozen=True)
class Peer:
    """One way of doing the job in another stream processor.

    Attributes:
        name: In the table.
        environment: Whose requirements it needs: `requirements/peers/NAME.txt`.
        how: How it asks the model, in the words of its command line.
        by_group: Whether offsets committed to Kafka count as its progress; else what it has
            written does, since it commits rarely or keeps its offsets elsewhere.
        guarantee: What its results are worth after a kill.
    """

    name: str
    environment: str
    how: str
    by_group: bool = False
    guarantee: str = "at least once"


PEERS = (
    Peer("Quix Streams, per event", "quix", "per-event", by_group=True, guarantee="exactly once"),
    Peer(
        "Quix Streams, our compiled model",
        "quix",
        "sink-compiled",
        by_group=True,
        guarantee="exactly once",
    ),
    Peer("Faust, per event", "faust", "per-event"),
    Peer("Faust, take(1000)", "faust", "take"),
    Peer("Faust, take(1000), our compiled model", "faust", "take-compiled"),
    Peer("Bytewax, batches of 1,000", "bytewax", "batches"),
    Peer("PySpark, pandas UDF", "spark", "pandas-udf"),
)
NAMES = tuple(dict.fromkeys(peer.environment for peer in PEERS))


@dataclass(frozen=True)
class Ready:
    """A peer whose environment is there."""

    peer: Peer
    python: Path
    jars: tuple[Path, ...] = ()

    def command(self, servers: str, events: str, output: str, name: str) -> list[str]:
        """How it is started.

        Args:
            servers: Kafka's addresses.
            events: The topic to read.
            output: The topic to write.
            name: Its consumer group, or what it has in the place of one.
        """
        arguments = [servers, events, output, name, self.peer.how]
        module = f"benchmarks.peers.{self.peer.environment}"
        if self.peer.environment != "spark":
            return [str(self.python), "-m", module, *arguments]
        given = ("--jars", ",".join(map(str, self.jars)), str(PEERS_FOLDER / "spark.py"))
        submit = "benchmarks.peers.spark_submit"
        return [str(self.python), "-m", submit, *SPARK, *given, *arguments]


def prepare(names: Iterable[str], left_out: dict[str, str]) -> list[Ready]:
    """Make the environments of peers.

    Args:
        names: Those wanted, of `NAMES`.
        left_out: Told why a peer can't be had, by its name in the table.
    """
    ready: list[Ready] = []
    for name in names:
        peers = [peer for peer in PEERS if peer.environment == name]
        try:
            python = environments.ensure(name)
            jars = tuple(environments.spark_jars()) if name == "spark" else ()
        except SetupError as error:
            left_out.update(dict.fromkeys((peer.name for peer in peers), error.message))
        else:
            ready += [Ready(peer, python, jars) for peer in peers]
    return ready
