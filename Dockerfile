# One image per app, all on the same base: docker build --target worker --tag sentiment-worker .
# Targets: worker, trends, web, trainer, mlflow. docs/deploy.md says how to run them.
#
# Nothing but the base image, Debian's packages and the Python index is asked for. All three can be
# others, as behind a company's mirror: --build-arg PYTHON_IMAGE=…, PIP_INDEX_URL=…, and for Debian
# a base image whose sources say so.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# What every image begins with.
FROM ${PYTHON_IMAGE} AS base
SHELL ["/bin/sh", "-euc"]
# Process 1 must pass signals on, and collect what has ended: Python alone does neither before an app
# has set its handlers up. Who we are is a number, so that runAsNonRoot can see it; its entry in
# /etc/passwd is for libraries that ask for a name.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
  && groupadd --gid 10001 sentiment \
  && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin sentiment \
  && install --directory --owner=10001 --group=10001 /var/cache/sentiment /var/lib/sentiment
# The root file system may be read-only. What is written goes to two places: /tmp, gone with the
# container (small files of Faust), and MODEL_CACHE_DIR, which is worth a volume.
ENV PATH=/opt/sentiment/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/sentiment \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MODEL_CACHE_DIR=/var/cache/sentiment/models \
    MPLCONFIGDIR=/tmp/matplotlib \
    LOG_FORMAT=json

# Where dependencies are installed. An index's address and what pip keeps stay in these stages.
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

# packages.json is the list of all that is in an image, with versions and licences, as pip knows it.
# What clusters may ask for goes along with each app of Kafka's: IAM of Amazon MSK, and traces.
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

# The scorer's native code, for any processor of this kind: made for the builder's own, it would not
# run on each other model, and be 7 % faster. docs/performance.md has the figures. What makes it,
# Numba with the whole of LLVM, stays here.
FROM worker-dependencies AS native
RUN apt-get update && apt-get install --yes --no-install-recommends g++ \
  && rm -rf /var/lib/apt/lists/*
COPY requirements/aot.txt requirements/
RUN pip install --no-compile --no-deps --require-hashes --target /opt/aot -r requirements/aot.txt
COPY --from=package /opt/sentiment /opt/sentiment
RUN PYTHONPATH=/opt/sentiment:/opt/aot python -m sentiment.model.compiled.aot /opt/native \
  && strip --strip-unneeded /opt/native/*.so
# The byte code of what a worker imports: all of it would be 130 MB. And a first answer.
ENV PYTHONPATH=/opt/sentiment:/opt/native PYTHONDONTWRITEBYTECODE=
RUN python -c 'import mlflow.artifacts, mlflow.tracking, stream_worker.command, stream_worker.worker, sentiment.health; \
      from sentiment.registry.artifact import open_model; \
      from sentiment.registry.publish import bundled_model; \
      open_model(bundled_model()).explain(["Not a bad word about it."])'

# From here on, what is shipped.
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
# The first start of all fetches a model and compiles it: seconds, or minutes on a busy laptop. What is
# healthy sooner is told so at once.
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

# Runs once and ends, so there is no health to ask for. Inputs, models and figures are in its working
# directory, a volume; the pipeline's files stand in the image, to be copied there or replaced.
FROM app AS trainer
COPY --from=trainer-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
COPY params.yaml dvc.yaml /opt/pipeline/
ENV DVC_SITE_CACHE_DIR=/tmp/dvc DVC_NO_ANALYTICS=1 NUMBA_CACHE_DIR=/var/cache/sentiment/native
HEALTHCHECK NONE
CMD ["sentiment", "--help"]

# The registry's server. It hands models through itself, so that only it must reach the store.
FROM app AS mlflow
COPY --from=mlflow-dependencies /opt/venv /opt/venv
COPY --from=package /opt/sentiment /opt/sentiment
ENV MLFLOW_BACKEND_STORE_URI=sqlite:////var/lib/sentiment/mlflow.db \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 \
  CMD ["python", "-m", "sentiment.healthcheck", "http://127.0.0.1:5000/health"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
