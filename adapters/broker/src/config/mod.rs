//! The configuration: defaults, then a file, then options of the command line; each wins over what
//! came before it.
//!
//! A file is in TOML. [`options`] lists what there is; every problem is reported at once, with its
//! place and the nearest valid name.

mod check;
mod file;
mod limits;
mod listen;
mod nearest;
mod settings;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

pub use listen::{Listen, Place, Scheme};
pub use nearest::nearest;
pub use settings::{General, Limits, Listener, Log, RuleLine, TopicLine};
/// What an acknowledgement says of the disk.
pub use tamtam_core::broker::Durability;
pub use value::{Anonymous, Identity, LogFormat, LogLevel, Size, Span};

pub(crate) use value::Value;

use settings::{Section, Setting};

/// All that can be configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What concerns the broker as a whole.
    pub general: General,
    /// The log.
    pub log: Log,
    /// What the broker allows.
    pub limits: Limits,
    /// Where it listens; with none, at port 1883 of loopback.
    pub listeners: Vec<Listener>,
    /// What is said of the topics that filters match; of two that match, the first counts.
    pub topics: Vec<TopicLine>,
    /// Rules of access beside the `acl_file`; `None` if the file does not speak of any.
    pub rules: Option<Vec<RuleLine>>,
}

/// Everything that is wrong with a configuration, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Nothing, if nothing is wrong.
    ///
    /// # Errors
    /// All that is.
    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// An option of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, without the dashes in front.
    pub name: String,
    /// What stands for its value in help.
    pub expects: &'static str,
    /// What it is for, a line each.
    pub about: Vec<&'static str>,
    /// What it is unless somebody says otherwise, as the file would have it.
    pub default: String,
    /// Whether its name alone means `true`.
    pub flag: bool,
    /// Under which heading help shows it.
    pub heading: &'static str,
}

/// Every option of the command line that a setting has.
#[must_use]
pub fn options() -> Vec<OptionSpec> {
    let mut all = specs::<General>("", "Broker");
    all.extend(specs::<Limits>("", "Limits"));
    // What a listener may say for itself has the broker's option on the command line.
    let is_new = |spec: &OptionSpec| all.iter().all(|other| other.name != spec.name);
    let of_listeners: Vec<_> =
        specs::<Listener>("", "Listeners").into_iter().filter(is_new).collect();
    all.extend(of_listeners);
    all.extend(specs::<Log>("log-", "Log"));
    all
}

fn specs<T: Section>(prefix: &str, heading: &'static str) -> Vec<OptionSpec> {
    let unset = T::default();
    let spec = |setting: &Setting<T>| OptionSpec {
        name: format!("{prefix}{}", setting.key.replace('_', "-")),
        // The one path that is not a file's.
        expects: if setting.key == "data" { "FOLDER" } else { setting.expects },
        about: setting.about.iter().map(|line| line.trim()).collect(),
        default: (setting.show)(&unset),
        flag: setting.flag,
        heading,
    };
    T::SETTINGS.iter().map(spec).collect()
}

impl Config {
    /// The defaults, with what a file says, with what options say: pairs of a name and a value.
    ///
    /// Options of a listener hold for the listeners that options name, else for all.
    ///
    /// # Errors
    /// Everything that can't be read, and everything that can't work.
    pub fn load(file: Option<&Path>, options: &[(String, String)]) -> Result<Self, Problems> {
        let mut config = Self::default();
        let mut problems = Problems::default();
        if let Some(name) = file {
            match std::fs::read_to_string(name) {
                Ok(text) => file::read(name, &text, &mut config, &mut problems),
                Err(error) => problems.0.push(format!("{}: {error}", name.display())),
            }
        }
        config.take_options(options, &mut problems);
        if config.listeners.is_empty() {
            config.listeners.push(Listener::default());
        }
        problems.0.extend(check::contradictions(&config));
        problems.none().map(|()| config)
    }

    fn take_options(&mut self, options: &[(String, String)], problems: &mut Problems) {
        let (listen, others): (Vec<_>, Vec<_>) =
            options.iter().partition(|(name, _)| name == "listen");
        if !listen.is_empty() {
            self.listeners = vec![Listener::default(); listen.len()];
        } else if self.listeners.is_empty() {
            self.listeners.push(Listener::default());
        }
        let here = Path::new("");
        for ((_, url), listener) in listen.iter().zip(&mut self.listeners) {
            match Listen::parse(url, here) {
                Ok(listen) => listener.listen = listen,
                Err(what) => problems.0.push(format!("--listen: {what}")),
            }
        }
        for (name, text) in others {
            let key = name.replace('-', "_");
            let log_key = key.strip_prefix("log_").unwrap_or_default();
            let taken = take(&mut self.general, &key, text, here)
                .or_else(|| take(&mut self.limits, &key, text, here))
                .or_else(|| take(&mut self.log, log_key, text, here))
                .or_else(|| {
                    let mut all = self.listeners.iter_mut();
                    all.try_fold(Ok(()), |so_far, listener| {
                        Some(so_far.and(take(listener, &key, text, here)?))
                    })
                });
            match taken {
                Some(Ok(())) => {}
                Some(Err(what)) => problems.0.push(format!("--{name}: {what}")),
                None => problems.0.push(format!("there is no option --{name}")),
            }
        }
        // What options say wins over what the file says of the same thing.
        if options.iter().any(|(name, _)| name == "data") {
            self.general.memory =
                options.iter().any(|(name, text)| name == "memory" && text == "true");
        } else if self.general.memory && options.iter().any(|(name, _)| name == "memory") {
            self.general.data = None;
        }
    }

    /// Puts the listeners, in order, where sockets are open for them already. A single listener is
    /// for all of them.
    ///
    /// # Errors
    /// Several listeners, but fewer than places; and what can't work there, such as a place that
    /// strangers reach where the listener's own was for this machine alone.
    pub fn listen_at(&mut self, places: &[Place]) -> Result<(), Problems> {
        if let [only] = &self.listeners[..] {
            self.listeners = vec![only.clone(); places.len().max(1)];
        }
        if places.len() > self.listeners.len() {
            let (places, listeners) = (places.len(), self.listeners.len());
            let what =
                format!("{places} sockets were handed over, but there are {listeners} listeners");
            return Err(Problems(vec![what]));
        }
        for (listener, place) in self.listeners.iter_mut().zip(places) {
            listener.listen.place = place.clone();
        }
        Problems(check::contradictions(self)).none()
    }

    /// What differs from the defaults, in the words of the file, each with the default behind it.
    #[must_use]
    pub fn changes(&self) -> String {
        check::changes(self)
    }

    /// The folder of the data; `None` if everything is kept in memory.
    ///
    /// # Errors
    /// Nothing says where it is.
    pub fn data_folder(&self) -> Result<Option<PathBuf>, String> {
        if self.general.memory {
            return Ok(None);
        }
        if let Some(folder) = &self.general.data {
            return Ok(Some(folder.clone()));
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(folder) = variable("STATE_DIRECTORY") {
            let folder = folder.to_string_lossy();
            return Ok(folder.split(':').next().map(PathBuf::from));
        }
        if let Some(folder) = variable("XDG_STATE_HOME") {
            return Ok(Some(Path::new(&folder).join("tamtam")));
        }
        match variable("HOME") {
            Some(home) => Ok(Some(Path::new(&home).join(".local/state/tamtam"))),
            None => {
                Err("there is no place for the data: say --data FOLDER, or --memory".to_owned())
            }
        }
    }

    /// Whether clients of a listener may come without a name.
    #[must_use]
    pub fn allows_anonymous(&self, listener: &Listener) -> bool {
        match listener.anonymous.unwrap_or(self.general.anonymous) {
            Anonymous::Never => false,
            Anonymous::Everywhere => true,
            Anonymous::Loopback => {
                listener.listen.is_loopback()
                    && !listener.proxy_protocol
                    && self.general.password_file.is_none()
            }
        }
    }
}

/// Gives a section's setting a value; `None` if there is no such setting.
fn take<T: Section>(
    section: &mut T,
    key: &str,
    text: &str,
    base: &Path,
) -> Option<Result<(), String>> {
    let setting = T::SETTINGS.iter().find(|setting| setting.key == key)?;
    Some((setting.take)(section, text, base))
}

#[cfg(test)]
mod tests;
