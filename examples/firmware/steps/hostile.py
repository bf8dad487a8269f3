"""A server that means ill: whoever connects gets bytes that are no MQTT, or MQTT that is wrong.

    hostile.py PORT ROUNDS SEED     serves so many connections, then ends

Each round is another kind of trouble. It says what it sent, and fails if the client does not come
back.
"""

import random
import socket
import sys
import time

CONNACK_V5 = bytes.fromhex("200600000322000a")
SPECIALS = [
    ("a length without end", b"\x30\xff\xff\xff\xff\xff\xff"),
    ("the longest packet there is", b"\x30\xff\xff\xff\x7f" + b"x" * 4000),
    ("a SUBACK larger than any buffer", b"\x90\x80\x80\x10" + b"\0\1\0" + b"\0" * 3000),
    ("a reserved packet", b"\x00\x00"),
    ("a PUBLISH with QoS 3", b"\x36\x05\x00\x01a\x00\x01"),
    ("a topic with a wildcard", b"\x30\x05\x00\x03a/#\x00"),
    ("ill-formed UTF-8", b"\x30\x06\x00\x03a\xff\xfe\x00"),
    ("a topic alias that was not agreed", b"\x30\x06\x00\x00\x03\x23\x00\x09"),
    ("a property twice", b"\x30\x0e\x00\x01a\x0a\x02\x00\x00\x00\x01\x02\x00\x00\x00\x02"),
    ("properties longer than the packet", b"\x30\x05\x00\x01a\x7f\x02"),
    ("an acknowledgement of nothing", b"\x40\x02\x77\x77"),
    ("PUBREL of nothing", b"\x62\x02\x12\x34" * 300),
    ("a second CONNACK", CONNACK_V5),
    ("a SUBSCRIBE from the server", b"\x82\x09\x00\x01\x00\x00\x03a/b\x02"),
    ("a CONNECT from the server", bytes.fromhex("100d00044d515454050200000000")),
    ("QoS 2 without end", b"".join(
        b"\x34\x07\x00\x01a" + i.to_bytes(2, "big") + b"\x00x" for i in range(1, 200))),
    ("a message larger than memory, cut short", b"\x32\x80\x80\x20\x00\x01a\x00\x05\x00" + b"y" * 9000),
]


def trouble(round_number, chance):
    """What is sent before, or behind, CONNACK."""
    if round_number < len(SPECIALS):
        name, data = SPECIALS[round_number]
        return name, CONNACK_V5 + data
    size = chance.randrange(1, 3000)
    noise = chance.randbytes(size)
    if round_number % 3 == 0:
        return f"{size} bytes of noise", noise
    if round_number % 3 == 1:
        return f"CONNACK and {size} bytes of noise", CONNACK_V5 + noise
    # Right packets with a few bits wrong.
    good = bytearray(CONNACK_V5 + b"\x90\x04\x00\x01\x00\x02"
                     + b"\x32\x15\x00\x0ethermostat/7/x\x00\x05\x00hi" * 20)
    for _ in range(4):
        good[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
    return "right packets with four bits wrong", bytes(good)


def main():
    port, rounds, seed = (int(argument) for argument in sys.argv[1:4])
    chance = random.Random(seed)
    server = socket.create_server(("127.0.0.1", port))
    server.settimeout(20)
    round_number = 0
    while round_number < rounds:
        connection, _ = server.accept()
        connection.settimeout(10)
        with connection:
            if not asks_to_connect(connection):
                continue  # it comes again
            name, data = trouble(round_number, chance)
            print(f"round {round_number}: {name}", flush=True)
            try:
                connection.sendall(data)
                time.sleep(0.3)
            except OSError:
                pass  # it hung up in between, as it should
        round_number += 1
    print("no more trouble", flush=True)


def asks_to_connect(connection):
    """Whether a CONNECT comes. Anything else is answered as a server does: by hanging up."""
    heard = b""
    try:
        while b"MQTT" not in heard:
            data = connection.recv(4096)
            heard += data
            if not data or not heard.startswith(b"\x10"):
                return False
    except TimeoutError:
        sys.exit("the client fell silent")
    return True


main()
