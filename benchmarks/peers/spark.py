"""PySpark Structured Streaming: a pandas UDF asks the model per Arrow batch.

At least once: Spark's Kafka sink writes again what a failed micro-batch had written. Started by
`benchmarks.peers.spark_submit`, which gives it a Java.
"""

import tempfile
from collections.abc import Iterator

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, pandas_udf, struct, to_json, when

from benchmarks.peers import job


def score(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    """P(positive) of texts; the model is loaded once per task, as Spark's guide does it."""
    model = job.sklearn()
    for texts in batches:
        yield pd.Series(model(texts.tolist()))


def main() -> None:
    """Classify events without end."""
    args = job.arguments("pandas-udf")
    spark = SparkSession.builder.appName(args.name).getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    kafka = {"kafka.bootstrap.servers": args.servers}
    records = (
        spark.readStream.format("kafka")
        .options(**kafka, subscribe=args.events, startingOffsets="earliest")
        .load()
    )
    of_texts = pandas_udf(score, "double")
    event = from_json(col("value").cast("string"), "id string, text string")
    scored = records.select(event.alias("event")).select(
        col("event.id").alias("id"), of_texts(col("event.text")).alias("score")
    )
    sentiment = when(col("score") >= 0.5, "positive").otherwise("negative")  # noqa: PLR2004 - a probability
    result = struct("id", sentiment.alias("sentiment"), "score")
    with tempfile.TemporaryDirectory() as checkpoints:
        query = (
            scored.select(to_json(result).alias("value"))
            .writeStream.format("kafka")
            .options(**kafka, topic=args.output, checkpointLocation=checkpoints)
            .start()
        )
        query.awaitTermination()


if __name__ == "__main__":
    main()
