//! The client machine of this crate at the other end: both sides mean the same.

use tamtam_core::client::{Client, Event as News, Filter, Options as Wishes, Publish as Message};

use crate::support::*;

/// A client, its connection, and what it was told.
struct Node {
    client: Client<Heap>,
    link: LinkId,
    up: Vec<u8>,
    messages: Vec<String>,
    delivered: usize,
}

impl Node {
    fn new<S: Storage>(rig: &mut Rig<S>, version: Version, client_id: &str) -> Self {
        let mut client = Client::new();
        client.start(&Wishes::new(version).client_id(client_id), 5).expect("options");
        client.connect(rig.now).expect("a client that was started");
        client.handle_open(rig.now);
        let link = rig.broker.open(rig.now).expect("room for a connection");
        Self { client, link, up: Vec::new(), messages: Vec::new(), delivered: 0 }
    }

    /// Hands the broker what the client has to say. Whether it was anything.
    fn say<S: Storage>(&mut self, rig: &mut Rig<S>) -> bool {
        while !self.client.output().is_empty() {
            self.up.extend_from_slice(self.client.output());
            let len = self.client.output().len();
            self.client.output_written(len, rig.now);
        }
        let mut input = &self.up[..];
        let result = rig.broker.handle_input(self.link, &mut input, rig.now);
        assert_ne!(result, Input::Close);
        let taken = self.up.len() - input.len();
        self.up.drain(..taken);
        taken != 0
    }

    /// Hands the client what the broker has to say. Whether it was anything.
    fn hear<S: Storage>(&mut self, rig: &mut Rig<S>) -> bool {
        let output = rig.broker.output(self.link).to_vec();
        rig.broker.output_written(self.link, output.len(), rig.now);
        let mut input = &output[..];
        while let Some(news) = self.client.handle_input(&mut input, rig.now).expect("no fault") {
            match news {
                News::Message(message) => {
                    let name = self.client.topic(message.topic).expect("a topic");
                    let payload = String::from_utf8_lossy(message.payload);
                    let retain = if message.retain { "!" } else { "" };
                    let qos = message.qos.level();
                    self.messages.push(format!("{name}={payload}@{qos}{retain}"));
                }
                News::Delivered { .. } => self.delivered += 1,
                _ => {}
            }
        }
        assert_eq!(input, b"", "packets come whole");
        !output.is_empty()
    }
}

fn settle<S: Storage>(rig: &mut Rig<S>, nodes: &mut [Node]) {
    while nodes.iter_mut().fold(false, |busy, node| node.say(rig) | node.hear(rig) | busy) {}
}

fn clients_and_broker_understand_each_other<S: Storage>(mut rig: Rig<S>) {
    let version = rig.version;
    let mut nodes = [("a", version), ("b", V5), ("c", V311)]
        .map(|(client_id, version)| Node::new(&mut rig, version, client_id));
    settle(&mut rig, &mut nodes);
    assert!(nodes.iter().all(|node| node.client.is_connected()));
    let now = rig.now;
    let list = [Filter::new("a/+"), Filter::new("a/#").qos(Q1)];
    nodes[1].client.subscribe(&list, now).expect("a request");
    nodes[2].client.subscribe(&[Filter::new("$share/g/a/b")], now).expect("a request");
    settle(&mut rig, &mut nodes);
    for qos in QOS {
        let message = Message::new("a/b", b"hello").qos(qos).retain(true);
        nodes[0].client.publish(message, now).expect("room");
        settle(&mut rig, &mut nodes);
    }
    assert_eq!(nodes[1].messages, ["a/b=hello@0", "a/b=hello@1", "a/b=hello@2"]);
    assert_eq!(nodes[2].messages.len(), 3);
    assert_eq!(nodes[0].delivered, 2);
    nodes[0].client.subscribe(&[Filter::new("#")], now).expect("a request");
    settle(&mut rig, &mut nodes);
    assert_eq!(nodes[0].messages, ["a/b=hello@2!"]);
    rig.keeps_only_retained(0);
}

on_both_storages! {
    EVERY => clients_and_broker_understand_each_other;
}
