//! Every setting there is: its name, what it is for, what it may be, and what it is unless somebody
//! says otherwise. The file, the command line, `--help`, `--check` and the manual page are all made
//! of these tables.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tamtam_core::QoS;
use tamtam_core::broker::QueueFull;

use super::value::Value;
use super::{Anonymous, Durability, Identity, Listen, LogFormat, LogLevel, Size, Span};
use crate::rules::Permission;

/// One setting of a section `T`.
pub(crate) struct Setting<T> {
    pub(crate) key: &'static str,
    pub(crate) about: &'static [&'static str],
    pub(crate) expects: &'static str,
    pub(crate) flag: bool,
    pub(crate) take: fn(&mut T, &str, &Path) -> Result<(), String>,
    pub(crate) show: fn(&T) -> String,
}

/// A part of the configuration that has a table of settings.
pub(crate) trait Section: Default + 'static {
    const SETTINGS: &'static [Setting<Self>];

    /// The names of its settings.
    fn keys() -> impl Iterator<Item = &'static str> {
        Self::SETTINGS.iter().map(|setting| setting.key)
    }
}

macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident { $($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:expr,)+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $kind,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl Section for $name {
            const SETTINGS: &'static [Setting<Self>] = &[$(Setting {
                key: stringify!($key),
                about: &[$($doc),+],
                expects: <$kind as Value>::EXPECTS,
                flag: <$kind as Value>::FLAG,
                take: |section, text, base| {
                    section.$key = <$kind as Value>::read(text, base)?;
                    Ok(())
                },
                show: |section| Value::show(&section.$key),
            },)+];
        }
    };
}

section! {
    /// What concerns the broker as a whole: the keys at the top of the file.
    General {
        /// The folder that holds all that must survive a restart. Without it:
        /// `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/tamtam`, else `~/.local/state/tamtam`.
        data: Option<PathBuf> = None,
        /// Keep everything in memory: a restart forgets it.
        memory: bool = false,
        /// What an acknowledgement says: `durable`, that the message is on disk; `relaxed`, that it
        /// will be in a moment, and a crash before that loses it; `memory`, nothing: a restart
        /// forgets the message. For some topics alone: `[[topic]]` in the file.
        durability: Durability = Durability::Durable,
        /// Where clients may come without a name: `loopback` means where only this machine can
        /// connect, as long as there are no accounts.
        anonymous: Anonymous = Anonymous::Loopback,
        /// The accounts: a file that `tamtam passwd` or `mosquitto_passwd` wrote.
        password_file: Option<PathBuf> = None,
        /// Who may read and write what: a file as mosquitto has it.
        acl_file: Option<PathBuf> = None,
        /// How many threads compare passwords, off the broker's own.
        password_threads: u8 = 1,
        /// Write the number of the process here.
        pid_file: Option<PathBuf> = None,
        /// The socket of `tamtam ctl`. Without it: `control.sock` in the folder of the data, and
        /// none in memory.
        control: Option<PathBuf> = None,
        /// Serve metrics (`/metrics`) and health (`/health`) here, over HTTP.
        metrics: Option<SocketAddr> = None,
        /// How often the topics below `$SYS/broker` are published; `0` for never.
        sys_interval: Span = Span::secs(10),
        /// How long clients may take to read what is theirs when the broker stops.
        stop_timeout: Span = Span::secs(5),
    }
}

section! {
    /// The log: `[log]` in the file.
    Log {
        /// How much is logged.
        level: LogLevel = LogLevel::Info,
        /// How it is written.
        format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// What the broker allows: `[limits]` in the file. A limit of 0 means 0.
    Limits {
        /// How many connections at once.
        connections: usize = 1_000_000,
        /// How many connections at once from one address, or from one network of 64 bits in IPv6;
        /// one more is closed.
        connections_per_address: usize = usize::MAX,
        /// How many connections at once of one user; one more is refused (quota exceeded). Clients
        /// without a name do not count.
        connections_per_user: usize = usize::MAX,
        /// How many connections a second each listener takes; others wait until it is their turn.
        connect_rate: u32 = u32::MAX,
        /// How many sessions, connected or not.
        sessions: usize = 1_000_000,
        /// How many subscriptions in all.
        subscriptions: usize = 10_000_000,
        /// How many subscriptions a session may have.
        subscriptions_per_session: u32 = u32::MAX,
        /// How many levels a topic or a filter may have.
        topic_levels: usize = 128,
        /// How many retained messages.
        retained_messages: usize = 10_000_000,
        /// Bytes of retained messages, topics and properties included.
        retained_memory: Size = Size(u64::MAX),
        /// Bytes of messages that are retained, queued, in flight, or wills.
        message_memory: Size = Size(1 << 30),
        /// How long a connection may take to its CONNECT.
        connect_timeout: Span = Span::secs(10),
        /// How long whoever embeds the broker may take to answer what a rule with `ask` asks it;
        /// then the client is refused.
        ask_timeout: Span = Span::secs(10),
        /// The largest packet that is taken.
        max_packet_size: Size = Size(16 << 20),
        /// The largest packet that is taken before a client is accepted.
        max_connect_size: Size = Size(64 << 10),
        /// The highest QoS.
        maximum_qos: QoS = QoS::ExactlyOnce,
        /// Whether messages can be retained.
        retain: bool = true,
        /// Whether filters may have wildcards.
        wildcards: bool = true,
        /// Whether subscriptions can be shared.
        shared_subscriptions: bool = true,
        /// How many QoS 1 and 2 messages a client may send ahead of their acknowledgement (MQTT 5).
        receive_maximum: u16 = 1_000,
        /// How many are sent ahead to a client that does not say, as in MQTT 3.
        send_window: u16 = 1_000,
        /// The highest topic alias that a client may use.
        topic_alias_maximum: u16 = 32,
        /// How many topic aliases the broker uses for a client, within what the client allows.
        outgoing_aliases: u16 = 16,
        /// The longest keep alive, also for a client that asks for none (MQTT 5).
        keep_alive_max: Span = Span::UNLIMITED,
        /// The longest time that a session outlives its connection.
        session_expiry_max: Span = Span::UNLIMITED,
        /// Whether a client without an identifier is given one.
        empty_client_id: bool = true,
        /// Whether the user's name is the client identifier, whatever the client says.
        client_id_from_user: bool = false,
        /// How many messages a second are taken from a connection; others wait, and it with them.
        message_rate: Option<u32> = None,
        /// How many messages wait for one session.
        queue_messages: usize = 1_000_000,
        /// Bytes of messages that wait for one session.
        queue_memory: Size = Size(256 << 20),
        /// Bytes that wait in the output of one connection before messages wait in the queue.
        output_memory: Size = Size(256 << 10),
        /// What happens to a message for a session whose queue is full.
        queue_full: QueueFull = QueueFull::DropNewest,
        /// Whether QoS 0 messages wait for a session that is not connected.
        queue_qos0: bool = false,
    }
}

section! {
    /// One listener: `[[listener]]` in the file.
    Listener {
        /// What is spoken and where: `mqtt://`, `mqtts://`, `ws://` or `wss://` with an address and
        /// a port, or `unix:` with a path. A port alone is one of loopback. `ws://` and `wss://`
        /// may end with the only path that is served, such as `/mqtt`.
        listen: Listen = Listen::default(),
        /// Where clients may come without a name, for this listener.
        anonymous: Option<Anonymous> = None,
        /// The certificate and its chain, in PEM; `mqtts://` and `wss://` need it.
        certificate: Option<PathBuf> = None,
        /// The private key of the certificate, in PEM.
        key: Option<PathBuf> = None,
        /// The certificates of those who vouch for clients, in PEM; a client may then show one.
        client_ca: Option<PathBuf> = None,
        /// Whether a client must show a certificate.
        require_certificate: bool = false,
        /// What names a client that shows a certificate.
        identity: Identity = Identity::None,
        /// Whether a proxy in front says who really connects (PROXY protocol, versions 1 and 2).
        /// Then nobody else may connect here.
        proxy_protocol: bool = false,
        /// Whether small packets are sent at once, or gathered by the system for a moment (TCP).
        no_delay: bool = true,
        /// What stands before each topic and filter of this listener's clients, unseen by them.
        mount_point: String = String::new(),
        /// What the client identifiers begin with that the broker gives here.
        client_id_prefix: String = "auto-".to_owned(),
        /// How many connections at once by this listener, within the broker's; one more is closed.
        connections: Option<usize> = None,
        /// Instead of the broker's: how many connections at once from one address.
        connections_per_address: Option<usize> = None,
        /// Instead of the broker's: how many connections at once of one user.
        connections_per_user: Option<usize> = None,
        /// Instead of the broker's: how many connections a second.
        connect_rate: Option<u32> = None,
        /// Instead of the broker's: the largest packet that is taken.
        max_packet_size: Option<Size> = None,
        /// Instead of the broker's: the highest QoS.
        maximum_qos: Option<QoS> = None,
        /// Instead of the broker's: whether messages can be retained.
        retain: Option<bool> = None,
        /// Instead of the broker's: whether filters may have wildcards.
        wildcards: Option<bool> = None,
        /// Instead of the broker's: whether subscriptions can be shared.
        shared_subscriptions: Option<bool> = None,
        /// Instead of the broker's: how many messages a client may send ahead.
        receive_maximum: Option<u16> = None,
        /// Instead of the broker's: the longest keep alive.
        keep_alive_max: Option<Span> = None,
        /// Instead of the broker's: the longest time that a session outlives its connection.
        session_expiry_max: Option<Span> = None,
        /// Instead of the broker's: how many subscriptions a session may have.
        subscriptions_per_session: Option<u32> = None,
        /// Instead of the broker's: what an acknowledgement says. With `memory`, a restart forgets
        /// the sessions of this listener's clients, too.
        durability: Option<Durability> = None,
        /// Instead of the broker's: how many messages a second are taken from a connection.
        message_rate: Option<u32> = None,
        /// Instead of the broker's: how many messages wait for one session.
        queue_messages: Option<usize> = None,
        /// Instead of the broker's: what happens to a message for a session whose queue is full.
        queue_full: Option<QueueFull> = None,
    }
}

section! {
    /// What holds for some topics: `[[topic]]` in the file. The first that matches counts.
    TopicLine {
        /// Which topics, with what stands before those of a listener.
        filter: String = String::new(),
        /// What an acknowledgement says of their messages, whoever publishes them.
        durability: Durability = Durability::Durable,
    }
}

section! {
    /// One rule of access: `[[rule]]` in the file. Without any, and without an `acl_file`,
    /// everything is allowed; with `rule = []`, nothing.
    RuleLine {
        /// Whom it is for: a user, `""` for clients without a name, and everybody if left out.
        user: Option<String> = None,
        /// Which topics: a filter, in which `%c` is the client identifier and `%u` the user.
        topic: String = String::new(),
        /// What with them.
        access: Permission = Permission::ReadWrite,
    }
}
