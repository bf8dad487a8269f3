//! What a setting's value may be, and how it is written: the same in a file and on the command
//! line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tamtam_core::QoS;
use tamtam_core::broker::QueueFull;

use super::{Durability, Listen};

/// A kind of value: how it is read, and how it is shown so that it can be read again.
pub(crate) trait Value: Sized {
    /// What help shows in its place.
    const EXPECTS: &'static str;
    /// Whether its name alone means `true`.
    const FLAG: bool = false;

    /// Reads a value. Files are meant relative to `base`.
    ///
    /// # Errors
    /// What would be a value.
    fn read(text: &str, base: &Path) -> Result<Self, String>;

    /// As it is written.
    fn show(&self) -> String;
}

impl Value for bool {
    const EXPECTS: &'static str = "true|false";
    const FLAG: Self = true;

    fn read(text: &str, _: &Path) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    const EXPECTS: &'static str = "TEXT";

    fn read(text: &str, _: &Path) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Value for PathBuf {
    const EXPECTS: &'static str = "FILE";

    fn read(text: &str, base: &Path) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a path can't be empty".to_owned());
        }
        Ok(base.join(text))
    }

    fn show(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl Value for SocketAddr {
    const EXPECTS: &'static str = "ADDRESS:PORT";

    fn read(text: &str, _: &Path) -> Result<Self, String> {
        let what = || format!("`{text}` is not an address with a port, such as 127.0.0.1:9883");
        text.parse().map_err(|_| what())
    }

    fn show(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

/// A number that has a largest value, which `unlimited` means where the type goes no further.
macro_rules! number {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
            const EXPECTS: &'static str = "NUMBER";

            fn read(text: &str, _: &Path) -> Result<Self, String> {
                if text == "unlimited" {
                    return Ok(Self::MAX);
                }
                let what = || format!(
                    "`{text}` is neither a number from 0 to {} nor `unlimited`", Self::MAX
                );
                text.replace('_', "").parse().map_err(|_| what())
            }

            fn show(&self) -> String {
                match *self {
                    Self::MAX => "\"unlimited\"".to_owned(),
                    number => number.to_string(),
                }
            }
        }
    )*};
}

number!(u8 u16 u32 u64 usize);

/// A number of bytes: `64 KiB`, `1 MiB`, `4096`, `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    const UNITS: [(&'static str, u64); 4] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    /// As a count of bytes in memory; the most there can be, if that is less.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// As a count of bytes in a packet; the most there can be, if that is less.
    #[must_use]
    pub fn bytes_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl Value for Size {
    const EXPECTS: &'static str = "SIZE";

    fn read(text: &str, _: &Path) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(u64::MAX));
        }
        let what =
            || format!("`{text}` is not a size, such as 512, `64 KiB`, `1 MiB`, `unlimited`");
        let unit = Self::UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let number: u64 = number.replace('_', "").parse().map_err(|_| what())?;
        number.checked_mul(factor).map(Self).ok_or_else(what)
    }

    fn show(&self) -> String {
        if self.0 == u64::MAX {
            return "\"unlimited\"".to_owned();
        }
        let fits = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*factor);
        match Self::UNITS.iter().find(fits) {
            Some((unit, factor)) if *factor > 1 => format!("\"{} {unit}\"", self.0 / factor),
            _ => self.0.to_string(),
        }
    }
}

/// A span of time: `500ms`, `10s`, `5m`, `1h`, `7d`, `unlimited`; a bare number is of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// In milliseconds.
    pub millis: u64,
}

impl Span {
    const UNITS: [(&'static str, u64); 5] =
        [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

    /// Without an end.
    pub const UNLIMITED: Self = Self { millis: u64::MAX };

    /// Of this many seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self { millis: secs.saturating_mul(1_000) }
    }

    /// For the clock of the operating system.
    #[must_use]
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// In whole seconds; the most there can be, if that is less.
    #[must_use]
    pub fn whole_secs(self) -> u32 {
        u32::try_from(self.millis / 1_000).unwrap_or(u32::MAX)
    }
}

impl Value for Span {
    const EXPECTS: &'static str = "TIME";

    fn read(text: &str, _: &Path) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::UNLIMITED);
        }
        let what = || {
            format!("`{text}` is not a time, such as `500ms`, `10s`, `5m`, `1h`, `7d`, `unlimited`")
        };
        let unit = Self::UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)));
        let (number, factor) = unit.unwrap_or((text, 1_000));
        let number: u64 = number.parse().map_err(|_| what())?;
        number.checked_mul(factor).map(|millis| Self { millis }).ok_or_else(what)
    }

    fn show(&self) -> String {
        if *self == Self::UNLIMITED {
            return "\"unlimited\"".to_owned();
        }
        let fits = |(_, factor): &&(&str, u64)| self.millis.is_multiple_of(*factor);
        match Self::UNITS[1..].iter().find(fits) {
            Some((unit, factor)) if self.millis != 0 => {
                format!("\"{}{unit}\"", self.millis / factor)
            }
            _ => format!("\"{}ms\"", self.millis),
        }
    }
}

/// A value that is one of a few words.
macro_rules! words {
    ($kind:ty: $($word:literal = $value:path),+ $(,)?) => {
        impl Value for $kind {
            const EXPECTS: &'static str = words!(@join $($word)+);

            fn read(text: &str, _: &Path) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => {
                        let near = super::nearest::hint(text, [$($word),+]);
                        Err(format!("`{text}` is not one of {}{near}", Self::EXPECTS))
                    }
                }
            }

            fn show(&self) -> String {
                match self {
                    $($value => format!("{:?}", $word),)+
                    #[allow(unreachable_patterns, reason = "some enums of others may grow")]
                    _ => "?".to_owned(),
                }
            }
        }
    };
    (@join $first:literal $($rest:literal)*) => { concat!($first $(, "|", $rest)*) };
}

words!(QoS: "0" = Self::AtMostOnce, "1" = Self::AtLeastOnce, "2" = Self::ExactlyOnce);
words!(QueueFull:
    "drop-newest" = Self::DropNewest, "drop-oldest" = Self::DropOldest,
    "disconnect" = Self::Disconnect, "end-session" = Self::EndSession);
words!(Anonymous: "never" = Self::Never, "loopback" = Self::Loopback,
    "everywhere" = Self::Everywhere);
words!(Identity: "none" = Self::None, "common-name" = Self::CommonName);
words!(Durability: "durable" = Self::Durable, "relaxed" = Self::Relaxed,
    "memory" = Self::Memory);
words!(LogFormat: "text" = Self::Text, "json" = Self::Json);
words!(LogLevel: "error" = Self::Error, "warn" = Self::Warn, "info" = Self::Info,
    "debug" = Self::Debug, "trace" = Self::Trace);

/// Where clients may come without a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nowhere.
    Never,
    /// Where only this machine can connect, as long as there are no accounts.
    #[default]
    Loopback,
    /// Wherever the broker listens.
    Everywhere,
}

/// What names a client that shows a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Its user name and password, as for everybody.
    #[default]
    None,
    /// The common name of the certificate's subject.
    CommonName,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// An object in JSON in each line.
    Json,
}

/// How much is logged: this, and what is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What kept the broker from doing its work.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens to the broker as a whole.
    #[default]
    Info,
    /// What happens to each client.
    Debug,
    /// More than anybody wants to read.
    Trace,
}

impl<T: Value> Value for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;
    const FLAG: bool = T::FLAG;

    fn read(text: &str, base: &Path) -> Result<Self, String> {
        if text == "none" {
            return Ok(None);
        }
        T::read(text, base).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"none\"".to_owned(), T::show)
    }
}

impl Value for Listen {
    const EXPECTS: &'static str = "URL";

    fn read(text: &str, base: &Path) -> Result<Self, String> {
        Self::parse(text, base)
    }

    fn show(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is read as and shown as.
    fn seen<T: Value>(_: T, text: &str) -> Result<String, String> {
        T::read(text, Path::new("/etc")).map(|value| value.show())
    }

    #[test]
    fn what_is_shown_is_what_was_read() {
        for text in ["0", "1", "\"1 KiB\"", "\"64 KiB\"", "\"3 MiB\"", "\"2 GiB\"", "1025"] {
            assert_eq!(seen(Size(9), text.trim_matches('"')).as_deref(), Ok(text));
        }
        for text in ["500ms", "1s", "90s", "2m", "1h", "7d", "unlimited", "0ms"] {
            assert_eq!(seen(Span::secs(9), text), Ok(format!("{text:?}")));
        }
        assert_eq!(seen(Span::secs(9), "60").as_deref(), Ok("\"1m\""));
        assert_eq!(seen(7_u16, "unlimited").as_deref(), Ok("\"unlimited\""));
        assert_eq!(seen(7_u16, "0").as_deref(), Ok("0"));
        assert_eq!(seen(PathBuf::new(), "tls/key.pem").as_deref(), Ok("\"/etc/tls/key.pem\""));
        assert_eq!(seen(Some(7_u16), "none").as_deref(), Ok("\"none\""));
    }

    #[test]
    fn what_is_no_value_is_said_with_what_would_be() {
        for (error, what) in [
            (seen(7_u16, "70000"), "`70000` is neither a number from 0 to 65535 nor `unlimited`"),
            (seen(true, "yes"), "`yes` is neither `true` nor `false`"),
            (seen(Size(9), "3 MB"), "`3 MB` is not a size"),
            (seen(Size(9), "99999999999 GiB"), "`99999999999 GiB` is not a size"),
            (seen(Span::secs(9), "3 weeks"), "`3 weeks` is not a time"),
            (seen(Anonymous::Never, "evrywhere"), "did you mean `everywhere`?"),
        ] {
            let error = error.expect_err(what);
            assert!(error.contains(what), "{error}");
        }
    }
}
