#!/usr/bin/env python3
"""Real clients against real brokers: prints which pairs can do what, fails if one can't.

    tests/matrix/run.py [--only WORD]

It needs python3 with venv, npm, cargo and mosquitto, and fetches the client libraries in versions
that are written down here. README.md says how to add a client.
"""

import argparse
import contextlib
import pathlib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

import scenarios
from puppet import Fault

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "matrix"
CERTIFICATES = HERE.parent / "certificates"
TRANSPORTS = ("websocket", "TLS", "websocket in TLS")
PYTHON_PACKAGES = ["paho-mqtt==2.1.0", "gmqtt==0.7.0"]


@dataclass
class Client:
    """A client library, and what it can't do."""

    name: str
    base: list
    versions: tuple = ("3.1", "3.1.1", "5")
    lacks: dict = field(default_factory=dict)

    def command(self, _version):
        return self.base


class Broker:
    """A broker, in a process of its own."""

    def __init__(self, name, command, ports=None, lacks=None):
        self.name, self.lacks = name, lacks or {}
        log = open(WORK / f"{name.replace(' ', '-')}.log", "w")
        out = log if ports else subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=out, stderr=log, text=True)
        # Who chooses its ports prints them.
        names = ("tcp", "ws", "tls", "wss")
        self.ports = ports or {name: int(self.process.stdout.readline()) for name in names}
        for port in self.ports.values():
            self._wait(port)

    def _wait(self, port):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"{self.name} ended: see {WORK}/{self.name}.log")
                time.sleep(0.1)
        sys.exit(f"{self.name} does not answer")

    def port(self, transport):
        return self.ports[transport]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sh(*command, **more):
    print("    $", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **more)


def clients():
    """Fetches and builds what the puppets need."""
    python = WORK / "python" / "bin" / "python"
    if not python.exists():
        sh(sys.executable, "-m", "venv", WORK / "python")
    sh(python, "-m", "pip", "install", "-q", *PYTHON_PACKAGES)
    javascript = WORK / "javascript"
    javascript.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "mqtt.js"):
        (javascript / file).write_text((HERE / "clients" / file).read_text())
    sh("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=javascript)
    manifest = HERE / "rust" / "Cargo.toml"
    sh("cargo", "build", "-q", "--locked", "--manifest-path", manifest, "--target-dir", WORK / "rust")
    rust = WORK / "rust" / "debug"
    only_tcp = dict.fromkeys(("websocket", "TLS", "websocket in TLS"), "has none")
    return [
        Client("tamtam", [rust / "tamtam_puppet"]),
        Client("paho-mqtt", [python, HERE / "clients" / "paho_mqtt.py"]),
        Client("gmqtt", [python, HERE / "clients" / "gmqtt_client.py"], ("3.1.1", "5"), only_tcp),
        Client("MQTT.js", ["node", javascript / "mqtt.js"]),
        Client("rumqttc", [rust / "rumqttc_puppet"], ("3.1.1", "5"), only_tcp),
    ]


def brokers():
    sh("cargo", "build", "-q", "-p", "tamtam", cwd=ROOT)
    target = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split('"target_directory":"')[1].split('"')[0]
    no_tls = dict.fromkeys(("TLS", "websocket in TLS"), "–")
    tcp, ws = free_port(), free_port()
    yield Broker(
        "tamtam",
        [f"{target}/debug/tamtam", "broker", "--memory", "--listen", f"127.0.0.1:{tcp}",
         "--listen", f"ws://127.0.0.1:{ws}"],
        {"tcp": tcp, "ws": ws},
        no_tls,
    )
    program = WORK / "rust" / "debug" / "adapter_broker"
    identity = [CERTIFICATES / "server.pem", CERTIFICATES / "server.key"]
    # What they say is the same machine's; what carries it is not.
    not_again = {scenario[0]: "" for scenario in scenarios.ALL[3:] if scenario[0] not in TRANSPORTS}
    for runtime in ("tokio", "smol", "async-std", "blocking"):
        yield Broker(f"tamtam on {runtime}", [program, runtime, *identity], lacks=not_again)
    tcp, ws = free_port(), free_port()
    config = WORK / "mosquitto.conf"
    config.write_text(
        f"listener {tcp} 127.0.0.1\nlistener {ws} 127.0.0.1\nprotocol websockets\n"
        "allow_anonymous true\nmax_queued_messages 1000\n"
    )
    yield Broker("mosquitto", ["mosquitto", "-c", config], {"tcp": tcp, "ws": ws}, no_tls)


def play(broker, client, version, scenario):
    """The outcome of one scenario: empty if all was well."""
    _, _, act, arguments = scenario
    stage = scenarios.Stage(broker, client, version)
    try:
        act(stage, *arguments)
        return ""
    except (Fault, KeyError, TypeError) as fault:
        return f"{type(fault).__name__}: {fault}" if not isinstance(fault, Fault) else str(fault)
    finally:
        stage.end()


def mosquitto_clients(broker, version, transport):
    """What went wrong when mosquitto_pub sent to mosquitto_sub; empty if all was well."""
    port, topic = broker.port(transport), f"programs/{version}/{transport}"
    where = ["-h", "127.0.0.1", "-p", str(port), "-V", version, "-t", topic, "-q", "2"]
    if transport == "tls":
        where += ["--cafile", str(scenarios.CA)]
    try:
        sub = subprocess.Popen(
            ["mosquitto_sub", *where, "-C", "1", "-W", "10"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(20):  # whoever subscribes may be late, so it is retained
            pub = ["mosquitto_pub", *where, "-m", "hello", "-r"]
            subprocess.run(pub, check=True, timeout=10)
            with contextlib.suppress(subprocess.TimeoutExpired):
                said, _ = sub.communicate(timeout=1)
                return "" if said == "hello\n" else f"it says {said!r}"
        return "nothing came"
    except (OSError, subprocess.SubprocessError) as fault:
        return str(fault)


def run(only):
    all_clients, faults, done = clients(), [], 0
    for broker in brokers():
        print(f"\n| {broker.name} broker | " + " | ".join(s[0] for s in scenarios.ALL) + " |")
        print("|---" * (len(scenarios.ALL) + 1) + "|")
        for client in all_clients:
            for version in client.versions:
                row = []
                for scenario in scenarios.ALL:
                    name = f"{broker.name} {client.name} {version} {scenario[0]}"
                    if version not in scenario[1]:
                        row.append("–")
                    elif scenario[0] in client.lacks:
                        row.append(client.lacks[scenario[0]])
                    elif scenario[0] in broker.lacks:
                        row.append(broker.lacks[scenario[0]])
                    elif only not in name:
                        row.append("")
                    else:
                        fault, done = play(broker, client, version, scenario), done + 1
                        row.append("**no**" if fault else "yes")
                        if fault:
                            faults.append(f"{name}: {fault}")
                print(f"| {client.name} {version} | " + " | ".join(row) + " |", flush=True)
        for version in ("mqttv31", "mqttv311", "mqttv5"):
            for transport in ("tcp", "tls"):
                name = f"{broker.name} mosquitto_pub and mosquitto_sub {version} {transport}"
                if transport in broker.ports and only in name:
                    fault, done = mosquitto_clients(broker, version, transport), done + 1
                    print(f"\n{name}: {fault or 'yes'}", end="", flush=True)
                    if fault:
                        faults.append(f"{name}: {fault}")
        print()
        broker.stop()
    print(f"\n{done} cells, {len(faults)} faults", *faults, sep="\n  ")
    return 1 if faults or not done else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only cells whose name has this in it")
    WORK.mkdir(parents=True, exist_ok=True)
    sys.exit(run(parser.parse_args().only))
