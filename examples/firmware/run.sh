#!/usr/bin/env bash
# Builds the firmware, boots it in QEMU and says by its exit status whether all was well:
#
#     examples/firmware/run.sh                 everything
#     examples/firmware/run.sh size            one step; the steps are listed below
#     examples/firmware/run.sh size --accept   what is measured becomes what is compared with
#
# It needs cargo (with rustup, or nightly and rust-src), binutils and QEMU for Arm; the steps that talk
# need mosquitto and its clients. It says what is missing.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly STEPS=(size thermostat async hub hostile microbit riscv)
readonly TARGETS=(thumbv7em-none-eabihf thumbv6m-none-eabi riscv32imc-unknown-none-elf)
# By how many percent a measurement may exceed what was accepted.
readonly GROWTH_PERCENT=5

scratch=$(mktemp -d)
# steps/talk.sh sees to it that it goes, and what was started with it.

say() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing: install $2"; }

# ------------------------------------------------------------------------------------------ build

# How to compile for bare metal: with the targets as rustup has them, else with core from source.
choose_toolchain() {
    cargo=(cargo) build_flags=() built=${CARGO_TARGET_DIR:-target}
    rustup target add "${TARGETS[@]}" >"$scratch/rustup" 2>&1 && return
    cat "$scratch/rustup" >&2
    say "rustup can't add the targets: building core from source with nightly"
    cargo=(cargo +nightly) build_flags=(-Zbuild-std=core)
    built=${CARGO_TARGET_DIR:-target}/nightly
    export CARGO_TARGET_DIR=$built
    "${cargo[@]}" --version || die "there is no nightly compiler either"
}

# Builds programs of a package, and leaves them in $built/TARGET/release.
build() {
    local target=$1 package=$2
    shift 2
    printf '    $ cargo build --release --target %s -p %s %s\n' "$target" "$package" "$*"
    "${cargo[@]}" build -q --release "${build_flags[@]}" --target "$target" -p "$package" "$@"
}

# What every run of QEMU has: no window, words and exit status of the program, an end. It takes the
# place of the subshell that it is called in, so that ending that ends it.
qemu() {
    local seconds=$1 program=$2
    shift 2
    exec timeout "$seconds" "qemu-system-$program" -display none -monitor none \
        -semihosting-config enable=on,target=native "$@" </dev/null
}

# ------------------------------------------------------------------------------------------- size

# Flash (code and constants) and static memory of a program, in bytes.
sections() {
    size -A "$1" | awk '/^\.(text|rodata)/ { flash += $2 } /^\.(data|bss)/ { ram += $2 }
        END { print flash, ram }'
}

painted_stack() {
    qemu 20 arm -M mps2-an386 -serial null -kernel "$1" | sed -n 's/^stack //p'
}

# One line of the table: what a program takes beyond the empty one.
measure() {
    local name=$1 features=$2 program=$3 most_flash=$4 most_stack=$5 flash ram stack accepted
    build "$board" size --bin "$program" --features "$features" >/dev/null
    read -r flash ram <<<"$(sections "$built/$board/release/$program")"
    stack=$(painted_stack "$built/$board/release/$program")
    [[ -n $stack ]] || die "$program ($name) did not run"
    flash=$((flash - empty_flash)) ram=$((ram - empty_ram)) stack=$((stack - empty_stack))
    printf '| %-35s | %6d | %8s | %6d | %5d | %8s |\n' \
        "$name" "$flash" "$most_flash" "$ram" "$stack" "$most_stack"
    printf '%s|%d|%d|%d\n' "$name" "$flash" "$ram" "$stack" >>"$scratch/sizes"
    [[ $most_flash == – ]] || ((flash <= most_flash)) || too_much+=("flash of $name")
    [[ $most_stack == – ]] || ((stack <= most_stack)) || too_much+=("stack of $name")
}

# No measurement may exceed what was accepted by more than a few percent.
check_growth() {
    awk -F'|' -v most="$GROWTH_PERCENT" '
        NR == FNR { for (i = 2; i <= 4; i++) accepted[$1, i] = $i; next }
        {
            split("|flash|static memory|stack", word, "|")
            for (i = 2; i <= 4; i++) {
                if (!(($1, i) in accepted)) { print "not in size.accepted: " $1; bad = 1; break }
                if ($i * 100 > accepted[$1, i] * (100 + most)) {
                    printf "%s: %s grew from %d to %d bytes\n", $1, word[i], accepted[$1, i], $i
                    bad = 1
                }
            }
        }
        END { exit bad }' size.accepted "$scratch/sizes" || die "firmware grew"
}

step_size() {
    need size binutils
    need qemu-system-arm qemu-system-arm
    local board=thumbv7em-none-eabihf empty_flash empty_ram empty_stack too_much=()
    build "$board" size --bin empty
    read -r empty_flash empty_ram <<<"$(sections "$built/$board/release/empty")"
    empty_stack=$(painted_stack "$built/$board/release/empty")
    [[ -n $empty_stack ]] || die "the empty firmware did not run"
    printf 'Client<Fixed<1024, 8>>, thumbv7em, opt-level "z", beyond an empty firmware, in bytes:\n\n'
    printf '| %-35s | flash  | at most  | static | stack | at most  |\n' "what is compiled in"
    printf '|%s|-------:|---------:|-------:|------:|---------:|\n' "$(printf -- '-%.0s' {1..37})"
    measure "3.1 and 3.1.1" "" client 9000 –
    measure "3.1, 3.1.1 and 5" v5 client 14000 1200
    measure "3.1 to 5, QoS 2" v5,qos2 client – –
    measure "3.1 to 5, QoS 2, sessions" v5,qos2,session client – –
    measure "everything: streams, authentication" v5,qos2,session,stream,auth client – –
    ((${#too_much[@]} == 0)) || die "above what is promised: ${too_much[*]}"
    if [[ ${1:-} == --accept ]]; then cp "$scratch/sizes" size.accepted; else check_growth; fi
}

# -------------------------------------------------------------------------------------------- run

. steps/talk.sh
. steps/thermostat.sh
. steps/ethernet.sh
. steps/hostile.sh

choose_toolchain
if (($#)); then
    declare -F "step_$1" >/dev/null || die "no such step: $1; there are: ${STEPS[*]}"
    "step_$1" "${@:2}"
else
    for step in "${STEPS[@]}"; do
        say "$step"
        "step_$step"
    done
fi
say "all was well, in $SECONDS s"
