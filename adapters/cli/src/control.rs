//! `tamtam ctl`: looks at a broker that runs, and acts on it, over its private socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use tamtam_broker::config::Config;
use tamtam_broker::control_socket;

/// Look at a broker that runs on this machine, and act on it.
///
/// It has to be the same user's. Exit code 0: done; 1: not done; 2: the command line is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The broker's folder of data, if it is not the usual one.
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The broker's socket, if it is not in the folder of data.
    #[arg(long, global = true, value_name = "FILE")]
    control: Option<PathBuf>,
    /// Print objects in JSON, a line each.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// What can be asked of a broker.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What it has, and what it has done.
    Status,
    /// Every connection, with its address, and what is on its way to it.
    Links,
    /// Every session, connected or not, with its user and its queue.
    Sessions,
    /// Every subscription of any session.
    Subscriptions,
    /// What waits for a client, or is on its way to it, in the order in which it is sent.
    Queue {
        /// The client identifier.
        client: String,
    },
    /// A session with its subscriptions.
    Show {
        /// The client identifier.
        client: String,
    },
    /// Retained messages.
    Retained {
        /// Those that this filter matches.
        #[arg(default_value = "#")]
        filter: String,
    },
    /// Close the connection of a client; its session stays.
    Disconnect {
        /// The client identifier.
        client: String,
        /// The reason code that it is told (MQTT 5).
        #[arg(long, default_value = "0x98", value_parser = code)]
        reason: u8,
    },
    /// End a session, and its connection.
    End {
        /// The client identifier.
        client: String,
    },
    /// Drop what waits for a client and was not sent.
    Clear {
        /// The client identifier.
        client: String,
    },
    /// Delete retained messages.
    Delete {
        /// Those that this filter matches.
        filter: String,
    },
    /// Print what happens to connections, sessions and subscriptions, and each copy of a message
    /// that is dropped, until it is interrupted.
    Events,
}

fn code(text: &str) -> Result<u8, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a reason code is 0x80 to 0xA2".to_owned())
}

impl Verb {
    fn request(&self) -> Value {
        match self {
            Self::Status => json!({"do": "status"}),
            Self::Links => json!({"do": "links"}),
            Self::Sessions => json!({"do": "sessions"}),
            Self::Subscriptions => json!({"do": "subscriptions"}),
            Self::Queue { client } => json!({"do": "queue", "client": client}),
            Self::Show { client } => json!({"do": "show", "client": client}),
            Self::Retained { filter } => json!({"do": "retained", "filter": filter}),
            Self::Disconnect { client, reason } => {
                json!({"do": "disconnect", "client": client, "reason": reason})
            }
            Self::End { client } => json!({"do": "end", "client": client}),
            Self::Clear { client } => json!({"do": "clear", "client": client}),
            Self::Delete { filter } => json!({"do": "delete", "filter": filter}),
            Self::Events => json!({"do": "events"}),
        }
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match ask(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tamtam ctl: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(args: &Args) -> Result<(), String> {
    let mut config = Config::default();
    (config.general.data, config.general.control) = (args.data.clone(), args.control.clone());
    let socket = control_socket(&config, config.data_folder()?.as_deref())
        .ok_or("where is the broker? --data FOLDER, or --control FILE")?;
    let mut stream = UnixStream::connect(&socket).map_err(|error| {
        let path = socket.display();
        format!("{path}: {error}: is a broker running there? One in memory needs --control FILE")
    })?;
    let request = format!("{}\n", args.verb.request());
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if let Some(error) = value["error"].as_str() {
            return Err(error.to_owned());
        }
        if !value["end"].is_null() {
            return if args.json { Ok(()) } else { print(&table(&rows)) };
        }
        match (args.json, &args.verb) {
            (true, _) => print(&format!("{line}\n"))?,
            (false, Verb::Events) => print(&format!("{}\n", in_a_line(&value)))?,
            (false, _) => rows.push(value),
        }
    }
    Err("the broker has stopped".to_owned())
}

fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// A value as a person reads it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '.' } else { c }).collect(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) if number.as_u64() == Some(u64::from(u32::MAX)) => "never".to_owned(),
        other => other.to_string(),
    }
}

fn in_a_line(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let words: Vec<String> = fields.map(|(key, value)| format!("{key}={}", plain(value))).collect();
    words.join(" ")
}

/// Columns for many rows; a line for each field of a single one.
fn table(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return String::new() };
    let keys: Vec<&String> = first.keys().collect();
    let mut text = String::new();
    if rows.len() == 1 {
        for (key, value) in first {
            match value.as_array() {
                Some(items) => {
                    for item in items {
                        text.push_str(&format!("{key:<18} {}\n", in_a_line(item)));
                    }
                }
                None => text.push_str(&format!("{key:<18} {}\n", plain(value))),
            }
        }
        return text;
    }
    let widths: Vec<usize> = keys
        .iter()
        .map(|key| {
            let cells = rows.iter().map(|row| plain(&row[key.as_str()]).chars().count());
            cells.chain([key.len()]).max().unwrap_or_default()
        })
        .collect();
    let mut line = |cells: Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    };
    line(keys.iter().map(|key| key.to_uppercase()).collect());
    for row in rows {
        line(keys.iter().map(|key| plain(&row[key.as_str()])).collect());
    }
    text
}
