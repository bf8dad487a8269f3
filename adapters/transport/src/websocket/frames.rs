//! The frames of WebSocket (RFC 6455, 5): their payload passes through, their heads stay here.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::WebSocketError;

/// The longest head: of a masked frame whose length takes eight bytes.
const HEAD_BYTES_MAX: usize = 14;
/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// Which end this is: a client's frames are masked, a server's are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Frames {
    role: Role,
    /// What has come of a head.
    head: Short<HEAD_BYTES_MAX>,
    /// The frame of which the payload is coming.
    frame: Option<Frame>,
    /// What has come of the payload of a control frame.
    control: Short<CONTROL_BYTES_MAX>,
    /// Whether a message has begun whose last frame is to come.
    in_message: bool,
    /// Whether the peer has closed, or has to be left.
    closed: bool,
    /// Whether a close frame was sent.
    said_close: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: Kind,
    /// How much of the payload is to come.
    left: u64,
    mask: [u8; 4],
    /// Which byte of the mask comes next.
    mask_at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// A few bytes.
#[derive(Debug)]
struct Short<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Short<N> {
    const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Frames {
    pub(super) const fn new(role: Role) -> Self {
        let (head, control) = (Short::EMPTY, Short::EMPTY);
        Self {
            role,
            head,
            frame: None,
            control,
            in_message: false,
            closed: false,
            said_close: false,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes all of `wire`: adds payload to `plaintext`, and answers to `output`, to errors too.
    pub(super) fn read(
        &mut self,
        wire: &[u8],
        plaintext: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> Result<(), WebSocketError> {
        let done = self.read_frames(wire, plaintext, output);
        if let Err(error) = &done {
            self.closed = true;
            self.close(error.close_code(), output);
        }
        done
    }

    /// Adds a binary frame [MQTT5-6.0.0-1, MQTT3-6.0.0-1].
    pub(super) fn send(&self, payload: &[u8], output: &mut Vec<u8>) {
        push(output, self.role, OpCode::Data(Data::Binary), payload);
    }

    /// Adds a close frame, the first time.
    pub(super) fn close(&mut self, code: u16, output: &mut Vec<u8>) {
        self.push_close(&code.to_be_bytes(), output);
    }

    fn push_close(&mut self, payload: &[u8], output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.said_close, true) {
            push(output, self.role, OpCode::Control(Control::Close), payload);
        }
    }

    fn read_frames(
        &mut self,
        mut wire: &[u8],
        plaintext: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> Result<(), WebSocketError> {
        while !self.closed {
            if self.frame.is_none() {
                let Some((&byte, rest)) = wire.split_first() else { break };
                wire = rest;
                self.head.push(byte);
                if head_is_complete(self.head.get()) {
                    self.frame = Some(self.begin()?);
                }
            }
            if let Some(mut frame) = self.frame.take() {
                self.take_payload(&mut frame, &mut wire, plaintext);
                if frame.left > 0 {
                    self.frame = Some(frame);
                    break;
                }
                self.end(frame.kind, output)?;
            }
        }
        Ok(())
    }

    /// The head is complete: may such a frame come?
    fn begin(&mut self) -> Result<Frame, WebSocketError> {
        let head = std::mem::replace(&mut self.head, Short::EMPTY);
        let parsed = FrameHeader::parse(&mut Cursor::new(head.get()));
        let Ok(Some((header, left))) = parsed else {
            return Err(WebSocketError::Frame("a frame of an unknown kind"));
        };
        let kind = self.check(&header, left)?;
        let mask = match (self.role, header.mask) {
            (Role::Server, Some(mask)) => mask,
            (Role::Client, None) => [0; 4],
            (Role::Server, None) => return Err(WebSocketError::Frame("a frame without a mask")),
            (Role::Client, Some(_)) => return Err(WebSocketError::Frame("a frame with a mask")),
        };
        Ok(Frame { kind, left, mask, mask_at: 0 })
    }

    fn check(&mut self, header: &FrameHeader, len: u64) -> Result<Kind, WebSocketError> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(WebSocketError::Frame("reserved bits, for extensions that nobody offered"));
        }
        if i64::try_from(len).is_err() {
            return Err(WebSocketError::Frame("a length with its highest bit set"));
        }
        let control = match header.opcode {
            OpCode::Data(data) => return self.check_data(data, header.is_final),
            OpCode::Control(control) => control,
        };
        if !header.is_final || len > CONTROL_BYTES_MAX as u64 {
            return Err(WebSocketError::Frame("a control frame that is long or in pieces"));
        }
        match control {
            Control::Ping => Ok(Kind::Ping),
            Control::Pong => Ok(Kind::Pong),
            Control::Close => Ok(Kind::Close),
            Control::Reserved(_) => Err(WebSocketError::Frame("a frame of an unknown kind")),
        }
    }

    fn check_data(&mut self, data: Data, is_final: bool) -> Result<Kind, WebSocketError> {
        match (data, self.in_message) {
            (Data::Binary, false) | (Data::Continue, true) => {
                self.in_message = !is_final;
                Ok(Kind::Data)
            }
            // [MQTT5-6.0.0-1, MQTT3-6.0.0-1]
            (Data::Text, _) => Err(WebSocketError::NotBinary),
            (Data::Continue, false) => Err(WebSocketError::Frame("a continuation of nothing")),
            _ => Err(WebSocketError::Frame("a new message within another")),
        }
    }

    fn take_payload(&mut self, frame: &mut Frame, wire: &mut &[u8], plaintext: &mut Vec<u8>) {
        let len = usize::try_from(frame.left).unwrap_or(usize::MAX).min(wire.len());
        let (payload, rest) = wire.split_at_checked(len).unwrap_or_default();
        *wire = rest;
        frame.left = frame.left.saturating_sub(len as u64);
        if frame.kind == Kind::Data {
            let start = plaintext.len();
            plaintext.extend_from_slice(payload);
            let new = plaintext.get_mut(start..).unwrap_or_default();
            frame.mask_at = apply_mask(new, frame.mask, frame.mask_at);
        } else {
            for byte in payload {
                let [mask, ..] = rotated(frame.mask, frame.mask_at);
                self.control.push(byte ^ mask);
                frame.mask_at = (frame.mask_at + 1) % 4;
            }
        }
    }

    fn end(&mut self, kind: Kind, output: &mut Vec<u8>) -> Result<(), WebSocketError> {
        let control = std::mem::replace(&mut self.control, Short::EMPTY);
        match kind {
            Kind::Ping => {
                push(output, self.role, OpCode::Control(Control::Pong), control.get());
            }
            Kind::Close => {
                check_close(control.get())?;
                self.closed = true;
                self.push_close(control.get(), output);
            }
            Kind::Data | Kind::Pong => {}
        }
        Ok(())
    }
}

/// RFC 6455, 5.5.1 and 7.4.
fn check_close(payload: &[u8]) -> Result<(), WebSocketError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        let empty = payload.is_empty();
        return if empty { Ok(()) } else { Err(WebSocketError::Frame("half a close code")) };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_allowed() || std::str::from_utf8(reason).is_err() {
        return Err(WebSocketError::Frame("a close code or reason that is not allowed"));
    }
    Ok(())
}

fn head_is_complete(head: &[u8]) -> bool {
    let &[_, second, ..] = head else { return false };
    let length = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    head.len() >= 2 + length + mask
}

fn rotated(mut mask: [u8; 4], at: usize) -> [u8; 4] {
    mask.rotate_left(at % 4);
    mask
}

/// Returns which byte of the mask comes next.
fn apply_mask(bytes: &mut [u8], mask: [u8; 4], at: usize) -> usize {
    let mask = rotated(mask, at);
    let len = bytes.len();
    if mask != [0; 4] {
        let (fours, rest) = bytes.as_chunks_mut::<4>();
        let word = u32::from_ne_bytes(mask);
        for four in fours {
            *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    (at + len) % 4
}

fn push(output: &mut Vec<u8>, role: Role, opcode: OpCode, payload: &[u8]) {
    let mask = (role == Role::Client).then(rand::random::<[u8; 4]>);
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    let written = header.format(payload.len() as u64, output);
    debug_assert!(written.is_ok(), "memory takes everything");
    let start = output.len();
    output.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply_mask(output.get_mut(start..).unwrap_or_default(), mask, 0);
    }
}
