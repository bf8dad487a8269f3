//! `tamtam store`: looks into the store of a broker that is not running, checks it, and moves what
//! is in it from one to another.

mod import;
mod inspect;
mod line;
mod mosquitto;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tamtam_broker::config::Config;
use tamtam_store::{Disk, Kept};

use line::Line;

/// Look into the store of a broker, check it, export it, or fill it.
///
/// The broker must not be running: two processes can't have one store.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The folder of the broker's data; the one that `tamtam broker` takes, if left out.
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say how much of what there is, and which sessions have most.
    Inspect {
        /// Say what waits for this client.
        #[arg(long, value_name = "CLIENT")]
        session: Option<String>,
    },
    /// Read everything, and say what is damaged or does not belong together. Exit code 1 if
    /// anything is.
    Verify,
    /// Write everything as JSON, a line for each record.
    Export {
        /// Where to; the standard output, if left out.
        file: Option<PathBuf>,
    },
    /// Fill an empty store: with what `export` wrote, or with the sessions and retained messages of
    /// a `mosquitto.db` of mosquitto 2.0.
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// Exit code 0: done; 1: not done, or something is damaged.
pub(crate) fn run(args: &Args) -> ExitCode {
    #[cfg(unix)]
    tamtam_broker::privacy::keep_files_private(); // what is exported is as private as the store
    match act(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tamtam store: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &Args) -> Result<bool, String> {
    let folder = folder(args.data.as_deref())?;
    let is_import = matches!(args.command, Command::Import { .. });
    if !is_import && !folder.is_dir() {
        return Err(format!("there is no store in {}", folder.display()));
    }
    let disk = Disk::open(&folder).map_err(|error| error.to_string())?;
    let bytes = disk.disk_bytes().unwrap_or_default();
    let mut kept = Kept::new(disk);
    match &args.command {
        Command::Inspect { session: None } => inspect::all(&mut kept, bytes),
        Command::Inspect { session: Some(client) } => inspect::session(&mut kept, client),
        Command::Verify => inspect::verify(&mut kept),
        Command::Export { file } => export(&mut kept, file.as_deref()),
        Command::Import { file } => import::run(&mut kept, file),
    }
}

/// Where the broker has its store.
fn folder(data: Option<&Path>) -> Result<PathBuf, String> {
    let data = match data {
        Some(data) => Some(data.to_owned()),
        None => Config::default().data_folder()?,
    };
    data.map(|data| data.join("store")).ok_or_else(|| "say --data FOLDER".to_owned())
}

fn export(kept: &mut Kept, file: Option<&Path>) -> Result<bool, String> {
    let mut out: Box<dyn Write> = match file {
        Some(path) => {
            let file = File::create_new(path);
            Box::new(file.map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::new(&mut out);
    let mut written = Line::Store { format: line::FORMAT }.write(&mut out);
    let read = kept.records(|record| {
        if written.is_ok() {
            written = Line::of(record).map_or(Ok(()), |line| line.write(&mut out));
        }
    });
    let findings = read.map_err(|error| error.to_string())?;
    written.and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    Ok(inspect::tell(&findings))
}
