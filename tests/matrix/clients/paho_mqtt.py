"""A puppet on paho-mqtt."""

import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

import puppet

VERSIONS = {"3.1": paho.MQTTv31, "3.1.1": paho.MQTTv311, "5": paho.MQTTv5}
answers = queue.Queue()


def properties_of(found):
    """The properties of a message that the scenarios look at."""
    if found is None:
        return None
    told = {}
    for ours, theirs in (
        ("content_type", "ContentType"),
        ("response_topic", "ResponseTopic"),
        ("correlation", "CorrelationData"),
        ("user", "UserProperty"),
    ):
        value = getattr(found, theirs, None)
        if value is not None:
            told[ours] = value.decode() if isinstance(value, bytes) else value
    return told


def on_message(_client, _data, got):
    told = properties_of(getattr(got, "properties", None))
    puppet.message(got.topic, got.payload, got.qos, got.retain, told)


def connect(order):
    version = VERSIONS[order["version"]]
    options = {"client_id": order["id"], "protocol": version}
    if order["version"] != "5":
        options["clean_session"] = order["clean"]
    if order["transport"] in ("ws", "wss"):
        options["transport"] = "websockets"
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, **options)
    if order["transport"] in ("tls", "wss"):
        client.tls_set(ca_certs=order["ca"])
    client.on_connect = lambda _c, _d, flags, reason, _p: answers.put((reason, flags))
    client.on_subscribe = lambda _c, _d, _m, reasons, _p: answers.put(reasons[0].value)
    client.on_unsubscribe = lambda _c, _d, _m, _r, _p: answers.put(True)
    client.on_message = on_message
    if will := order.get("will"):
        client.will_set(will["topic"], will["payload"], will["qos"], will["retain"])
    more = {}
    if order["version"] == "5":
        told = Properties(PacketTypes.CONNECT)
        told.SessionExpiryInterval = order["expiry"]
        more = {"clean_start": order["clean"], "properties": told}
    client.connect("127.0.0.1", order["port"], **more)
    client.loop_start()
    reason, flags = answers.get(timeout=10)
    if reason.is_failure:
        sys.exit(f"refused: {reason}")
    puppet.say("connected", {"session": flags.session_present})
    return client


def published(order):
    properties = None
    if given := order.get("properties"):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = given["content_type"]
        properties.ResponseTopic = given["response_topic"]
        properties.CorrelationData = given["correlation"].encode()
        properties.UserProperty = [tuple(pair) for pair in given["user"]]
    return order["topic"], puppet.payload(order), order["qos"], order["retain"], properties


def run():
    client = None
    for order in puppet.orders():
        match order["do"]:
            case "connect":
                client = connect(order)
            case "subscribe":
                options = order["qos"]
                if order["version"] == "5":
                    wants = SubscribeOptions(qos=order["qos"], noLocal=order["no_local"])
                    client.subscribe(order["filter"], options=wants)
                else:
                    client.subscribe(order["filter"], options)
                puppet.say("subscribed", answers.get(timeout=10))
            case "unsubscribe":
                client.unsubscribe(order["filter"])
                answers.get(timeout=10)
                puppet.say("unsubscribed", True)
            case "publish":
                client.publish(*published(order)).wait_for_publish(10)
                puppet.say("published", True)
            case "disconnect":
                client.disconnect()
                client.loop_stop()
                puppet.say("disconnected", True)


run()
