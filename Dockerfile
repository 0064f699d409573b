# One image per app, all on the same base: docker build --target worker --tag sentiment-worker .
# Targets: worker, trends, web, trainer, mlflow. docs/deploy.md says how to run them.
#
# The build uses the base image, Debian's packages and the Python index. All three can be replaced, as by
# a company's mirror: --build-arg PYTHON_IMAGE=…, PIP_INDEX_URL=…, and for Debian a base image with
# other sources.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# What every image begins with.
FROM ${PYTHON_IMAGE} AS base
SHELL ["/bin/sh", "-euc"]
# Process 1 must forward signals and reap ended processes: Python does neither before an app has set up
# its handlers. The user is a number, so that runAsNonRoot can check it; its entry in /etc/passwd is for
# libraries that need a name.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
  && groupadd --gid 10001 sentiment \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin sentiment \
  && install --directory --owner=10001 --group=10001 /var/cache/sentiment /var/lib/sentiment
# The root file system may be read-only. The apps write to two places: /tmp, deleted with the container
# (small files of Faust), and MODEL_CACHE_DIR, for which a volume is recommended.
ENV PATH=/opt/sentiment/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/sentiment \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MODEL_CACHE_DIR=/var/cache/sentiment/models \
    MPLCONFIGDIR=/tmp/matplotlib \
    LOG_FORMAT=json

# Dependencies are installed here. The index's address and pip's files stay in these stages.
FROM base AS dependencies
RUN apt-get update && apt-get install --yes --no-install-recommends binutils \
  && rm -rf /var/lib/apt/lists/*
ARG PIP_INDEX_URL
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_PYTHON=/opt/venv/bin/python
RUN python -m venv --without-pip /opt/venv

# Our own code, the same layer in every image, beside what it depends on.
FROM dependencies AS package
COPY requirements/build.txt requirements/
RUN pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY local local
COPY producer producer
COPY trainer trainer
COPY web web
COPY stream_worker stream_worker
COPY sentiment sentiment
RUN /opt/venv/bin/python -m hatchling build --target wheel --directory wheels \
  && pip install --no-index --no-deps --target /opt/sentiment wheels/*.whl

# packages.json lists all Python packages of an image, with versions and licences.
# Each app that uses Kafka also gets what clusters may require: IAM of Amazon MSK, and traces.
FROM dependencies AS worker-dependencies
COPY requirements/worker.txt requirements/msk.txt requirements/tracing.txt requirements/trim.sh requirements/
RUN pip install --no-compile --require-hashes \
      -r requirements/worker.txt -r requirements/msk.txt -r requirements/tracing.txt \
  && pip inspect > /opt/venv/packages.json \
  && sh requirements/trim.sh /opt/venv

FROM dependencies AS trends-dependencies
COPY requirements/trends.txt requirements/msk.txt requirements/tracing.txt requirements/trim.sh requirements/
RUN pip install --require-hashes \
      -r requirements/trends.txt -r requirements/msk.txt -r requirements/tracing.txt \
  && pip inspect > /opt/venv/packages.json \
  && sh requirements/trim.sh /opt/venv

FROM dependencies AS web-dependencies
COPY requirements/web.txt requirements/msk.txt requirements/tracing.txt requirements/trim.sh requirements/
RUN pip install --require-hashes \
      -r requirements/web.txt -r requirements/msk.txt -r requirements/tracing.txt \
  && pip inspect > /opt/venv/packages.json \
  && sh requirements/trim.sh /opt/venv

FROM dependencies AS trainer-dependencies
COPY requirements/trainer.txt requirements/
RUN pip install --require-hashes -r requirements/trainer.txt && pip inspect > /opt/venv/packages.json

FROM dependencies AS mlflow-dependencies
COPY requirements/mlflow.txt requirements/
RUN pip install --require-hashes -r requirements/mlflow.txt && pip inspect > /opt/venv/packages.json

# The scorer's native code, for any processor of this architecture: made for the builder's own processor,
# it would be 7 % faster but not run on every other one. docs/performance.md has the figures. Numba and
# LLVM, which compile it, stay in this stage.
FROM worker-dependencies AS native
RUN apt-get update && apt-get install --yes --no-install-recommends g++ \
  && rm -rf /var/lib/apt/lists/*
COPY requirements/aot.txt requirements/
RUN pip install --no-compile --no-deps --require-hashes --target /opt/aot -r requirements/aot.txt
COPY --from=package /opt/sentiment /opt/sentiment
RUN PYTHONPATH=/opt/sentiment:/opt/aot python -m sentiment.model.compiled.aot /opt/native \
  && strip --strip-unneeded /opt/native/*.so
# The byte code of the modules that a worker imports (of all modules it would be 130 MB), and a first text
# that is scored.
ENV PYTHONPATH=/opt/sentiment:/opt/native PYTHONDONTWRITEBYTECODE=
RUN python -c 'import mlflow.artifacts, mlflow.tracking, stream_worker.command, stream_worker.worker, sentiment.health; \
      from sentiment.registry.artifact import open_model; \
      from sentiment.registry.publish import bundled_model; \
      open_model(bundled_model()).explain(["Not a bad word about it."])'

# The stages from here on are the images.
FROM base AS app
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sentiment-stream" \
      org.opencontainers.image.description="Streaming sentiment classification on Apache Kafka, exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["tini", "--"]
USER 10001:10001
WORKDIR /var/lib/sentiment

FROM app AS worker
COPY --from=native /opt/venv /opt/venv
COPY --from=native /opt/native /opt/native
COPY --from=package /opt/sentiment /opt/sentiment
ENV PYTHONPATH=/opt/sentiment:/opt/native \
    WORKER_HTTP_HOST=0.0.0.0 WORKER_HTTP_PORT=9464
EXPOSE 9464
# The very first start fetches a model and compiles it: seconds, or minutes on a busy laptop. A container
# that is healthy sooner is reported healthy at once.
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 \
  CMD ["sh", "-c", "exec python -m sentiment.healthcheck http://127.0.0.1:${WORKER_HTTP_PORT}/readyz"]
CMD ["sentiment", "worker"]

FROM app AS trends
COPY --from=trends-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
ENV TRENDS_HTTP_HOST=0.0.0.0 TRENDS_HTTP_PORT=6066
EXPOSE 6066
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 \
  CMD ["sh", "-c", "exec python -m sentiment.healthcheck http://127.0.0.1:${TRENDS_HTTP_PORT}/livez"]
CMD ["sentiment", "trends"]

FROM app AS web
COPY --from=web-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
ENV WEB_HOST=0.0.0.0 WEB_PORT=5000
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 \
  CMD ["sh", "-c", "exec python -m sentiment.healthcheck http://127.0.0.1:${WEB_PORT}/readyz"]
CMD ["sentiment", "web"]

# Runs once and ends, so it has no health check. Inputs, models and figures are in its working directory,
# a volume; the pipeline's files are in the image, to be copied there or replaced.
FROM app AS trainer
COPY --from=trainer-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
COPY params.yaml dvc.yaml /opt/pipeline/
ENV DVC_SITE_CACHE_DIR=/tmp/dvc DVC_NO_ANALYTICS=1 NUMBA_CACHE_DIR=/var/cache/sentiment/native
HEALTHCHECK NONE
CMD ["sentiment", "--help"]

# The registry's server. It proxies models, so that only the server must reach the store.
FROM app AS mlflow
COPY --from=mlflow-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
ENV MLFLOW_BACKEND_STORE_URI=sqlite:////var/lib/sentiment/mlflow.db \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 \
  CMD ["python", "-m", "sentiment.healthcheck", "http://127.0.0.1:5000/health"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
