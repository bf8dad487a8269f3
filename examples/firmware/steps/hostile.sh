# Hostile bytes over the UART: the firmware reports them and comes back. Sourced by run.sh.

readonly HOSTILE_ROUNDS=28

step_hostile() {
    local log=$scratch/heard
    need qemu-system-arm qemu-system-arm
    need mosquitto_pub mosquitto-clients
    need python3 python3
    build thumbv7em-none-eabihf thermostat
    say "bytes that are no MQTT, and MQTT that is wrong"
    start "$scratch/hostile" python3 steps/hostile.py "$PORT" "$HOSTILE_ROUNDS" 1
    local hostile=$!
    until_port "$PORT"
    boot_uart arm mps2-an386 240 "$built/thumbv7em-none-eabihf/release/thermostat" \
        $(with_argument 5)
    await "$scratch/hostile" '^no more trouble$' 200
    wait "$hostile" || die "hostile.py: $(cat "$scratch/hostile")"
    cat "$scratch/hostile"
    # One start: it was never reset. And it works with a server that means well.
    [[ $(count "$scratch/firmware" '^started') == 1 ]] || die "the firmware was reset"
    start_broker mosquitto
    watch_topics "$log" "$PORT" -t 'thermostat/7/state' -t 'thermostat/7/target'
    await "$log" '^thermostat/7/state online$' 30
    await "$scratch/firmware" '^subscribed$' 30
    publish -t thermostat/7/set -m 19.5 -q 2
    await "$log" '^thermostat/7/target 19\.5$'
    publish -t thermostat/7/set -m quit -q 2
    finish_firmware >"$scratch/said"
    sort "$scratch/said" | uniq -c
    stop_all
}
