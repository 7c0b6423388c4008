#!/usr/bin/env bash
# Gets the base images of our containers. Those that are neither here nor can be pulled are made from this machine's
# Debian mirror and Go toolchain, as far as our files use them. They have the label of the next line:
#   docker rmi $(docker images -q -f label=runnerbean.stand-in)
# It needs root where debian is to be made.
set -euo pipefail
cd "$(dirname "$0")/../.."
label='LABEL runnerbean.stand-in=true'
apt='RUN apt-get update && apt-get install -y --no-install-recommends'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# debian makes an image whose apt has the mirror and the settings of this machine.
debian() {
	command -v debootstrap >/dev/null || make --no-print-directory apt PACKAGES=debootstrap
	local suite=${1#*:} mirror
	suite=${suite%-slim}
	# shellcheck disable=SC2016 # apt replaces them
	mirror=$(apt-get indextargets --format '$(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' | awk -v suite="$suite" '$1 == "main" && $2 == suite {print $3; exit}')
	[[ $mirror ]] || { echo "apt on this machine has no sources of $suite" >&2; return 1; }
	debootstrap --variant=minbase "$suite" "$work/debian" "$mirror" >"$work/log" || { tail "$work/log" "$work/debian/debootstrap/debootstrap.log" >&2; return 1; }
	apt-config dump Acquire | grep -v IndexTargets >"$work/debian/etc/apt/apt.conf.d/90machine"
	rm -rf "$work/debian/var/cache/apt/archives"/*.deb "$work/debian/var/lib/apt/lists"/*
	tar -cC "$work/debian" . | docker import -c "$label" -c 'CMD ["bash"]' - "$1"
	rm -rf "$work/debian"
}

# golang has the modules that "make build" needs, so that a build loads only those that are new.
golang() {
	local version=${1#*:} root
	[[ $(go env GOVERSION) == "go${version%%-*}"* ]] || { echo "$1 cannot be made from $(go env GOVERSION)" >&2; return 1; }
	root=$(go env GOROOT)
	GOMODCACHE=$work/mod GOFLAGS=-modcacherw GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" go list -deps ./cmd/runnerbean ./examples/{website,demo,forecast} >/dev/null
	cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$work/ca-certificates.crt"
	cat >"$work/Dockerfile" <<END
FROM $debian
$label
$apt ca-certificates git make && rm -rf /var/lib/apt/lists/*
COPY ca-certificates.crt /etc/ssl/certs/
ENV GOPATH=/go GOTOOLCHAIN=local GOPROXY="$(go env GOPROXY)" GOSUMDB="$(go env GOSUMDB)" PATH=/usr/local/go/bin:\$PATH
COPY $(basename "$root") /usr/local/go
COPY mod /go/pkg/mod
END
	tar -c -C "$work" Dockerfile ca-certificates.crt mod -C "$(dirname "$root")" "$(basename "$root")" | docker build -q -t "$1" -
	rm -rf "$work/mod"
}

# postgres takes POSTGRES_USER and POSTGRES_PASSWORD, and needs no root.
postgres() {
	local version=${1#*:}
	version=${version%%-*}
	cat >"$work/entrypoint" <<'END'
#!/bin/bash
set -euo pipefail
if [[ ! -s $PGDATA/PG_VERSION ]]; then
	initdb -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	printf 'CREATE DATABASE "%s"\n' "$POSTGRES_USER" | postgres --single -j -D "$PGDATA" postgres
fi
unset POSTGRES_PASSWORD
exec postgres -c listen_addresses='*'
END
	cat >"$work/Dockerfile" <<END
FROM $debian
$label
RUN mkdir /etc/postgresql-common && echo create_main_cluster = false >/etc/postgresql-common/createcluster.conf
$apt postgresql-$version && rm -rf /var/lib/apt/lists/* && install -d -o postgres -g postgres -m 3777 /var/lib/postgresql/data /var/run/postgresql
ENV PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/$version/bin:\$PATH
VOLUME /var/lib/postgresql/data
COPY entrypoint /usr/local/bin/
STOPSIGNAL SIGINT
ENTRYPOINT ["bash", "/usr/local/bin/entrypoint"]
END
	tar -cC "$work" Dockerfile entrypoint | docker build -q -t "$1" -
}

haproxy() {
	docker build -q -t "$1" - <<END
FROM $debian
$label
$apt haproxy && rm -rf /var/lib/apt/lists/*
USER haproxy
STOPSIGNAL SIGUSR1
CMD ["/usr/sbin/haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
END
}

versity/versitygw() {
	GOBIN=$work CGO_ENABLED=0 GOFLAGS=-trimpath go install "github.com/versity/versitygw/cmd/versitygw@${1#*:}"
	cat >"$work/Dockerfile" <<END
FROM $debian
$label
$apt wget && rm -rf /var/lib/apt/lists/*
COPY versitygw /usr/local/bin/
ENTRYPOINT ["versitygw"]
END
	tar -cC "$work" Dockerfile versitygw | docker build -q -t "$1" -
}

get() {
	docker image inspect "$1" >/dev/null 2>&1 && return
	local why
	why=$(timeout 600 docker pull -q "$1" 2>&1) && return
	echo "$1 cannot be pulled (${why##*$'\n'}): making a stand-in"
	"${1%%:*}" "$1" >/dev/null
}

# Debian comes first, because the others are made from it.
images=$(sed -nE 's/^(FROM| *image:) ([^ ]+:[^ ]+).*/\2/p' Dockerfile docker-compose.yml examples/pool/docker-compose.yml | sort -u)
debian=$(grep ^debian: <<<"$images")
get "$debian"
for image in $images; do get "$image"; done
