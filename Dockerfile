# The engine as one image: docker-compose.yml runs it as code location, UI and daemon.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GX_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    MARKETING_HOME=/var/lib/marketing \
    DAGSTER_HOME=/var/lib/marketing/dagster

RUN useradd --uid 10001 --create-home marketing \
    && install -d -o marketing -g marketing "$MARKETING_HOME"

WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps -r requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation -e .

USER marketing
# Migrates the warehouse and writes the Dagster instance before anything needs them, as `marketing up` does.
ENTRYPOINT ["/bin/sh", "-c", "marketing env >/dev/null && exec \"$0\" \"$@\""]
CMD ["marketing", "warehouse", "status"]
