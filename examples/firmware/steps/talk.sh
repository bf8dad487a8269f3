# What the steps share that boot firmware and talk to it. Sourced by run.sh.

# Ports of loopback: brokers listen there, and nothing else is touched.
PORT=${FIRMWARE_PORT:-21710}

# What was started, by process number, to be ended whatever happens.
started=()

start() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    started+=($!)
}

stop() {
    local pid=$1
    kill "$pid" 2>/dev/null || return 0
    wait "$pid" 2>/dev/null || true
}

stop_all() {
    local pid
    for pid in "${started[@]}"; do stop "$pid"; done
    started=()
}
trap 'stop_all; rm -rf "$scratch"' EXIT

# Waits until a line of a file matches, or so many do; or fails and shows what there is.
await() {
    local file=$1 pattern=$2 seconds=${3:-15} times=${4:-1} turn
    for ((turn = 0; turn < seconds * 10; turn++)); do
        (($(count "$file" "$pattern") >= times)) && return
        sleep 0.1
    done
    printf 'in %s:\n' "$file" >&2
    tail -n 40 "$file" | cut -c1-100 >&2
    local log
    for log in "$scratch"/broker "$scratch"/firmware*; do
        printf 'in %s:\n' "$log" >&2
        tail -n 20 "$log" | cut -c1-160 >&2
    done
    die "not $times lines match $pattern after $seconds s"
}

count() {
    local lines
    lines=$(grep -acE "$2" "$1" 2>/dev/null) || true
    echo "${lines:-0}"
}

# A real broker on loopback: `mosquitto` or `tamtam`.
start_broker() {
    local kind=$1
    case $kind in
        mosquitto)
            need mosquitto mosquitto
            printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$PORT" >"$scratch/mosquitto.conf"
            start "$scratch/broker" mosquitto -c "$scratch/mosquitto.conf" -v ;;
        tamtam)
            (cd ../.. && unset CARGO_TARGET_DIR && cargo build -q -p tamtam)
            start "$scratch/broker" ../../target/debug/tamtam broker --memory \
                --listen "mqtt://127.0.0.1:$PORT" ;;
    esac
    broker=$!
    until_port "$PORT"
}

until_port() {
    local turn
    for ((turn = 0; turn < 100; turn++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    die "nobody listens on port $1: $(cat "$scratch/broker")"
}

publish() { mosquitto_pub -p "$PORT" "$@"; }

# Writes what comes to `topic payload` lines; payloads in full, so topics are to be chosen.
watch_topics() {
    local file=$1 port=$2
    shift 2
    start "$file" mosquitto_sub -p "$port" -q 2 -F '%t %p' "$@"
    watcher=$!
}

# Boots a program whose UART is connected to the broker.
boot_uart() {
    local program=$1 machine=$2 seconds=$3 kernel=$4
    shift 4
    start "$scratch/firmware" qemu "$seconds" "$program" -M "$machine" \
        -chardev "socket,id=s0,host=127.0.0.1,port=$PORT,reconnect=1" -serial chardev:s0 \
        -kernel "$kernel" "$@"
    firmware=$!
}

# The arguments that QEMU hands to the program.
with_argument() { printf -- '-semihosting-config\nenable=on,target=native,arg=firmware,arg=%s\n' "$1"; }

# Waits for the firmware to end, and demands success.
finish_firmware() {
    local status=0
    wait "$firmware" || status=$?
    cat "$scratch/firmware"
    ((status == 0)) || die "the firmware ended with status $status"
}

# CRC-32 of a file, in hexadecimal, as the thermostat tells it.
crc_of() { gzip -c "$1" | tail -c 8 | od -An -N4 --endian=little -tx4 | tr -d ' '; }
