//! Where to connect and as whom: options that pub, sub and rr share, with mosquitto's letters.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{ArgAction, Args};
use tamtam_core::client::{Options, Reconnect};
use tamtam_core::{Properties, Property, QoS, TopicName, Version, Will};
use tamtam_transport::{ClientLayers, Endpoint, TlsClient};

use super::properties::{Given, Packet};
use super::route::Route;

/// Which options of mosquitto's tools are missing, and why.
pub(crate) const MISSING: &str = "\
Of the options of mosquitto's tools these are missing:
  --ciphers, --tls-version        TLS is of version 1.2 or 1.3, with ciphers that are safe
  --psk, --psk-identity           keys that both ends know beforehand: certificates do that
  --keyform, --tls-engine,
  --tls-engine-kpass-sha1         keys in hardware: a key is a file in PEM
  --proxy                         SOCKS
Different: without -V it is MQTT 5, and --insecure trusts whoever answers, as it says.";

/// Where and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// Show this help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The address of the broker.
    #[arg(short = 'h', long, value_name = "ADDRESS", help_heading = "Connection")]
    host: Option<String>,
    /// Its port: 1883, and 8883 with TLS.
    #[arg(short, long, help_heading = "Connection")]
    port: Option<u16>,
    /// All in one: mqtt://user:password@host:port/topic, mqtts://, ws://, wss://, unix:/path.
    #[arg(short = 'L', long, conflicts_with_all = ["host", "port"], help_heading = "Connection")]
    url: Option<String>,
    /// The socket of a broker on this machine.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    #[arg(conflicts_with_all = ["host", "port", "url"])]
    unix: Option<String>,
    /// Leave from this address of this machine.
    #[arg(short = 'A', value_name = "ADDRESS", help_heading = "Connection")]
    bind: Option<String>,
    /// Small packets leave at once. They always do.
    #[arg(long, help_heading = "Connection")]
    nodelay: bool,
    /// The client identifier.
    #[arg(short = 'i', long, value_name = "ID", help_heading = "Connection")]
    id: Option<String>,
    /// The beginning of a client identifier; the number of the process is its end.
    #[arg(short = 'I', long, value_name = "PREFIX", conflicts_with = "id")]
    #[arg(help_heading = "Connection")]
    id_prefix: Option<String>,
    /// The user.
    #[arg(short = 'u', long, value_name = "NAME", help_heading = "Connection")]
    username: Option<String>,
    /// The password. Others on this machine can see it: TAMTAM_PASSWORD in the environment is
    /// better.
    #[arg(short = 'P', long = "pw", value_name = "PASSWORD", help_heading = "Connection")]
    password: Option<String>,
    /// The version of MQTT: 3.1, 3.1.1 or 5.
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "5", value_parser = version)]
    #[arg(help_heading = "Connection")]
    pub(crate) protocol_version: Version,
    /// The keep alive, in seconds.
    #[arg(short = 'k', long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(help_heading = "Connection")]
    keepalive: u16,
    /// Keep the session when this ends: no clean start, and a session that never expires.
    #[arg(short = 'c', long, help_heading = "Connection")]
    pub(crate) disable_clean_session: bool,
    /// How long the session outlives the connection, in seconds; -1 for ever (MQTT 5).
    #[arg(short = 'x', long, value_name = "SECONDS", help_heading = "Connection")]
    #[arg(value_parser = expiry, allow_hyphen_values = true)]
    session_expiry_interval: Option<u32>,
    /// A property of a packet (MQTT 5): PACKET NAME VALUE, or PACKET user-property NAME VALUE.
    #[arg(short = 'D', long = "property", num_args = 3..=4, action = ArgAction::Append)]
    #[arg(value_names = ["PACKET", "NAME", "VALUE"], help_heading = "Connection")]
    properties: Vec<String>,
    /// Say what happens.
    #[arg(short, long, help_heading = "Connection")]
    pub(crate) debug: bool,

    /// To where the will goes.
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    will_topic: Option<String>,
    /// What the will says.
    #[arg(long, value_name = "TEXT", requires = "will_topic", help_heading = "Will")]
    will_payload: Option<String>,
    /// The QoS of the will.
    #[arg(long, value_name = "QOS", requires = "will_topic", default_value = "0")]
    #[arg(value_parser = qos, help_heading = "Will")]
    will_qos: QoS,
    /// The will is retained.
    #[arg(long, requires = "will_topic", help_heading = "Will")]
    will_retain: bool,

    /// Use TLS, and trust whom the system trusts.
    #[arg(long, visible_alias = "tls-use-os-certs", help_heading = "TLS")]
    tls: bool,
    /// Use TLS, and trust the authorities whose certificates are in this PEM file.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cafile: Option<PathBuf>,
    /// The same, with all files of this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "cafile", help_heading = "TLS")]
    capath: Option<PathBuf>,
    /// The client's certificate and its chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// The key of the client's certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,
    /// Use TLS, and trust whoever answers: for tests only.
    #[arg(long, help_heading = "TLS")]
    insecure: bool,
    /// Which protocol to agree on within TLS (ALPN), where a server wants one of its own.
    #[arg(long, value_name = "PROTOCOL", help_heading = "TLS")]
    tls_alpn: Option<String>,
    /// Use WebSocket.
    #[arg(long, help_heading = "Connection")]
    ws: bool,
}

/// A level of quality, as mosquitto's tools take it.
pub(crate) fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("the QoS is 0, 1 or 2".to_owned()),
    }
}

/// How long a session lasts, as mosquitto's tools take it.
fn expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" | "unlimited" => Ok(u32::MAX),
        _ => text.parse().map_err(|_| "a number of seconds, or -1 for ever".to_owned()),
    }
}

fn version(text: &str) -> Result<Version, String> {
    match text.trim_start_matches("mqttv") {
        "31" | "3.1" => Ok(Version::V31),
        "311" | "3.1.1" => Ok(Version::V311),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("the version is 3.1, 3.1.1 or 5".to_owned()),
    }
}

/// A connection's settings, checked; what options borrow from.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) route: Route,
    /// The topic that the URL ended in.
    pub(crate) topic: Option<String>,
    pub(crate) client_id: String,
    pub(crate) given: Given,
    args: Connection,
}

impl Connection {
    /// Checks them.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let (url, topic) = self.place()?;
        let endpoint: Endpoint = url.parse().map_err(|error| format!("{error}"))?;
        let given = Given::parse(&self.properties)?;
        if self.protocol_version != Version::V5 && !self.properties.is_empty() {
            return Err("-D needs MQTT 5: -V 5".to_owned());
        }
        let client_id = match (&self.id, &self.id_prefix) {
            (Some(id), _) => id.clone(),
            (None, Some(prefix)) => format!("{prefix}{}", std::process::id()),
            (None, None) if self.disable_clean_session => {
                return Err("-c needs a client identifier to come back to: -i".to_owned());
            }
            // MQTT 3.1 has no empty identifiers.
            (None, None) if self.protocol_version == Version::V31 => {
                format!("tamtam-{}", std::process::id())
            }
            (None, None) => String::new(),
        };
        let route = Route { endpoint, layers: self.layers()?, bind: self.own_address()? };
        Ok(Settings { route, topic, client_id, given, args: self.clone() })
    }

    /// The URL of the broker, and the topic at its end.
    fn place(&self) -> Result<(String, Option<String>), String> {
        let files = [&self.cafile, &self.capath, &self.cert];
        let has_file = files.iter().any(|file| file.is_some());
        let has_tls = self.tls || self.insecure || has_file || self.tls_alpn.is_some();
        if let Some(path) = &self.unix {
            return Ok((format!("unix://{path}"), None));
        }
        let Some(url) = &self.url else {
            let host = self.host.as_deref().unwrap_or("127.0.0.1");
            let brackets = host.contains(':') && !host.starts_with('[');
            let host = if brackets { format!("[{host}]") } else { host.to_owned() };
            let scheme = match (has_tls, self.ws) {
                (false, false) => "mqtt",
                (true, false) => "mqtts",
                (false, true) => "ws",
                (true, true) => "wss",
            };
            let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
            return Ok((format!("{scheme}://{host}{port}"), None));
        };
        if let Some(path) = url.strip_prefix("unix:").filter(|path| !path.starts_with("//")) {
            return Ok((format!("unix://{path}"), None));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("`{url}` is no URL: write mqtt://host/topic"));
        };
        if has_tls && !matches!(scheme, "mqtts" | "wss") {
            return Err(format!("{scheme}:// has no TLS: write mqtts:// or wss://"));
        }
        match rest.split_once('/') {
            Some((authority, topic)) if matches!(scheme, "mqtt" | "mqtts") => {
                let topic = (!topic.is_empty()).then(|| topic.to_owned());
                Ok((format!("{scheme}://{authority}"), topic))
            }
            _ => Ok((url.clone(), None)),
        }
    }

    /// Which of our addresses to leave from.
    fn own_address(&self) -> Result<Option<IpAddr>, String> {
        let Some(name) = &self.bind else { return Ok(None) };
        let found = (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut all| all.next());
        let found = found.ok_or_else(|| format!("-A: `{name}` is no address of this machine"))?;
        Ok(Some(found.ip()))
    }

    fn layers(&self) -> Result<ClientLayers, String> {
        let tls = match (&self.cafile, &self.capath) {
            _ if self.insecure => TlsClient::insecure_trusting_anybody(),
            (Some(file), _) => TlsClient::roots_file(file),
            (None, Some(folder)) => TlsClient::roots_folder(folder),
            // The system's authorities are looked up when they are needed.
            (None, None) if self.cert.is_none() && self.tls_alpn.is_none() => {
                return Ok(ClientLayers::new());
            }
            (None, None) => TlsClient::system_roots(),
        };
        let tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => tls.and_then(|tls| tls.identity_files(cert, key)),
            _ => tls,
        };
        let tls = match &self.tls_alpn {
            Some(protocol) => tls.map(|tls| tls.alpn(protocol)),
            None => tls,
        };
        tls.map(|tls| ClientLayers::new().tls(tls)).map_err(|error| error.to_string())
    }
}

impl Settings {
    /// Calls with the options that these settings are.
    ///
    /// # Errors
    /// What is wrong with them, or what the call says.
    pub(crate) fn with_options<T>(
        &self,
        reconnect: bool,
        then: impl FnOnce(Options<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let args = &self.args;
        let environment = std::env::var("TAMTAM_PASSWORD").ok();
        let will_properties: Vec<Property<'_>> = self.given.of(Packet::Will)?;
        let mut options = Options::new(args.protocol_version)
            .client_id(&self.client_id)
            .keep_alive_secs(args.keepalive)
            .reconnect(if reconnect { Reconnect::DEFAULT } else { Reconnect::Never })
            .clean_start(!args.disable_clean_session)
            .adopt_session(args.disable_clean_session);
        if args.disable_clean_session {
            options = options.session_expiry_secs(args.session_expiry_interval.unwrap_or(u32::MAX));
        } else if let Some(secs) = args.session_expiry_interval {
            options = options.session_expiry_secs(secs);
        }
        let user = args.username.as_deref().or(self.route.endpoint.user());
        if let Some(user) = user {
            options = options.user_name(user);
        }
        let password = args.password.as_deref().or(self.route.endpoint.password());
        if let Some(password) = password.or(user.and(environment.as_deref())) {
            options = options.password(password.as_bytes());
        }
        for property in self.given.of(Packet::Connect)? {
            options = options.property(property);
        }
        if let Some(topic) = &args.will_topic {
            let topic = TopicName::new(topic).map_err(|error| format!("--will-topic: {error}"))?;
            let payload = args.will_payload.as_deref().unwrap_or_default().as_bytes();
            let mut will = Will::new(topic, payload);
            (will.qos, will.retain) = (args.will_qos, args.will_retain);
            will.properties = Properties::new(&will_properties);
            options = options.will(will);
        }
        then(options)
    }
}
