"""The same job in other stream processors, each as its own users write it.

Each runs in an environment of its own (`benchmarks.environments`), takes the arguments that
`job.arguments` reads, and works without end until it is killed.
"""
