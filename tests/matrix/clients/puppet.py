"""What all puppets in Python share: orders come in as lines of JSON, answers go out as such.

README.md of the folder above says which orders there are.
"""

import json
import os
import sys
import threading

_lock = threading.Lock()


def say(kind, value):
    """Writes one answer. Threads of a client library may call it too."""
    with _lock:
        sys.stdout.write(json.dumps({kind: value}) + "\n")
        sys.stdout.flush()


def message(topic, payload, qos, retain, properties=None):
    """Says that a message has come; of a large one its size alone."""
    told = {"topic": topic, "qos": qos, "retain": bool(retain), "size": len(payload)}
    if len(payload) < 1000:
        told["payload"] = payload.decode()
    if properties:
        told["properties"] = properties
    say("message", told)


def payload(order):
    """The payload of an order to publish."""
    return b"x" * order["size"] if "size" in order else order.get("payload", "").encode()


def orders():
    """The orders, one after another. `cut` ends the process without a word to the broker."""
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "cut":
            os._exit(0)
        yield order
