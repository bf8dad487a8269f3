//! Smoke.
use tamtam_core::broker::{Broker, Event as BEvent, Input, Options as BOptions};
use tamtam_core::client::{Client, Event, Filter, Options, Publish};
use tamtam_core::*;

struct Node {
    client: Client<Heap>,
    link: broker::LinkId,
    up: Vec<u8>,
    got: Vec<(String, Vec<u8>, QoS, bool)>,
    delivered: usize,
}
fn turn(b: &mut Broker<Heap>, nodes: &mut [Node], now: Instant) {
    for _ in 0..50 {
        let mut quiet = true;
        for n in nodes.iter_mut() {
            loop {
                let out = n.client.output().to_vec();
                if out.is_empty() {
                    break;
                }
                quiet = false;
                n.up.extend(&out);
                n.client.output_written(out.len(), now);
            }
            let mut input = &n.up[..];
            let r = b.handle_input(n.link, &mut input, now);
            assert_ne!(r, Input::Close);
            let left = input.to_vec();
            if left.len() != n.up.len() {
                quiet = false;
            }
            n.up = left;
        }
        while let Some(l) = b.next_writable() {
            let out = b.output(l).to_vec();
            b.output_written(l, out.len(), now);
            quiet = false;
            let n = nodes.iter_mut().find(|n| n.link == l).unwrap();
            let mut input = &out[..];
            loop {
                match n.client.handle_input(&mut input, now) {
                    Ok(Some(Event::Message(m))) => {
                        let t = n.client.topic(m.topic).unwrap().to_string();
                        n.got.push((t, m.payload.to_vec(), m.qos, m.retain));
                    }
                    Ok(Some(Event::Delivered { .. })) => n.delivered += 1,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(e) => panic!("{e}"),
                }
            }
            assert!(input.is_empty());
        }
        while let Some(e) = b.poll_event() {
            assert!(!matches!(e, BEvent::Close(_)), "{e:?}");
        }
        if quiet {
            break;
        }
    }
}
#[test]
fn smoke() {
    for v in [Version::V31, Version::V311, Version::V5] {
        let now = Instant::from_millis(1000);
        let mut b = Broker::<Heap>::new();
        b.start(&BOptions::DEFAULT, 3);
        let mut nodes: Vec<Node> = (0..3)
            .map(|i| {
                let mut client = Client::<Heap>::new();
                let id = format!("c{i}");
                client
                    .start(&Options::new(if i == 0 { v } else { Version::V5 }).client_id(&id), 5)
                    .unwrap();
                client.connect(now).unwrap();
                client.handle_open(now);
                Node { client, link: b.open(now).unwrap(), up: vec![], got: vec![], delivered: 0 }
            })
            .collect();
        turn(&mut b, &mut nodes, now);
        for n in &nodes {
            assert!(n.client.is_connected());
        }
        nodes[1]
            .client
            .subscribe(&[Filter::new("a/+"), Filter::new("a/#").qos(QoS::AtLeastOnce)], now)
            .unwrap();
        nodes[2].client.subscribe(&[Filter::new("$share/g/a/b")], now).unwrap();
        turn(&mut b, &mut nodes, now);
        for q in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            nodes[0]
                .client
                .publish(Publish::new("a/b", b"hello").qos(q).retain(true), now)
                .unwrap();
            turn(&mut b, &mut nodes, now);
        }
        assert_eq!(nodes[1].got.iter().map(|g| g.2.level()).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(nodes[2].got.len(), 3);
        assert_eq!(nodes[0].delivered, 2);
        nodes[0].client.subscribe(&[Filter::new("#")], now).unwrap();
        turn(&mut b, &mut nodes, now);
        assert_eq!(nodes[0].got, [("a/b".to_string(), b"hello".to_vec(), QoS::ExactlyOnce, true)]);
        assert_eq!(b.kept().0, 1);
        eprintln!("{:?}", b.counters());
    }
}
