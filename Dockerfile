# One image, one command: `nightscore`.
#
#   docker build -t nightscore .
#   docker build -t nightscore:gpu --build-arg LOCK=requirements-gpu.lock \
#       --build-arg EXTRAS="--extra s3 --extra lake --extra lakehouse --extra dask --extra gpu" .
#   docker run --rm -v "$PWD:/nights" nightscore run --date 2018-07-25
#
# /nights is the folder of nightscore.toml. The warehouse (a DuckDB file) and the files folder are created in
# it, so it must be writable by user 1000, or by the user of --build-arg USER_ID. Mount data from elsewhere in
# it, read-only: -v /exports/transactions:/nights/transactions:ro. The GPU image needs --gpus all.
# Secrets are never part of the image: pass the variables that nightscore.toml and S3 need with --env-file.

FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV VIRTUAL_ENV=/opt/nightscore UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
RUN python -m venv --without-pip /opt/nightscore
COPY pyproject.toml requirements.lock requirements-gpu.lock ./
ARG LOCK=requirements.lock EXTRAS="--extra s3 --extra lake --extra lakehouse --extra dask"
# The lock is a constraint: its versions and hashes apply, but only packages that are needed to run are
# installed.
RUN uv pip install --require-hashes --constraints $LOCK --requirements pyproject.toml $EXTRAS
COPY README.md LICENSE ./
COPY nightscore nightscore
COPY flows flows
COPY tasks tasks
COPY models models
COPY sql sql
RUN uv build --wheel --require-hashes --build-constraints requirements.lock --out-dir dist && uv pip install --no-deps dist/nightscore-*.whl

FROM python:3.11-slim
ARG USER_ID=1000
RUN useradd --uid $USER_ID --create-home nightscore && mkdir /nights && chown nightscore /nights
# libgomp1: what LightGBM, the library of the head, is linked with
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/nightscore /opt/nightscore
ENV PATH=/opt/nightscore/bin:$PATH PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 GX_ANALYTICS_ENABLED=false
USER nightscore
WORKDIR /nights
VOLUME /nights
ENTRYPOINT ["nightscore"]
