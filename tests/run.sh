#!/usr/bin/env bash
# Everything that must hold before a change is accepted: format, lints, docs,
# tests, the demo, and dependencies where cargo-deny is there.
#
# Works on a Debian machine with Rust and nothing else, as root or with sudo, with
# no terminal; installs only what building and testing need, and never a network
# tool. Stages that do not wait for each other share the cores. The last line
# counts the tests of all test binaries and of the lab.
# shellcheck disable=SC2317 # the functions are called by way of `stage`
set -euo pipefail
# Lanes in the background get process groups of their own, so that whatever they
# started ends with this script.
set -m

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=tests/prepare.sh
source tests/prepare.sh
# Golden files are compared here, never rewritten.
unset UPDATE
export CARGO_TERM_COLOR=never

began=$SECONDS
work=$(mktemp -d)
lanes=()
leave() {
    local lane
    for lane in "${lanes[@]}"; do kill -KILL -- "-$lane" 2>/dev/null || true; done
    # Whoever was killed writes no more when this returns.
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM

need_rust "$root"
for tool in clippy fmt; do
    cargo "$tool" --version >/dev/null 2>&1 ||
        fail "cargo $tool is missing: run \`rustup component add clippy rustfmt\`, then run this again"
done
need_packages gcc libc6-dev pkg-config libssl-dev zlib1g-dev git openssh-client
# The lab builds a Debian root of its own and needs to be root for it; the real
# network tools are installed there and nowhere else.
if ((EUID == 0)); then
    need_packages mmdebstrap debian-archive-keyring iproute2 util-linux
    # Real servers for tests. Where systemd runs, Debian would start PowerDNS on port 53.
    if [[ -n ${CI:-} || ! -d /run/systemd/system ]]; then
        need_packages pdns-server pdns-backend-sqlite3 pdns-backend-lmdb sqlite3
        need_packages postgresql redis-server libpq-dev curl
    fi
    if [[ -n ${CI:-} ]]; then export LAB_REQUIRE=${LAB_REQUIRE:-native,bridge,vxlan,iptables-nft,uml}; fi
fi

# show STATE SECONDS NAME [FILE]: one line, and what belongs to it below; as one
# block, whatever else is printed at the time.
show() {
    (
        flock 9
        printf '%-5s %4s s  %s\n' "$1" "$2" "$3"
        if [[ -n ${4:-} ]]; then sed 's/^/    /' "$4"; fi
    ) 9>"$work/terminal"
}

skip() {
    printf '%s\n' "$2" >"$work/$1.why"
    show skip 0 "$1" "$work/$1.why"
}

# stage NAME COMMAND…: runs it, and shows its output only when it failed, or what
# it chose to leave in NAME.say.
stage() {
    local name=$1 start=$SECONDS state=ok shown="" status=0
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null || status=$?
    if [[ -e $work/$name.say ]]; then shown=$work/$name.say; fi
    if ((status != 0)); then
        state=FAIL
        shown=${shown:-$work/$name.log}
        printf '%s\n' "$name" >>"$work/failed"
    fi
    show "$state" "$((SECONDS - start))" "$name" "$shown"
    return "$status"
}

scripts() {
    shellcheck .ci/run benches/engines.sh benches/process.sh examples/demo.sh packaging/git/update tests/netbox/server.sh tests/prepare.sh \
        tests/run.sh
}

docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
}

# The database of advisories comes from the network, the rest does not.
dependencies() {
    cargo deny check --hide-inclusion-graph bans licenses sources || return
    if cargo deny fetch db; then
        cargo deny check --hide-inclusion-graph advisories
    else
        echo "advisories: not checked, their database cannot be reached" >"$work/deny.say"
    fi
}

# What a person wants to see of a test run: failures with their output, why tests
# were skipped, and the counts. Tests say `skipped: …` themselves.
run_tests() {
    local log=$work/tests.log status=0
    timeout --foreground --kill-after=10 1200 cargo test --locked --no-fail-fast --lib --bins --test it -- --show-output || status=$?
    {
        if ((status != 0)); then
            awk '/^successes:$/ { hide = 1 } /^(failures:|test result:.*)$/ { hide = 0 }
                 !hide && !/ \.\.\. (ok|ignored.*)$/' "$log"
        else
            grep '^test result:' "$log" || true
        fi
        grep -h '^skipped: ' "$log" | sort | uniq -c || true
    } >"$work/tests.say"
    if ((status == 0)) && ! grep -q '^test result: ok\. [1-9]' "$log"; then
        echo "no test was run" >>"$work/tests.say"
        status=1
    fi
    if ((status == 124)); then echo "the tests did not end in 20 minutes" >>"$work/tests.say"; fi
    return "$status"
}

# Real network tools in throw-away roots; its last line is its own.
run_lab() {
    local log=$work/lab.log status=0
    timeout --foreground --kill-after=10 3000 cargo test --locked --test lab || status=$?
    if ((status == 0)); then
        grep -hE '^(SKIP|ok) |^[0-9]+ passed, ' "$log" >"$work/lab.say"
    fi
    return "$status"
}

# The contract of IPAM servers on a real NetBox, which the tests above run on servers in memory.
run_netbox() {
    local log=$work/netbox.log status=0
    # Without those in which the server itself has little to say: it is slow.
    timeout --foreground --kill-after=20 1200 tests/netbox/server.sh run \
        cargo test --locked --test it ipam_servers:: -- --skip phpipam --skip program \
        --skip does_not_pass --skip does_not_prove --skip half_done --skip lists_are_read --skip the_server_lacks --skip there_twice || status=$?
    if ((status == 0)); then grep '^test result: ok\. [1-9]' "$log" >"$work/netbox.say"; fi
    if ((status == 124)); then echo "it did not end in 20 minutes" >>"$work/netbox.say"; fi
    return "$status"
}

# The demo ends with 0 only when every step did what it should; that it had steps,
# and that it says the same in words, is checked here.
demo() {
    local json=$work/demo.json start=$SECONDS good bad
    timeout --foreground --kill-after=10 120 "$target/debug/weft" demo --json >"$json" || {
        local status=$?
        cat "$json"
        return "$status"
    }
    good=$(grep -Eo '"ok": *true' "$json" | wc -l)
    bad=$(grep -Eo '"ok": *false' "$json" | wc -l)
    if ((good == 0 || bad != 0)); then
        echo "the demo ended with 0, and of its steps $good are true and $bad are false:"
        cat "$json"
        return 1
    fi
    echo "every step true, in $((SECONDS - start)) s" >"$work/demo.say"
}

# Needs no compiled code: goes on beside the build.
light_lane() {
    local bad=0
    stage fmt cargo fmt --check -- --color=never || bad=1
    if command -v shellcheck >/dev/null; then
        stage scripts scripts || bad=1
    else
        skip scripts "shellcheck is not installed"
    fi
    if cargo deny --version >/dev/null 2>&1; then
        stage deny dependencies || bad=1
    else
        skip deny "cargo-deny is not installed (\`cargo install cargo-deny\`)"
    fi
    if [[ -z $no_netbox ]]; then stage netbox-install tests/netbox/server.sh install || bad=1; fi
    return "$bad"
}

test_lane() {
    local bad=0
    stage tests run_tests || bad=1
    stage demo demo || bad=1
    if [[ -z $no_netbox ]]; then
        stage netbox run_netbox || bad=1
    else
        skip netbox "$no_netbox"
    fi
    # Its cases have time limits: not beside the other tests.
    stage lab run_lab || bad=1
    return "$bad"
}

lint_lane() {
    local bad=0
    stage clippy cargo clippy --locked --all-targets -- -D warnings || bad=1
    stage docs docs || bad=1
    return "$bad"
}

# lane COMMAND…: goes on beside the others; its process is `$lane`.
lane() {
    "$@" &
    lane=$!
    lanes+=("$lane")
}

bad=0
no_netbox=$(tests/netbox/server.sh reason)
target=$(cargo metadata --locked --no-deps --format-version 1 </dev/null |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
[[ -n $target ]] || fail "cargo does not say where it builds"

lane light_lane
lane stage build cargo test --locked --no-run
if wait "$lane"; then
    lane test_lane
    # Cargo lets go of the build directory when the first test binary starts; were
    # the lints first, the tests would wait for them.
    until grep -qs '^ *Running ' "$work/tests.log" || ! kill -0 "$lane" 2>/dev/null; do
        sleep 0.2
    done
else
    bad=1
    skip tests "nothing was built"
    skip demo "nothing was built"
    skip netbox "nothing was built"
    skip lab "nothing was built"
fi
lane lint_lane
for lane in "${lanes[@]}"; do
    wait "$lane" || bad=1
done

printf '      %4d s  in all, on %d cores\n' "$((SECONDS - began))" "$(nproc)"
if [[ -e $work/failed ]]; then
    printf 'failed: %s\n' "$(paste -sd ' ' "$work/failed")"
fi
touch "$work/tests.log" "$work/netbox.log" "$work/lab.log"
awk '/^test result:/ { passed += $4; failed += $6 }
     /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed += $1; failed += $3; skipped += $5 }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' \
    "$work/tests.log" "$work/netbox.log" "$work/lab.log"
exit "$bad"
