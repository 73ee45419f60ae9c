#!/usr/bin/env bash
# Builds weft and shows the whole life of a change on three dry nodes in a
# temporary directory. Arguments go to `weft demo`, such as `--json`.
#
# Installs a C compiler, pkg-config and the headers of OpenSSL and zlib where they
# are missing, and nothing else. The network of this machine is not touched.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/prepare.sh
source "$root/tests/prepare.sh"

need_rust "$root"
need_packages gcc libc6-dev pkg-config libssl-dev zlib1g-dev

weft=(--locked --manifest-path "$root/Cargo.toml" --bin weft)
printf 'Building weft (some minutes the first time)\n' >&2
cargo build "${weft[@]}"
exec cargo run --quiet "${weft[@]}" -- demo "$@"
