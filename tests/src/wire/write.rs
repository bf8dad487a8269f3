//! Packets to bytes.

use tamtam_core::Version;

use super::props::{Shape, shape};
use super::{Ack, Answer, Connect, Notice, Packet, Prop, Props, Publish, Request};

/// The bytes of a packet. It may say what is wrong: a server that misbehaves needs that.
///
/// # Panics
/// If it is too long for its own length fields.
#[must_use]
pub fn encode(packet: &Packet, version: Version) -> Vec<u8> {
    let mut body = Vec::new();
    let mut flags = 0;
    match packet {
        Packet::Connect(connect) => write_connect(&mut body, connect),
        Packet::ConnAck(connack) => {
            body.extend([u8::from(connack.session_present), connack.code]);
            write_props(&mut body, &connack.props, version);
        }
        Packet::Publish(publish) => {
            flags = u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain);
            write_publish(&mut body, publish, version);
        }
        Packet::Ack(Ack { id, code, props, .. }) => {
            flags = if packet.number() == 6 { 2 } else { 0 };
            body.extend(id.to_be_bytes());
            write_notice(&mut body, *code, props, version);
        }
        Packet::Subscribe(request) => {
            flags = 2;
            write_request(&mut body, request, version, true);
        }
        Packet::Unsubscribe(request) => {
            flags = 2;
            write_request(&mut body, request, version, false);
        }
        Packet::SubAck(Answer { id, props, codes }) => {
            body.extend(id.to_be_bytes());
            write_props(&mut body, props, version);
            body.extend(codes);
        }
        Packet::UnsubAck(Answer { id, props, codes }) => {
            body.extend(id.to_be_bytes());
            if version.is_v5() {
                write_props(&mut body, props, version);
                body.extend(codes);
            }
        }
        Packet::PingReq | Packet::PingResp => {}
        Packet::Disconnect(Notice { code, props }) | Packet::Auth(Notice { code, props }) => {
            write_notice(&mut body, *code, props, version);
        }
    }
    let mut frame = vec![packet.number() << 4 | flags];
    write_variable(&mut frame, u32::try_from(body.len()).expect("a packet"));
    frame.extend(body);
    frame
}

fn write_connect(out: &mut Vec<u8>, connect: &Connect) {
    let version = connect.version;
    write_binary(out, version.protocol_name().as_bytes());
    out.push(version.level());
    let will = connect.will.as_ref();
    let will = will.map_or(0, |will| u8::from(will.retain) << 5 | will.qos << 3 | 1 << 2);
    out.push(
        u8::from(connect.user_name.is_some()) << 7
            | u8::from(connect.password.is_some()) << 6
            | will
            | u8::from(connect.clean) << 1,
    );
    out.extend(connect.keep_alive.to_be_bytes());
    write_props(out, &connect.props, version);
    write_binary(out, &connect.client_id);
    if let Some(will) = &connect.will {
        write_props(out, &will.props, version);
        write_binary(out, &will.topic);
        write_binary(out, &will.payload);
    }
    for field in [&connect.user_name, &connect.password].into_iter().flatten() {
        write_binary(out, field);
    }
}

fn write_publish(out: &mut Vec<u8>, publish: &Publish, version: Version) {
    write_binary(out, &publish.topic);
    if publish.qos != 0 {
        out.extend(publish.id.to_be_bytes());
    }
    write_props(out, &publish.props, version);
    out.extend(&publish.payload);
}

fn write_request(out: &mut Vec<u8>, request: &Request, version: Version, options: bool) {
    out.extend(request.id.to_be_bytes());
    write_props(out, &request.props, version);
    for (filter, option) in &request.filters {
        write_binary(out, filter);
        if options {
            out.push(*option);
        }
    }
}

fn write_notice(out: &mut Vec<u8>, code: u8, props: &Props, version: Version) {
    if version.is_v5() && (code != 0 || !props.0.is_empty()) {
        out.push(code);
        if !props.0.is_empty() {
            write_props(out, props, version);
        }
    }
}

fn write_props(out: &mut Vec<u8>, props: &Props, version: Version) {
    if !version.is_v5() {
        return;
    }
    let mut block = Vec::new();
    for (id, prop) in &props.0 {
        block.push(*id);
        match (prop, shape(*id)) {
            (Prop::Number(number), Some(Shape::Byte)) => block.push(*number as u8),
            (Prop::Number(number), Some(Shape::Two)) => {
                block.extend((*number as u16).to_be_bytes());
            }
            (Prop::Number(number), Some(Shape::Variable)) => write_variable(&mut block, *number),
            (Prop::Number(number), _) => block.extend(number.to_be_bytes()),
            (Prop::Bytes(bytes), _) => write_binary(&mut block, bytes),
            (Prop::Pair(name, value), _) => {
                write_binary(&mut block, name);
                write_binary(&mut block, value);
            }
        }
    }
    write_variable(out, u32::try_from(block.len()).expect("a property length"));
    out.extend(block);
}

fn write_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).expect("a field").to_be_bytes());
    out.extend(bytes);
}

fn write_variable(out: &mut Vec<u8>, mut number: u32) {
    loop {
        let byte = (number & 0x7F) as u8;
        number >>= 7;
        if number == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
