#!/usr/bin/env bash
# A real NetBox on this machine for as long as a command runs:
#
#   tests/netbox/server.sh reason           why it cannot run here; nothing where it can
#   tests/netbox/server.sh install          installs it where it is not yet
#   tests/netbox/server.sh run COMMAND…     runs a command with a NetBox of its own
#
# The command finds the port and a token in the file that WEFT_NETBOX names. The database
# begins as `netbox-4.7.3.dump`, which is what NetBox itself makes of an empty one in ten
# minutes (`netbox migrate`, then `pg_dump -Fc --no-owner`); it holds no user and no secret.
# PostgreSQL and Redis are processes of their own, reached by nobody else; all of it lies
# below a directory that goes, but for the installation, which is kept.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=4.7.3
dump=$here/netbox-$version.dump
cache=${WEFT_NETBOX_CACHE:-/var/tmp/weft-lab/netbox-$version}

# NetBox needs 3.12 or later, which need not be the system's.
find_python() {
    local python
    for python in "$(command -v python3 || true)" "$HOME"/.pyenv/versions/3.*/bin/python3; do
        if [[ -x $python ]] && "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
}

postgres=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1)
postgres=${postgres%/initdb}

reason() {
    local tool
    if [[ -z $(find_python) ]]; then
        echo "no Python of 3.12 or later is installed, which NetBox needs"
        return
    fi
    if [[ -z $postgres ]]; then
        echo "PostgreSQL is not installed (\`apt-get install postgresql\`)"
        return
    fi
    for tool in redis-server pg_config gcc curl; do
        if ! command -v "$tool" >/dev/null; then
            echo "\`$tool\` is not installed (\`apt-get install postgresql redis-server libpq-dev gcc curl\`)"
            return
        fi
    done
}

install() {
    local python
    mkdir -p "$(dirname "$cache")"
    # Whoever comes second waits for the first.
    exec 9>"$cache.lock"
    flock 9
    if [[ -x $cache/bin/netbox ]]; then return; fi
    python=$(find_python)

    rm -rf "$cache"
    "$python" -m venv "$cache"
    "$cache/bin/pip" install --quiet --disable-pip-version-check "netbox==$version" || {
        rm -rf "$cache"
        return 1
    }
}

free_port() {
    "$cache/bin/python" -c 'import socket
with socket.socket() as it:
    it.bind(("127.0.0.1", 0))
    print(it.getsockname()[1])'
}

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > until)); then
            echo "not within time: $*" >&2
            return 1
        fi
        sleep 0.2
    done
}

pids=()
root=
stop() {
    local at
    for ((at = ${#pids[@]} - 1; at >= 0; at--)); do kill "${pids[at]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [[ -n $root ]]; then rm -rf "$root"; fi
}

run() {
    local secret database redis http
    install
    root=$(mktemp -d)
    trap stop EXIT
    trap 'exit 130' INT TERM
    chmod 755 "$root"
    mkdir "$root/database" "$root/conf"

    # PostgreSQL does not run as root.
    local as=()
    if ((EUID == 0)); then
        as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
        chown postgres "$root/database"
    fi
    database=$(free_port)
    "${as[@]}" "$postgres/initdb" --pgdata="$root/database/data" --auth=trust --username=netbox \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$root/initdb.log" 2>&1
    "${as[@]}" "$postgres/postgres" -D "$root/database/data" -k "$root/database" -p "$database" \
        -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
        -c shared_buffers=32MB >"$root/database.log" 2>&1 &
    pids+=($!)
    redis=$(free_port)
    redis-server --bind 127.0.0.1 --port "$redis" --save '' --appendonly no --dir "$root" \
        >"$root/redis.log" 2>&1 &
    pids+=($!)
    wait_for 30 "$postgres/pg_isready" -q -h "$root/database" -p "$database"
    local to=(-h "$root/database" -p "$database" -U netbox)
    "$postgres/createdb" "${to[@]}" netbox
    "$postgres/pg_restore" "${to[@]}" -d netbox --no-owner -j2 "$dump"

    secret=$("$cache/bin/python" -c 'import secrets; print(secrets.token_urlsafe(60))')
    touch "$root/conf/__init__.py"
    cat >"$root/conf/configuration.py" <<EOF
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "netbox", "USER": "netbox",
    "PASSWORD": "", "HOST": "$root/database", "PORT": "$database", "CONN_MAX_AGE": 300,
}}
REDIS = {name: {
    "HOST": "127.0.0.1", "PORT": $redis, "USERNAME": "", "PASSWORD": "", "DATABASE": number,
    "SSL": False,
} for number, name in enumerate(("tasks", "caching"))}
SECRET_KEY = "$secret"
API_TOKEN_PEPPERS = {1: "$secret"}
CENSUS_REPORTING_ENABLED = False
RELEASE_CHECK_URL = None
ISOLATED_DEPLOYMENT = True
EOF
    export NETBOX_ROOT=$root
    http=$(free_port)
    "$cache/bin/gunicorn" netbox.wsgi --bind "127.0.0.1:$http" --preload --workers 2 --threads 2 \
        --timeout 120 >"$root/netbox.log" 2>&1 &
    pids+=($!)
    "$cache/bin/netbox" shell --interface python -v 0 >"$root/token" 2>"$root/shell.log" <<'EOF'
from users.models import Token, User
user = User.objects.create(username="tests", is_superuser=True)
token = Token(user=user, version=2)
token.save()
print(f"TOKEN=nbt_{token.key}.{token.token}")
EOF
    { printf 'PORT=%s\n' "$http" && grep '^TOKEN=' "$root/token"; } >"$root/access" || {
        cat "$root/shell.log" >&2
        return 1
    }
    wait_for 90 curl --fail --silent --noproxy '*' "http://127.0.0.1:$http/api/status/" \
        --header "Authorization: Bearer $(sed -n 's/^TOKEN=//p' "$root/access")" || {
        tail -20 "$root/netbox.log" >&2
        return 1
    }
    WEFT_NETBOX=$root/access "$@"
}

case ${1:-} in
reason) reason ;;
install) install ;;
run)
    shift
    run "$@"
    ;;
*)
    sed -n '2,/^set /{ /^set /d; s/^# \{0,1\}//; p; }' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
