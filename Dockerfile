# The service; docs/server.md says how to run it.
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ cmake ninja-build
COPY . /source
RUN pip wheel --no-cache-dir --wheel-dir /wheels "/source[server]"

FROM python:3.13-slim
RUN --mount=from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "bigsharp[server]" \
    && useradd --system --no-create-home bigsharp
USER bigsharp
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
# Not through a shell: SIGTERM goes to the service itself.
ENTRYPOINT ["bigsharp", "serve", "--host", "0.0.0.0"]
