"""A client of some library in a process of its own, as the scenarios see it."""

import json
import queue
import subprocess
import threading
import time

PATIENCE = 15


class Fault(Exception):
    """What went otherwise than it should."""


class Puppet:
    """One process, one connection."""

    def __init__(self, command, version):
        self.version = version
        self.answers, self.messages = queue.Queue(), queue.Queue()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.complaint = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            (kind, value), = json.loads(line).items()
            (self.messages if kind == "message" else self.answers).put((kind, value))
        self.answers.put(("ended", None))

    def _listen(self):
        self.complaint.extend(self.process.stderr)

    def _order(self, verb, answer, **fields):
        order = {"do": verb, "version": self.version, **fields}
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            kind, value = self.answers.get(timeout=PATIENCE)
        except queue.Empty:
            raise Fault(f"no answer to {verb}") from None
        except OSError as error:
            raise Fault(f"{verb}: {error}") from None
        if kind != answer:
            time.sleep(0.2)
            raise Fault(f"{verb}: {kind}: {' '.join(self.complaint[-3:]).strip()}")
        return value

    def connect(self, client_id, port, clean=True, expiry=0, will=None, transport="tcp", ca=""):
        """Connects; says whether the session was there."""
        more = {"will": {"qos": 1, "retain": False, **will}} if will else {}
        fields = {"id": client_id, "port": port, "clean": clean, "expiry": expiry, "ca": ca}
        connected = self._order("connect", "connected", transport=transport, **fields, **more)
        return connected["session"]

    def subscribe(self, topic_filter, qos=2, no_local=False):
        """Subscribes; the granted QoS."""
        fields = {"filter": topic_filter, "qos": qos, "no_local": no_local}
        granted = self._order("subscribe", "subscribed", **fields)
        if granted != qos:
            raise Fault(f"granted {granted} instead of {qos}")

    def unsubscribe(self, topic_filter):
        self._order("unsubscribe", "unsubscribed", filter=topic_filter)

    def publish(self, topic, payload="", qos=1, retain=False, **more):
        """Publishes, and waits for the acknowledgement."""
        fields = {"topic": topic, "payload": payload, "qos": qos, "retain": retain}
        self._order("publish", "published", **fields, **more)

    def next(self):
        """The next message."""
        try:
            return self.messages.get(timeout=PATIENCE)[1]
        except queue.Empty:
            raise Fault("a message did not come") from None

    def expect(self, **wanted):
        """The next message is this one."""
        got = self.next()
        for field, value in wanted.items():
            if got.get(field) != value:
                raise Fault(f"{field} is {got.get(field)!r} instead of {value!r}")
        return got

    def nothing(self, seconds=0.3):
        """No message comes, nor was one left over."""
        try:
            raise Fault(f"an unexpected message: {self.messages.get(timeout=seconds)[1]}")
        except queue.Empty:
            pass

    def disconnect(self):
        self._order("disconnect", "disconnected")

    def cut(self):
        """Ends the process, and with it the connection, without a DISCONNECT."""
        self.process.kill()
        self.process.wait()
