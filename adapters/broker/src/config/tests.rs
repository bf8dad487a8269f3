use super::*;

use tamtam_core::broker::Options;

/// A configuration from the text of a file, and options.
fn load(text: &str, options: &[(&str, &str)]) -> Result<Config, String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("tamtam-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("tamtam.toml");
    std::fs::write(&file, text).expect("a file");
    let options: Vec<(String, String)> =
        options.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let config = Config::load(Some(&file), &options);
    std::fs::remove_dir_all(&folder).expect("a folder");
    config.map_err(|problems| problems.to_string().replace(folder.to_str().unwrap_or(""), ""))
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let text = "pasword_file = \"users\"\nmemory = 3\n\n[limits]\nmax_packet_size = \"1 MB\"\n\
        [limit]\n[[listener]]\nlisen = \"1883\"\n  listen = \"mqqt://0.0.0.0\"\n";
    let error = load(text, &[("retain", "maybe"), ("max-packet", "3")]).expect_err("wrong");
    for line in [
        "/tamtam.toml:1:1: there is no key `pasword_file` (did you mean `password_file`?)",
        "/tamtam.toml:2:10: memory: `3` is neither `true` nor `false`",
        "/tamtam.toml:5:19: max_packet_size: `1 MB` is not a size, such as 512, `64 KiB`, `1 MiB`, \
         `unlimited`",
        "/tamtam.toml:6:2: there is no key `limit` (did you mean `limits`?)",
        "/tamtam.toml:8:1: there is no key `lisen` (did you mean `listen`?)",
        "/tamtam.toml:9:12: listen: `mqqt` is not one of mqtt, mqtts, ws, wss, unix (did you mean \
         `mqtt`?)",
        "--retain: `maybe` is neither `true` nor `false`",
        "there is no option --max-packet",
    ] {
        assert!(error.lines().any(|found| found == line), "{line}\nis not in\n{error}");
    }
    assert_eq!(error.lines().count(), 8, "{error}");
    let error = load("a = \n", &[]).expect_err("no TOML");
    assert!(error.starts_with("/tamtam.toml:1:"), "{error}");
}

#[test]
fn options_win_over_the_file_and_the_file_over_defaults() {
    let text = "memory = true\n[limits]\nretain = false\nqueue_messages = 5\n\
        [[listener]]\nlisten = \"127.0.0.1:1\"\n[[listener]]\nlisten = \"127.0.0.1:2\"\n";
    let config = load(text, &[("queue-messages", "7"), ("log-level", "debug")]).expect("right");
    assert_eq!((config.limits.retain, config.limits.queue_messages), (false, 7));
    assert_eq!((config.log.level, config.listeners.len()), (LogLevel::Debug, 2));
    assert!(config.general.memory);

    let config = load(text, &[("listen", "1884"), ("data", "/tmp/x")]).expect("right");
    let urls: Vec<String> = config.listeners.iter().map(|one| one.listen.to_string()).collect();
    assert_eq!(urls, ["mqtt://127.0.0.1:1884"]);
    assert_eq!(config.data_folder(), Ok(Some(PathBuf::from("/tmp/x"))));
}

#[test]
fn nobody_is_let_in_from_afar_by_accident() {
    let open = [("listen", "0.0.0.0:1883")];
    let error = load("", &open).expect_err("open");
    assert!(error.contains("anybody who reaches it"), "{error}");
    assert!(error.contains("anonymous = \"everywhere\""), "{error}");
    load("anonymous = \"everywhere\"", &open).expect("said in so many words");
    let closed = load("password_file = \"users\"", &open).expect("accounts");
    assert!(!closed.allows_anonymous(&closed.listeners[0]));
    let proxied = [("listen", "127.0.0.1:1883"), ("proxy-protocol", "true")];
    assert!(load("", &proxied).is_err(), "who is behind the proxy is not this machine");
    let local = load("", &[]).expect("right");
    assert!(local.allows_anonymous(&local.listeners[0]));
    let local = load("password_file = \"users\"", &[]).expect("right");
    assert!(!local.allows_anonymous(&local.listeners[0]), "accounts are for everybody");
}

#[test]
fn contradictions_are_found() {
    for (text, what) in [
        ("memory = true\ndata = \"x\"", "contradict each other"),
        ("listener = [{ listen = \"mqtts://127.0.0.1\" }]", "TLS needs a `certificate`"),
        ("listener = [{ certificate = \"x\" }]", "certificates need mqtts://"),
        ("listener = [{ identity = \"common-name\" }]", "`identity` needs a `client_ca`"),
        ("listener = [{}, {}]", "another listener is there already"),
        ("rule = [{ topic = \"a#\" }]", "rule 1: topic \"a#\""),
        ("listener = 1", "write [[listener]], once for each"),
        ("topic = 1", "write [[topic]], once for each"),
        ("topic = [{ filter = \"a#\" }]", "topic 1: filter \"a#\""),
        ("topic = [{}]", "topic 1: filter \"\""),
        ("topic = [{ filter = \"$share/g/a\" }]", "leave `$share` away"),
        ("topic = [{ durability = \"memori\" }]", "did you mean `memory`?"),
    ] {
        let error = load(text, &[]).expect_err(text);
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn what_changes_is_shown_as_the_file_would_say_it() {
    let text = "[log]\nlevel = \"debug\"\n[limits]\nmax_packet_size = 1048576\n\
        [[listener]]\nlisten = \"1884\"\n";
    let config = load(text, &[]).expect("right");
    let changes = config.changes();
    for line in [
        "level = \"debug\"                                  # instead of \"info\"",
        "max_packet_size = \"1 MiB\"                        # instead of \"16 MiB\"",
        "listen = \"mqtt://127.0.0.1:1884\"                 # instead of \"mqtt://127.0.0.1:1883\"",
    ] {
        assert!(changes.lines().any(|found| found == line), "{changes}");
    }
    assert_eq!(load(&changes, &[]), Ok(config), "it can be read again");
}

#[test]
fn durability_is_that_of_the_broker_unless_a_listener_or_a_topic_says_otherwise() {
    let text = "durability = \"relaxed\"\n[[listener]]\nlisten = \"1884\"\n\
        [[listener]]\nlisten = \"1885\"\ndurability = \"memory\"\n\
        [[topic]]\nfilter = \"orders/#\"\n\
        [[topic]]\nfilter = \"#\"\ndurability = \"memory\"\n";
    let config = load(text, &[]).expect("right");
    let of = |at: usize| config.limits_of(&config.listeners[at]).durability;
    let own = config.options().durability;
    assert_eq!((own, of(0), of(1)), (Durability::Relaxed, Durability::Relaxed, Durability::Memory));
    let classes: Vec<_> =
        config.classes().map(|(filter, class)| (filter.to_string(), class)).collect();
    let expected = [("orders/#", Durability::Durable), ("#", Durability::Memory)];
    assert_eq!(classes, expected.map(|(filter, class)| (filter.to_owned(), class)));
    assert_eq!(load(&config.changes(), &[]), Ok(config), "it is shown as it can be read again");
}

#[test]
fn defaults_are_those_of_the_core() {
    assert_eq!(Options::from(&Limits::default()), Options::DEFAULT);
}

#[test]
fn sockets_that_are_open_already_take_the_listeners_places() {
    let place = |host: &str, port| Place::Tcp { host: host.to_owned(), port };
    let here = [place("127.0.0.1", 99), place("::1", 99)];
    let mut config = load("", &[("maximum-qos", "1")]).expect("right");
    config.listen_at(&here).expect("this machine alone");
    let urls: Vec<String> = config.listeners.iter().map(|one| one.listen.to_string()).collect();
    assert_eq!(urls, ["mqtt://127.0.0.1:99", "mqtt://[::1]:99"]);
    // What was for this machine alone is not opened up by who opened the socket.
    let mut config = load("", &[]).expect("right");
    let error = config.listen_at(&[place("0.0.0.0", 99)]).expect_err("strangers");
    assert!(error.to_string().contains("anybody who reaches it"), "{error}");
    let mut config = load("", &[("listen", "1"), ("listen", "2")]).expect("right");
    config.listen_at(&here[..1]).expect("the other one is opened by the broker");
    assert_eq!(config.listeners[1].listen.to_string(), "mqtt://127.0.0.1:2");
    let error = config.listen_at(&[here.as_slice(), &here].concat()).expect_err("too many");
    assert!(error.to_string().contains("4 sockets were handed over"), "{error}");
}

#[test]
fn how_long_whoever_is_asked_may_take_is_a_limit() {
    let asked = |text: &str| load(text, &[]).map(|config| config.options().ask_timeout_ms);
    assert_eq!(asked(""), Ok(10_000));
    assert_eq!(asked("[limits]\nask_timeout = \"1500ms\"\n"), Ok(1_500));
    assert_eq!(asked("[limits]\nask_timeout = \"unlimited\"\n"), Ok(u32::MAX));
    let error = asked("[limits]\nask_timout = \"1s\"\n").expect_err("no such key");
    assert!(error.contains("did you mean `ask_timeout`?"), "{error}");
}
