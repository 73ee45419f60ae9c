# What the scripts of this repository need of a machine. Sourced, never run.
# shellcheck shell=bash

# fail MESSAGE: says why nothing goes on, and ends the script.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need_rust DIRECTORY: a Rust that is new enough for the crate in DIRECTORY.
need_rust() {
    local wanted found tool
    if ! command -v cargo >/dev/null && [[ -x ${HOME:-}/.cargo/bin/cargo ]]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$1/Cargo.toml")
    for tool in cargo rustc; do
        command -v "$tool" >/dev/null ||
            fail "there is no $tool here: install Rust $wanted or later with rustup, then run this again"
    done
    found=$(rustc --version | cut -d ' ' -f 2)
    [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]] ||
        fail "rustc $found is too old, weft needs $wanted or later: run \`rustup update\`, then run this again"
}

# need_packages NAME…: what these Debian packages bring, installed where it is
# missing. Touches nothing when all of it is there, so it also works offline.
need_packages() {
    local missing=()
    read -ra missing <<<"$(missing_packages "$@")"
    ((${#missing[@]} == 0)) && return
    command -v apt-get >/dev/null ||
        fail "install what Debian has in ${missing[*]}, then run this again (there is no apt-get here to do it)"

    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            fail "run \`apt-get install ${missing[*]}\` as root, then run this again (there is no sudo here to do it)"
        as_root=(sudo)
        printf 'Installing with sudo: apt-get install %s\n' "${missing[*]}" >&2
    else
        printf 'Installing: apt-get install %s\n' "${missing[*]}" >&2
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3)
    # Old lists may do; if they do not, the installation says so.
    "${apt[@]}" update >&2 || printf 'warning: the lists of packages could not be renewed\n' >&2
    "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >&2 </dev/null ||
        fail "the packages could not be installed: ${missing[*]}"
    read -ra missing <<<"$(missing_packages "${missing[@]}")"
    ((${#missing[@]} == 0)) || fail "still missing after the installation: ${missing[*]}"
}

# missing_packages NAME…: those of the packages whose contents are not there,
# however they came: by what they are for, and not by a package manager's list.
missing_packages() {
    local package
    for package in "$@"; do
        case $package in
        gcc) command -v gcc ;;
        libc6-dev) printf 'int main(void) { return 0; }\n' | cc -x c -o /dev/null - ;;
        libssl-dev) pkg-config --exists openssl ;;
        zlib1g-dev) pkg-config --exists zlib ;;
        openssh-client) command -v ssh-keygen ;;
        iproute2) command -v ip ;;
        util-linux) command -v unshare && command -v nsenter ;;
        postgresql) ls /usr/lib/postgresql/*/bin/initdb ;;
        libpq-dev) command -v pg_config ;;
        pdns-server) command -v pdns_server ;;
        pdns-backend-sqlite3) ls /usr/lib/*/pdns/libgsqlite3backend.so ;;
        pdns-backend-lmdb) ls /usr/lib/*/pdns/liblmdbbackend.so ;;
        debian-archive-keyring) ls /usr/share/keyrings/debian-archive-keyring.* ;;
        *) command -v "$package" ;;
        esac >/dev/null 2>&1 || printf '%s ' "$package"
    done
}
