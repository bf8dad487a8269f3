# The thermostat: over the UART, against real brokers and clients. Sourced by run.sh.

# The whole story of a thermostat, in either version and against either broker.
thermostat_story() {
    local kind=$1 version=$2 log=$scratch/heard image=$scratch/image
    say "thermostat against $kind, version $version"
    rm -f "$log"
    start_broker "$kind"
    watch_topics "$log" "$PORT" -t 'thermostat/7/state' -t 'thermostat/7/celsius' \
        -t 'thermostat/7/target' -t 'thermostat/7/last' -t 'thermostat/7/image/crc'
    boot_uart arm mps2-an386 90 "$built/thumbv7em-none-eabihf/release/thermostat" \
        $(with_argument "$version")
    await "$log" '^thermostat/7/state online$'
    await "$log" '^thermostat/7/celsius 18\.[0-9]$'
    publish -t thermostat/7/set -m 21.5 -q 2
    await "$log" '^thermostat/7/target 21\.5$'
    [[ $(mosquitto_sub -p "$PORT" -t thermostat/7/target -C 1 -W 5) == 21.5 ]] \
        || die "the target was not retained"

    # Forty times the memory that it has for a packet.
    head -c 20480 /dev/urandom >"$image"
    publish -t thermostat/7/image -f "$image" -q 1
    await "$log" "^thermostat/7/image/crc $(crc_of "$image")\$" 30

    # A reset in the middle of an exchange: the will is published, the message arrives once.
    publish -t thermostat/7/set -m reset -q 2
    await "$log" '^thermostat/7/state offline$'
    await "$log" '^thermostat/7/last before the reset$'
    await "$scratch/firmware" '^started, records of the session: [1-9]'
    await "$scratch/firmware" '^connected, session goes on$'

    # The broker is killed, and comes back with nothing.
    kill -9 "$broker"
    wait "$broker" 2>/dev/null || true
    start_broker "$kind"
    await "$log" '^thermostat/7/state online$' 30 3
    await "$scratch/firmware" '^subscribed$' 30 3
    publish -t thermostat/7/set -m 22.0 -q 2
    await "$log" '^thermostat/7/target 22\.0$'
    [[ $(count "$log" '^thermostat/7/last ') == 1 ]] || die "a QoS 2 message came twice"

    publish -t thermostat/7/set -m quit -q 2
    await "$log" '^thermostat/7/state off$'
    finish_firmware
    stop_all
}

step_thermostat() {
    need qemu-system-arm qemu-system-arm
    need mosquitto_pub mosquitto-clients
    need gzip gzip
    build thumbv7em-none-eabihf thermostat
    thermostat_story mosquitto 5
    thermostat_story mosquitto 311
    thermostat_story tamtam 5
}

# The same program on smaller and other machines: it connects, obeys and leaves.
small_story() {
    local name=$1 program=$2 machine=$3 target=$4 log=$scratch/heard
    shift 4
    say "thermostat on $name"
    rm -f "$log"
    build "$target" thermostat
    start_broker mosquitto
    watch_topics "$log" "$PORT" -t 'thermostat/7/state' -t 'thermostat/7/target'
    boot_uart "$program" "$machine" 60 "$built/$target/release/thermostat" "$@" \
        $(with_argument 5)
    await "$log" '^thermostat/7/state online$' 30
    publish -t thermostat/7/set -m 21.5 -q 2
    await "$log" '^thermostat/7/target 21\.5$' 30
    publish -t thermostat/7/set -m quit -q 2
    await "$log" '^thermostat/7/state off$' 30
    finish_firmware
    stop_all
}

step_microbit() {
    need qemu-system-arm qemu-system-arm
    small_story "micro:bit (Cortex-M0, 16 KiB of RAM)" arm microbit thumbv6m-none-eabi
}

step_riscv() {
    build riscv32imc-unknown-none-elf thermostat
    if command -v qemu-system-riscv32 >/dev/null; then
        small_story "RISC-V (riscv32imc)" riscv32 virt riscv32imc-unknown-none-elf -bios none
    else
        say "qemu-system-riscv32 is not here (package qemu-system-misc): built, not run"
    fi
}
