#!/usr/bin/env bash
# Measures the native engine beside `ifreload -a` and `ip -batch`, on nodes that are made
# for it and thrown away, and puts the table into README.md between `<!-- engines -->` and
# `<!-- /engines -->`.
#
# Needs root, mmdebstrap and a kernel with network namespaces; takes some 20 minutes, most of
# them ifupdown2's. Another load on the machine spoils it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$root"
cargo build --release --locked
LAB_PROGRAM=$PWD/target/release/weft cargo test --locked --test lab -- --verbose \
    speed_of_one_change speed_from_nothing speed_from_push speed_at_rest >"$work/log" 2>&1 || {
    tail -40 "$work/log" >&2
    exit 1
}
{
    printf '<!-- engines -->\n| what | native | the other | ratio |\n| --- | ---: | ---: | ---: |\n'
    sed -n 's/^.*TABLE \(|.*\)$/\1/p' "$work/log"
    # shellcheck disable=SC2016 # backquotes of Markdown
    printf '\nweft %s, Linux %s, ifupdown2 3.0.0, %s cores; made by `benches/engines.sh`.\n<!-- /engines -->\n' \
        "$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)" "$(uname -r | sed 's,-.*,,')" "$(nproc)"
} >"$work/table"
cat "$work/table"
awk -v table="$work/table" '
    /^<!-- engines -->$/ { while ((getline line <table) > 0) print line; hidden = 1 }
    !hidden { print }
    /^<!-- \/engines -->$/ { hidden = 0 }' README.md >"$work/readme"
cmp -s "$work/readme" README.md || cp "$work/readme" README.md
