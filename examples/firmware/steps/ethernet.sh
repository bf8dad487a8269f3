# What runs over Ethernet: the thermostat on an async executor, and the hub. Sourced by run.sh.

readonly HUB_PORT=$((PORT + 1))

boot_ethernet() {
    local log=$1 seconds=$2 kernel=$3 nic=$4
    shift 4
    start "$log" qemu "$seconds" arm -M mps2-an386 -serial null -nic "$nic" -kernel "$kernel" "$@"
    firmware=$!
}

async_story() {
    local kind=$1 log=$scratch/heard image=$scratch/image
    say "thermostat-async against $kind"
    rm -f "$log"
    start_broker "$kind"
    watch_topics "$log" "$PORT" -t 'thermostat/7/state' -t 'thermostat/7/celsius' \
        -t 'thermostat/7/target' -t 'thermostat/7/image/crc'
    boot_ethernet "$scratch/firmware" 90 \
        "$built/thumbv7em-none-eabihf/release/thermostat-async" user $(with_argument "$PORT")
    await "$scratch/firmware" '^an address by DHCP$'
    await "$log" '^thermostat/7/state online$'
    await "$log" '^thermostat/7/celsius 18\.[0-9]$'
    publish -t thermostat/7/set -m 21.5 -q 2
    await "$log" '^thermostat/7/target 21\.5$'
    head -c 40960 /dev/urandom >"$image"
    publish -t thermostat/7/image -f "$image" -q 1
    await "$log" "^thermostat/7/image/crc $(crc_of "$image")\$" 30

    # The broker is killed, and comes back with nothing.
    kill -9 "$broker"
    wait "$broker" 2>/dev/null || true
    start_broker "$kind"
    await "$log" '^thermostat/7/state online$' 30 2
    await "$scratch/firmware" '^subscribed$' 30 2
    publish -t thermostat/7/set -m 22.0 -q 2
    await "$log" '^thermostat/7/target 22\.0$'
    publish -t thermostat/7/set -m quit -q 2
    await "$log" '^thermostat/7/state off$'
    finish_firmware
    stop_all
}

step_async() {
    need qemu-system-arm qemu-system-arm
    need mosquitto_pub mosquitto-clients
    build thumbv7em-none-eabihf thermostat-async
    async_story mosquitto
    async_story tamtam
}

# One firmware talks to the host through the other.
step_hub() {
    local log=$scratch/heard log311=$scratch/heard311 hub data
    need qemu-system-arm qemu-system-arm
    need mosquitto_pub mosquitto-clients
    local kernel=$built/thumbv7em-none-eabihf/release
    build thumbv7em-none-eabihf hub
    build thumbv7em-none-eabihf thermostat
    # A broker that is not all zero bits would lie in flash, all of it.
    data=$(size -A "$kernel/hub" | awk '/^\.data/ { print $2 }')
    ((data < 4096)) || die "the hub has $data bytes of .data"
    say "the thermostat talks through the hub: $(sections "$kernel/hub") bytes of flash and RAM"
    boot_ethernet "$scratch/firmware-hub" 120 "$kernel/hub" \
        "user,hostfwd=tcp:127.0.0.1:$HUB_PORT-:1883"
    hub=$firmware
    await "$scratch/firmware-hub" '^an address by DHCP$'
    watch_topics "$log" "$HUB_PORT" -V 5 -t 'thermostat/7/+' -t 'test/#'
    watch_topics "$log311" "$HUB_PORT" -V 311 -t 'thermostat/+/celsius' -t 'test/+'
    await "$scratch/firmware-hub" '^a client came$' 10 2
    PORT=$HUB_PORT boot_uart arm mps2-an386 90 "$kernel/thermostat" $(with_argument 5)
    await "$log" '^thermostat/7/state online$'
    await "$log" '^thermostat/7/celsius 18\.[0-9]$'
    await "$log311" '^thermostat/7/celsius 18\.[0-9]$'
    mosquitto_pub -p "$HUB_PORT" -V 5 -t thermostat/7/set -m 21.5 -q 2
    await "$log" '^thermostat/7/target 21\.5$'

    # Two clients of other making, at every QoS; and what is retained.
    local qos
    for qos in 0 1 2; do
        mosquitto_pub -p "$HUB_PORT" -V 311 -t test/qos -m "at $qos" -q "$qos"
        await "$log" "^test/qos at $qos\$"
        await "$log311" "^test/qos at $qos\$"
        [[ $(count "$log" "^test/qos at $qos\$") == 1 ]] || die "QoS $qos: it came twice"
    done
    [[ $(mosquitto_sub -p "$HUB_PORT" -t thermostat/7/target -C 1 -W 5) == 21.5 ]] \
        || die "the target was not retained by the hub"
    mosquitto_pub -p "$HUB_PORT" -t thermostat/7/set -m quit -q 2
    await "$log" '^thermostat/7/state off$'
    finish_firmware
    ! grep -qE 'panic|HardFault' "$scratch/firmware-hub" || die "the hub broke down"
    kill -0 "$hub" || die "the hub ended"
    sort "$scratch/firmware-hub" | uniq -c
    stop_all
}
