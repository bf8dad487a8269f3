"""A puppet on gmqtt, which is asynchronous and has a codec of its own."""

import asyncio
import sys

import gmqtt
from gmqtt.mqtt.constants import MQTTv311, MQTTv50

import puppet

answers = None


def properties_of(found):
    told = {}
    for ours, theirs in (
        ("content_type", "content_type"),
        ("response_topic", "response_topic"),
        ("correlation", "correlation_data"),
    ):
        if found.get(theirs):
            value = found[theirs][0]
            told[ours] = value.decode() if isinstance(value, bytes) else value
    if found.get("user_property"):
        told["user"] = found["user_property"]
    return told


def on_message(_client, topic, payload, qos, properties):
    puppet.message(topic, payload, qos, properties.get("retain"), properties_of(properties))
    return 0


async def connect(order):
    more = {}
    if order["version"] == "5":
        more["session_expiry_interval"] = order["expiry"]
    if will := order.get("will"):
        more["will_message"] = gmqtt.Message(
            will["topic"], will["payload"], qos=will["qos"], retain=will["retain"]
        )
    client = gmqtt.Client(order["id"], clean_session=order["clean"], **more)
    client.on_connect = lambda _c, flags, _rc, _p: answers.put_nowait(flags)
    client.on_message = on_message
    client.on_subscribe = lambda _c, _m, codes, _p: answers.put_nowait(codes[0])
    client.on_unsubscribe = lambda _c, _m, _q: answers.put_nowait(True)
    version = {"3.1.1": MQTTv311, "5": MQTTv50}[order["version"]]
    await client.connect("127.0.0.1", order["port"], version=version)
    flags = await asyncio.wait_for(answers.get(), 10)
    puppet.say("connected", {"session": bool(flags & 1)})
    return client


def publish(client, order):
    more = {}
    if given := order.get("properties"):
        more = {
            "content_type": given["content_type"],
            "response_topic": given["response_topic"],
            "correlation_data": given["correlation"].encode(),
            "user_property": [tuple(pair) for pair in given["user"]],
        }
    content = puppet.payload(order)
    client.publish(order["topic"], content, qos=order["qos"], retain=order["retain"], **more)


async def obey(client, order):
    match order["do"]:
        case "connect":
            return await connect(order)
        case "subscribe":
            more = {"no_local": True} if order["no_local"] else {}
            client.subscribe(order["filter"], qos=order["qos"], **more)
            puppet.say("subscribed", await asyncio.wait_for(answers.get(), 10))
        case "unsubscribe":
            client.unsubscribe(order["filter"])
            await asyncio.wait_for(answers.get(), 10)
            puppet.say("unsubscribed", True)
        case "publish":
            publish(client, order)
            # It is out of the store once the broker has acknowledged it.
            await asyncio.wait_for(client._persistent_storage.wait_empty(), 10)
            puppet.say("published", True)
        case "disconnect":
            await client.disconnect()
            puppet.say("disconnected", True)
    return client


async def run():
    global answers
    answers = asyncio.Queue()
    orders, client = iter(puppet.orders()), None
    while order := await asyncio.to_thread(next, orders, None):
        client = await obey(client, order)


asyncio.run(run())
sys.exit()
