# latent3d with everything that requirements.lock pins; docs/cluster.md says how to run it.
#   docker build --build-arg COMMIT="$(git describe --always --dirty)" -t latent3d .
FROM python:3.12-slim-bookworm

# What wheels take from the system: RDKit draws with these libraries.
RUN apt-get update && \
    apt-get install -y --no-install-recommends libexpat1 libxext6 libxrender1 && \
    rm -rf /var/lib/apt/lists/*

WORKDIR /opt/latent3d

# A layer of its own: made again only when the lock changes.
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check -r requirements.lock

COPY pyproject.toml README.md LICENSE Snakefile config.yaml ./
COPY config config
COPY envs envs
COPY profiles/default profiles/default
COPY resources resources
COPY workflow workflow
COPY src src
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e .

# Which code this is, for run.json: there is no git repository in the image.
ARG COMMIT=""
# Caches go where any user may write, since results belong to the user who runs the container.
ENV LATENT3D_COMMIT=$COMMIT XDG_CACHE_HOME=/tmp/latent3d-cache MPLCONFIGDIR=/tmp/latent3d-cache/matplotlib HOME=/tmp

# Results, checkpoints and logs are written here: mount a folder.
WORKDIR /work
CMD ["snakemake", "-s", "/opt/latent3d/Snakefile", "--cores", "all", "--configfile", "/opt/latent3d/config/quickstart.yaml"]
