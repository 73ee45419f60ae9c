#!/usr/bin/env bash
# Measures weft as a whole process, from YAML files to the files of one node, and puts
# the table into README.md between `<!-- process -->` and `<!-- /process -->`.
#
# Each row is one `weft render` of EVPN vnets with one subnet each: the shortest of five
# runs, and the most memory that a run held. Needs bash, awk and GNU time (Debian: time).
# With WEFT=FILE that program is measured instead of one that is built.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runs=5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v /usr/bin/time >/dev/null || {
    printf 'error: /usr/bin/time is missing (Debian: apt-get install time)\n' >&2
    exit 1
}
weft=${WEFT:-$root/target/release/weft}
if [[ -z ${WEFT:-} ]]; then
    cargo build --release --locked --manifest-path "$root/Cargo.toml" --bin weft >&2
fi

# repository DIRECTORY VNETS
repository() {
    mkdir -p "$1/sdn" "$1/facts"
    printf 'weft: 1\ncluster: bench\n' >"$1/weft.yaml"
    cat >"$1/sdn/head.yaml" <<'END'
nodes: {node1: {address: 192.168.0.1}, node2: {address: 192.168.0.2}}
controllers: {ctl: {type: evpn, asn: 65000}}
zones: {big: {type: evpn, controller: ctl, vrf-vxlan: 1, mac: "BC:24:11:00:00:01"}}
END
    awk -v count="$2" -v directory="$1/sdn" 'BEGIN {
        for (n = 0; n < count; n++) {
            file = sprintf("%s/vnets-%d.yaml", directory, n / 1000)
            if (n % 1000 == 0) print "vnets:" >file
            printf "  v%05d:\n    zone: big\n    tag: %d\n    subnets:\n", n, n + 10 >file
            printf "      10.%d.%d.0/24: {gateway: 10.%d.%d.1}\n", n / 256, n % 256, n / 256, n % 256 >file
        }
    }'
    cat >"$1/facts/node1.json" <<'END'
{"format": 2, "node": "node1",
 "addresses": [{"interface": "vmbr0", "address": "192.168.0.1"}],
 "routes": [{"destination": "0.0.0.0/0", "interface": "vmbr0", "source": "192.168.0.1", "metric": 0}],
 "frr": {}}
END
}

row() {
    local vnets=$1 best_time="" most=0 seconds memory lines
    repository "$work/$vnets" "$vnets"
    for ((run = 0; run < runs; run++)); do
        /usr/bin/time -f '%e %M' -o "$work/time" "$weft" render "$work/$vnets" --node node1 \
            --facts "$work/$vnets/facts/node1.json" --out "$work/out" >/dev/null
        read -r seconds memory <"$work/time"
        if [[ -z $best_time ]] || awk "BEGIN { exit !($seconds < $best_time) }"; then best_time=$seconds; fi
        if ((memory > most)); then most=$memory; fi
    done
    lines=$(find "$work/out" -type f -exec cat {} + | wc -l)
    printf '| %d | %d | %.0f ms | %d MiB |\n' "$vnets" "$lines" \
        "$(awk "BEGIN { print $best_time * 1000 }")" "$((most / 1024))"
}

{
    printf '<!-- process -->\n| vnets | lines of output | whole process | memory |\n| ---: | ---: | ---: | ---: |\n'
    for vnets in 1000 4000 8000 16000; do row "$vnets"; done
    # shellcheck disable=SC2016 # backquotes of Markdown
    printf '\n%s; %s cores; made by `benches/process.sh`.\n<!-- /process -->\n' \
        "$("$weft" --version)" "$(nproc)"
} >"$work/table"
cat "$work/table"
awk -v table="$work/table" '
    /^<!-- process -->$/ { while ((getline line <table) > 0) print line; hidden = 1 }
    !hidden { print }
    /^<!-- \/process -->$/ { hidden = 0 }' "$root/README.md" >"$work/readme"
cmp -s "$work/readme" "$root/README.md" || cp "$work/readme" "$root/README.md"
