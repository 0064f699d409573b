"""The same job in other stream processors, each as its own users write it.

Each runs in an environment of its own (`benchmarks.candidates`), takes the arguments that
`job.arguments` reads, and works without end until it is killed.

- `job`: what all share
- `faust`: Faust
- `quix`: Quix Streams
- `bytewax`: Bytewax
- `spark`: Spark
- `spark_submit`: starts Spark
"""
