//! What `pub`, `sub` and `rr` have in common with mosquitto's tools, seen side by side.
#![cfg(unix)]

mod common;

use common::broker::Broker;
use common::{Answer, Scratch, finish, piped, run, tamtam};

fn publish(port: &str, args: &[&str]) {
    let answer = run(&[&["pub", "-p", port], args].concat(), b"");
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""), "{answer:?}");
}

/// One message, by our `sub` or by mosquitto's.
fn one(program: &mut std::process::Command, port: &str, args: &[&str]) -> Answer {
    let common = ["-p", port, "-V", "5", "-t", "room/+", "-C", "1", "-W", "5"];
    finish(program.args(common).args(args), b"")
}

#[test]
fn formats_mean_what_they_mean_to_mosquitto() {
    let broker = Broker::start(&[]);
    let port = broker.port().to_string();
    let property = |words: &'static str| ["-D", "publish"].into_iter().chain(words.split(' '));
    let properties: Vec<&str> = [
        "user-property k v",
        "user-property k w",
        "content-type text/plain",
        "correlation-data xyz",
        "response-topic answers",
        "payload-format-indicator 1",
    ]
    .into_iter()
    .flat_map(property)
    .collect();
    publish(
        &port,
        &[&["-t", "room/7", "-m", "{\"a\": 1}", "-r", "-q", "1"], &properties[..]].concat(),
    );
    for format in [
        "%t|%p|%q|%r|%l|%m|%x|%X|%%",
        "%C|%D|%E|%F|%P|%R|%S|%A",
        "%12t|%-12t|%.3t|%-9.3t|%9.3t|%2t",
        "%6l|%06l|%-6l|%-06l|%6m|%06m",
        "%12p|%-12p|%012p", // that it cuts %20x in half is its fault
        "%14C|%-14C|%.4C|%9R|%.2R|%3F|%03F|%5E|%5S|%5A",
        r"a\tb\\c\n\e[1m\v\a\r",
        "@Y-@m-@d @j @@x".trim_end_matches(" @@x"),
        "%-30I",
    ] {
        for qos in ["0", "1"] {
            let ours = one(tamtam().arg("sub"), &port, &["-q", qos, "-F", format]);
            let theirs = one(&mut piped("mosquitto_sub"), &port, &["-q", qos, "-F", format]);
            let cut = |text: &str| match format {
                "%-30I" => [&text[..11], &text[19..]].concat(), // not the time of day
                _ => text.to_owned(),
            };
            assert_eq!(cut(&ours.out), cut(&theirs.out), "{format}: {ours:?} {theirs:?}");
            assert_eq!(ours.code, Some(0), "{ours:?}");
        }
    }
    // Each has its own order of keys and its own moment.
    for (format, pretty) in [("%j", false), ("%J", false), ("%j", true)] {
        let args = ["-q", "1", "-F", format, "--pretty"];
        let args = if pretty { &args[..] } else { &args[..4] };
        let ours = one(tamtam().arg("sub"), &port, args);
        let theirs = one(&mut piped("mosquitto_sub"), &port, args);
        let lines = |answer: &Answer| answer.out.lines().count();
        assert_eq!(lines(&ours), lines(&theirs), "{ours:?} {theirs:?}");
        let json = |answer: &Answer| {
            let mut json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
            assert!(json["tst"].as_str().unwrap().starts_with("20"), "{json}");
            json["tst"] = "then".into();
            json
        };
        assert_eq!(json(&ours), json(&theirs));
    }
    for wrong in ["%y", "%", "@", "\\", "\\q", "%5q"] {
        let answer = one(tamtam().arg("sub"), &port, &["-F", wrong]);
        assert_eq!(answer.code, Some(2), "{wrong}: {answer:?}");
    }
}

#[test]
fn the_time_is_what_the_clock_says_here() {
    let broker = Broker::start(&[]);
    let port = broker.port().to_string();
    publish(&port, &["-t", "room/7", "-m", "x", "-r"]);
    let mut sub = tamtam();
    sub.arg("sub").env("TZ", "IST-5:30");
    let answer = one(&mut sub, &port, &["-F", "%I @z @N %U"]);
    let words: Vec<&str> = answer.out.split_whitespace().collect();
    assert!(words[0].ends_with("+0530") && words[0].len() == 24, "{words:?}");
    assert_eq!(words[1], "+0530");
    assert!(words[2].len() == 9 && words[3].ends_with(words[2]), "{words:?}");
}

#[test]
fn ways_to_a_broker() {
    let scratch = Scratch::new("options-ways");
    let socket = scratch.path("mqtt.sock");
    let control = scratch.path("control.sock");
    let unix = format!("unix:{socket}");
    let broker = Broker::start(&["--listen", &unix, "--control", &control]);
    let port = broker.port().to_string();
    let kept = ["-t", "t", "-m", "x", "-q", "1"];
    for way in [["--unix", &socket], ["-L", &unix]] {
        let answer = run(&[&["pub"], &way[..], &kept].concat(), b"");
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    publish(&port, &[&kept[..], &["-M", "1", "--nodelay", "--repeat", "20"]].concat());
    // A session that is kept for ever, from an address of our choice.
    let session = ["-i", "kept", "-x", "-1", "-A", "127.0.0.2", "-t", "t"];
    let mut sub = tamtam();
    sub.args(["sub", "-p", &port]).args(session);
    let mut sub = sub.spawn().unwrap();
    common::broker::eventually("it is connected from there", || {
        let shown = run(&["ctl", "--control", &control, "show", "kept", "--json"], b"");
        shown.out.contains("\"127.0.0.2:")
    });
    sub.kill().unwrap();
    sub.wait().unwrap();
    let shown = run(&["ctl", "--control", &control, "show", "kept", "--json"], b"");
    assert!(shown.out.contains(&format!("\"expiry_secs\":{}", u32::MAX)), "{shown:?}");
    let answer = run(&[&["pub", "-p", &port, "-A", "192.0.2.1"], &kept[..]].concat(), b"");
    assert_eq!(answer.code, Some(1), "not an address of this machine: {answer:?}");
}

#[test]
fn what_is_printed_and_what_is_not() {
    let broker = Broker::start(&[]);
    let port = broker.port().to_string();
    for number in 0..200 {
        publish(&port, &["-t", &format!("many/{number}"), "-m", "x", "-r"]);
        if number >= 20 {
            break;
        }
    }
    let sub = |args: &[&str]| {
        run(&[&["sub", "-p", &port, "-t", "many/+", "-W", "1"], args].concat(), b"")
    };
    assert_eq!(sub(&["--random-filter", "0"]).out, "");
    assert_eq!(sub(&["--random-filter", "100"]).out.lines().count(), 21);
    assert_eq!(sub(&["--random-filter", "101"]).code, Some(2));

    let mut server = tamtam();
    server.args(["sub", "-p", &port, "-t", "question", "-C", "1", "-F", "%R", "-d"]);
    let mut server = server.spawn().unwrap();
    let mut log = std::io::BufReader::new(server.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("subscribed") {
        std::io::BufRead::read_line(&mut log, &mut said).unwrap();
    }
    // What was retained at the topic of the answer is an answer, unless -R says otherwise.
    publish(&port, &["-t", "answer", "-m", "stale", "-r", "-q", "1"]);
    let ask = ["rr", "-p", &port, "-t", "question", "-m", "?", "-e", "answer", "-W", "1"];
    let answer = run(&[&ask[..], &["-N"]].concat(), b"");
    assert_eq!((answer.out.as_str(), answer.code), ("stale", Some(0)), "{answer:?}");
    let answer = run(&[&ask[..], &["-R", "--quiet"]].concat(), b"");
    assert_eq!((answer.out.as_str(), answer.err.as_str()), ("", ""), "{answer:?}");
    assert_eq!(answer.code, Some(27));
    server.wait().unwrap();
}

/// Every option that mosquitto's tools have is one of ours, or its help says that it is missing.
#[test]
fn no_option_is_missing_without_a_word() {
    for (ours, theirs) in
        [("pub", "mosquitto_pub"), ("sub", "mosquitto_sub"), ("rr", "mosquitto_rr")]
    {
        let help = run(&[ours, "--help"], b"").out;
        let their_help = finish(piped(theirs).arg("--help"), b"").out;
        let words = their_help.split(|letter: char| " []{}|,\n".contains(letter));
        let mut options: Vec<&str> = words.filter(|word| is_option(word)).collect();
        options.sort_unstable();
        options.dedup();
        assert!(options.len() > 40, "{options:?}");
        for option in options {
            let known =
                help.split(|letter: char| " ,\n[]".contains(letter)).any(|word| word == option);
            assert!(known, "{ours} {option}\n{help}");
        }
    }
}

fn is_option(word: &str) -> bool {
    let name = word.strip_prefix("--").unwrap_or_default();
    let letter = word.strip_prefix('-').unwrap_or_default();
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    name.len() > 1 && is_name(name)
        || letter.len() == 1 && letter.as_bytes()[0].is_ascii_alphabetic()
}
