//! `tamtam broker`: the broker, as a process.

mod args;

use std::path::Path;
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tamtam_broker::config::{Config, Durability, Listener};
use tamtam_broker::logging::Logging;
use tamtam_broker::{Daemon, Remote, systemd};

pub(crate) use args::Args;

/// Exit code 0: it was stopped, or the check found nothing wrong; 1: it could not start, or was
/// ended by the system; 2: the options or the configuration are wrong.
pub(crate) fn run(args: &Args) -> ExitCode {
    #[cfg(unix)]
    tamtam_broker::privacy::keep_files_private();
    let loaded = Config::load(args.config.as_deref(), &args.options);
    let daemon = match loaded.map_err(Into::into).and_then(Daemon::new) {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if args.check {
        return check(daemon.config());
    }
    match serve(daemon, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tamtam broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(config: &Config) -> ExitCode {
    println!("# The configuration is right. What it says beyond the defaults:");
    print!("{}", config.changes());
    ExitCode::SUCCESS
}

fn serve(daemon: Daemon, args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let config = daemon.config().clone();
    let data = daemon.data().map(Path::to_owned);
    let logging = Logging::start(&config.log)?;
    for warning in daemon.warnings() {
        tracing::warn!("{warning}");
    }
    // From here on signals wait for us, so that none ends the process half-way.
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let running = daemon.start()?;
    let _pid_file = config.general.pid_file.as_deref().map(PidFile::write).transpose()?;
    let greeting = greeting(&running.config(), running.urls(), data.as_deref());
    for line in &greeting {
        println!("{line}");
    }
    notify(&format!("READY=1\nSTATUS={}", greeting[0]));
    follow_signals(signals, running.remote(), args.clone(), logging)?;
    running.wait()?;
    tracing::info!("stopped");
    Ok(())
}

/// What it does, where its data is, and how to open it up.
fn greeting(config: &Config, urls: &[String], data: Option<&Path>) -> [String; 3] {
    let open = |listener: &Listener| config.allows_anonymous(listener);
    let local = config.listeners.iter().all(|listener| listener.listen.is_loopback());
    let who = match (config.listeners.iter().any(open), local) {
        (true, true) => "anybody on this machine may connect",
        (true, false) => "anybody may connect",
        (false, _) => "clients need an account or a certificate",
    };
    let version = env!("CARGO_PKG_VERSION");
    let data = match data {
        Some(folder) => format!("data: in {}; {}", folder.display(), promise(config)),
        None => "data: in memory, so a restart forgets it".to_owned(),
    };
    let more = if config.listeners.iter().any(open) && local {
        "to let others in: tamtam passwd users NAME, then tamtam broker --password-file users \
         --listen 0.0.0.0:1883"
    } else {
        "settings: tamtam broker --help; what yours change: the same command with --check"
    };
    [format!("tamtam {version}: MQTT on {}; {who}", urls.join(", ")), data, more.to_owned()]
}

/// What an acknowledgement says.
fn promise(config: &Config) -> String {
    let usual = config.general.durability;
    let promise = match usual {
        Durability::Durable => "what is acknowledged is on disk",
        Durability::Relaxed => "relaxed, so a crash may lose what was acknowledged just before",
        Durability::Memory => "messages in memory, so a restart forgets them",
    };
    let of_listeners = config.listeners.iter().filter_map(|one| one.durability);
    let mut others = of_listeners.chain(config.topics.iter().map(|one| one.durability));
    let but =
        if others.any(|other| other != usual) { ", but as settings say otherwise" } else { "" };
    format!("{promise}{but}")
}

/// Does what signals say, on a thread of its own, for as long as the process lives.
fn follow_signals(
    mut signals: Signals,
    remote: Remote,
    args: Args,
    logging: Logging,
) -> std::io::Result<()> {
    let follow = move || {
        for signal in &mut signals {
            if signal == SIGHUP {
                reload(&remote, &args, &logging);
            } else {
                tracing::info!("stopping");
                notify("STOPPING=1");
                remote.ask_to_stop();
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(follow).map(drop)
}

fn reload(remote: &Remote, args: &Args, logging: &Logging) {
    notify(&format!("RELOADING=1\n{}", systemd::monotonic()));
    let config = Config::load(args.config.as_deref(), &args.options);
    let level = config.as_ref().map(|config| config.log.level).ok();
    match config.map_err(Into::into).and_then(|config| remote.reload(config)) {
        Ok(kept) => {
            if let Some(level) = level {
                logging.set_level(level);
            }
            for what in kept {
                tracing::warn!("{what}");
            }
            tracing::info!("configuration, accounts and rules were read again");
        }
        Err(error) => tracing::error!("nothing was changed: {error}"),
    }
    notify("READY=1");
}

fn notify(state: &str) {
    if let Err(error) = systemd::notify(state) {
        tracing::warn!("systemd was not told: {error}");
    }
}

/// The file with the number of the process; it goes when the process does.
struct PidFile<'a>(&'a Path);

impl<'a> PidFile<'a> {
    fn write(path: &'a Path) -> Result<Self, String> {
        let text = format!("{}\n", std::process::id());
        let failed = |error| format!("{}: {error}", path.display());
        std::fs::write(path, text).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // It is for those who watch over processes.
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(path, mode).map_err(failed)?;
        }
        Ok(Self(path))
    }
}

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0); // somebody may have done so already
    }
}
