"""What every client does with every broker. Each scenario is told in orders to puppets."""

import contextlib
import itertools
import pathlib

from puppet import Fault, Puppet

_numbers = itertools.count(1)
CA = pathlib.Path(__file__).resolve().parent.parent / "certificates" / "ca.pem"
MESSAGES = 50
LARGE = 1 << 20
# Mosquitto 2.0.11 loses larger ones over WebSocket.
MIDDLE = 50_000
PROPERTIES = {
    "content_type": "text/plain",
    "response_topic": "answers/here",
    "correlation": "c-7",
    "user": [["a", "1"], ["b", "2"]],
}


class Stage:
    """Where a scenario plays: one broker, one client library, one version of MQTT."""

    def __init__(self, broker, client, version):
        self.broker, self.client, self.version = broker, client, version
        self.name = f"m{next(_numbers)}"
        self.puppets = []

    def topic(self, rest):
        """A topic of this scenario alone."""
        return f"{self.name}/{rest}"

    def puppet(self, role, **options):
        """A connected client."""
        puppet = Puppet(self.client.command(self.version), self.version)
        self.puppets.append(puppet)
        port = self.broker.port(options.get("transport", "tcp"))
        if options.get("transport") in ("tls", "wss"):
            options["ca"] = str(CA)
        puppet.present = puppet.connect(f"{self.name}{role}", port, **options)
        return puppet

    def end(self):
        for puppet in self.puppets:
            with contextlib.suppress(OSError):
                puppet.cut()


def exchange(stage, qos):
    """Messages arrive once, in order, at their QoS, and so does a large one."""
    subscriber, publisher = stage.puppet("s"), stage.puppet("p")
    subscriber.subscribe(stage.topic("+/x"), qos)
    for number in range(MESSAGES):
        publisher.publish(stage.topic("a/x"), str(number), qos)
    publisher.publish(stage.topic("a/x"), qos=qos, size=LARGE)
    for number in range(MESSAGES):
        subscriber.expect(topic=stage.topic("a/x"), payload=str(number), qos=qos, retain=False)
    subscriber.expect(size=LARGE)
    subscriber.nothing(0.1)


def retained(stage):
    """A later subscriber gets the retained message, and none once it is taken away."""
    publisher = stage.puppet("p")
    publisher.publish(stage.topic("r"), "kept", retain=True)
    subscriber = stage.puppet("s")
    subscriber.subscribe(stage.topic("#"))
    subscriber.expect(payload="kept", retain=True)
    publisher.publish(stage.topic("r"), "", retain=True)
    subscriber.expect(size=0, retain=False)
    late = stage.puppet("l")
    late.subscribe(stage.topic("#"))
    late.nothing()


def will(stage):
    """The will of a client that is gone without a word is published; that of a polite one isn't."""
    watcher = stage.puppet("w")
    watcher.subscribe(stage.topic("will"))
    rude = stage.puppet("r", will={"topic": stage.topic("will"), "payload": "gone"})
    rude.cut()
    watcher.expect(payload="gone", qos=1)
    polite = stage.puppet("q", will={"topic": stage.topic("will"), "payload": "never"})
    polite.disconnect()
    watcher.nothing()


def session(stage):
    """What is published while a client is away waits for it, in order."""
    kept = {"clean": False, "expiry": 600}
    sleeper = stage.puppet("s", **kept)
    if sleeper.present:
        raise Fault("a session was there before")
    sleeper.subscribe(stage.topic("q"), 1)
    sleeper.disconnect()
    publisher = stage.puppet("p")
    for number in range(MESSAGES):
        publisher.publish(stage.topic("q"), str(number), 1)
    sleeper = stage.puppet("s", **kept)
    if not sleeper.present and stage.version != "3.1":
        raise Fault("the session was not there")
    for number in range(MESSAGES):
        sleeper.expect(payload=str(number), qos=1)
    sleeper.nothing(0.1)


def unsubscribe(stage):
    """After UNSUBSCRIBE nothing comes."""
    client = stage.puppet("c")
    client.subscribe(stage.topic("u"))
    client.publish(stage.topic("u"), "one")
    client.expect(payload="one")
    client.unsubscribe(stage.topic("u"))
    client.publish(stage.topic("u"), "two")
    client.nothing()


def properties(stage):
    """The properties of a message arrive as they were sent."""
    client = stage.puppet("c")
    client.subscribe(stage.topic("p"))
    client.publish(stage.topic("p"), "x", properties=PROPERTIES)
    got = client.expect(payload="x")["properties"]
    for name, value in PROPERTIES.items():
        found = [list(pair) for pair in got[name]] if name == "user" else got[name]
        if found != value:
            raise Fault(f"{name} is {found!r} instead of {value!r}")


def no_local(stage):
    """With No Local a client does not get its own messages."""
    client, other = stage.puppet("c"), stage.puppet("o")
    client.subscribe(stage.topic("n"), no_local=True)
    client.publish(stage.topic("n"), "own")
    other.publish(stage.topic("n"), "other")
    client.expect(payload="other")
    client.nothing(0.1)


def shared(stage):
    """Two members of a group get each message once between them."""
    members = [stage.puppet("a"), stage.puppet("b")]
    for member in members:
        member.subscribe(f"$share/{stage.name}/{stage.topic('g')}", 1)
    publisher = stage.puppet("p")
    for number in range(MESSAGES):
        publisher.publish(stage.topic("g"), str(number), 1)
    got = []
    for member in members:
        with contextlib.suppress(Exception):
            while len(got) < MESSAGES:
                got.append(int(member.messages.get(timeout=1)[1]["payload"]))
    if sorted(got) != list(range(MESSAGES)):
        raise Fault(f"{len(got)} messages instead of {MESSAGES}")


def other_transport(stage, transport):
    """The same over another transport."""
    client = stage.puppet("c", transport=transport)
    client.subscribe(stage.topic("w"), 2)
    client.publish(stage.topic("w"), "hello", 2)
    client.expect(payload="hello", qos=2)
    client.publish(stage.topic("w"), qos=1, size=MIDDLE)
    client.expect(size=MIDDLE)


# Name, versions, what it is, with which arguments.
ALL = (
    ("QoS 0", ("3.1", "3.1.1", "5"), exchange, (0,)),
    ("QoS 1", ("3.1", "3.1.1", "5"), exchange, (1,)),
    ("QoS 2", ("3.1", "3.1.1", "5"), exchange, (2,)),
    ("retained", ("3.1", "3.1.1", "5"), retained, ()),
    ("will", ("3.1", "3.1.1", "5"), will, ()),
    ("session", ("3.1", "3.1.1", "5"), session, ()),
    ("unsubscribe", ("3.1", "3.1.1", "5"), unsubscribe, ()),
    ("properties", ("5",), properties, ()),
    ("no local", ("5",), no_local, ()),
    ("shared", ("3.1.1", "5"), shared, ()),
    ("websocket", ("3.1.1", "5"), other_transport, ("ws",)),
    ("TLS", ("3.1", "3.1.1", "5"), other_transport, ("tls",)),
    ("websocket in TLS", ("3.1.1", "5"), other_transport, ("wss",)),
)
