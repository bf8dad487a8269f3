//! A server that behaves, unless it is told to misbehave.

use std::collections::BTreeMap;
use std::fmt;

use tamtam_core::{Instant, Version};

use super::link::Link;
use super::session::{Flight, Letter, Session};
use super::Server;
use crate::dice::Dice;
use crate::oracle::Published;
use crate::wire::{
    Ack, AckKind, Answer, ConnAck, Connect, Notice, Packet, Props, Publish, Request, decode, id,
    take_frames,
};

/// How many letters above QoS 0 it has under way before MQTT 5.
const OLD_WINDOW: usize = 20;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What it says in CONNACK, to a client of MQTT 5.
    pub connack: Props,
    /// The return code of CONNACK, as the version of the client has it.
    pub code: u8,
    /// Whether it answers CONNECT, and PINGREQ.
    pub accepts: bool,
    /// Whether it answers PINGREQ.
    pub pongs: bool,
    /// Whether it reads.
    pub reads: bool,
    /// How long its answers take, in milliseconds.
    pub answer_ms: (u64, u64),
    /// In how many of a hundred cases it refuses a message (MQTT 5).
    pub refuse_percent: u64,
    /// In how many of a hundred cases it uses a topic alias, where it may.
    pub alias_percent: u64,
    /// How often it asks for more before it accepts an authentication.
    pub authentication_rounds: u32,
    /// Whether what comes to `echo/…` goes back to `back/…`.
    pub echoes: bool,
}

impl Manners {
    /// Good ones.
    pub const GOOD: Self = Self {
        connack: Props::NONE,
        code: 0,
        accepts: true,
        pongs: true,
        reads: true,
        answer_ms: (0, 0),
        refuse_percent: 0,
        alias_percent: 0,
        authentication_rounds: 1,
        echoes: false,
    };
}

/// What a trick does instead of the proper reaction to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The proper one.
    Proper,
    /// These bytes and nothing else.
    Instead(Vec<u8>),
    /// The proper one, and then these bytes.
    Besides(Vec<u8>),
    /// The line is closed.
    HangUp,
}

/// Misbehaves: is shown every packet that comes.
pub type Trick = Box<dyn FnMut(&Packet) -> Reaction>;

/// See the module.
pub struct Scripted {
    /// How it behaves from now on.
    pub manners: Manners,
    /// How it misbehaves.
    pub trick: Option<Trick>,
    /// The sessions, by client identifier.
    pub sessions: BTreeMap<Vec<u8>, Session>,
    /// What a client did wrong in its eyes.
    pub complaints: Vec<String>,
    /// Every CONNECT that came.
    pub connects: Vec<Connect>,
    /// How many SUBSCRIBE packets came.
    pub subscribes: u64,
    /// The DISCONNECT codes that came, in order.
    pub goodbyes: Vec<u8>,
    links: BTreeMap<usize, Link>,
    letters: Vec<(Vec<u8>, Published)>,
    taken: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, u32>>,
    assigned: u32,
    dice: Dice,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("manners", &self.manners).finish_non_exhaustive()
    }
}
