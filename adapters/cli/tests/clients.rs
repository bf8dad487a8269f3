//! `tamtam pub`, `sub` and `rr` from outside, against the real broker.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command};

use common::broker::{Broker, eventually};
use common::raw::Raw;
use common::{Answer, Scratch, finish, piped, run, tamtam};

/// A `sub` that has its subscription.
struct Sub {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Sub {
    fn start(broker: &Broker, args: &[&str]) -> Self {
        let port = broker.port().to_string();
        let mut child = tamtam().args(["sub", "-p", &port, "-d"]).args(args).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("subscribed") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self { child, log }
    }

    fn end(self) -> Answer {
        let Self { child, mut log } = self;
        let output = child.wait_with_output().unwrap();
        let mut err = String::new();
        log.read_to_string(&mut err).unwrap();
        Answer {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err,
            code: output.status.code(),
        }
    }
}

fn broker() -> Broker {
    Broker::start(&[])
}

fn publish(broker: &Broker, args: &[&str], input: &[u8]) -> Answer {
    let port = broker.port().to_string();
    run(&[&["pub", "-p", &port], args].concat(), input)
}

fn done(answer: &Answer) {
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""), "{answer:?}");
}

#[test]
fn messages_go_from_pub_to_sub_in_every_version_at_every_qos() {
    let broker = broker();
    for version in ["3.1", "mqttv311", "5"] {
        for qos in ["0", "1", "2"] {
            let sub =
                Sub::start(&broker, &["-V", version, "-q", qos, "-t", "a/#", "-v", "-C", "2"]);
            done(&publish(&broker, &["-V", version, "-q", qos, "-t", "a/b", "-m", "hello"], b""));
            done(&publish(&broker, &["-t", "a", "-n"], b""));
            let answer = sub.end();
            assert_eq!(answer.out, "a/b hello\na \n", "{version} {qos} {answer:?}");
            assert_eq!(answer.code, Some(0));
        }
    }
}

#[test]
fn lines_files_and_repetitions_arrive_whole_and_in_order() {
    let scratch = Scratch::new("clients-lines");
    let broker = broker();
    let sub = Sub::start(&broker, &["-t", "l", "-q", "1", "-C", "503"]);
    let lines: String = (0..500).map(|number| format!("line {number}\n")).collect();
    done(&publish(&broker, &["-t", "l", "-q", "2", "-l"], lines.as_bytes()));
    done(&publish(&broker, &["-t", "l", "-q", "1", "-m", "again", "--repeat", "3"], b""));
    assert_eq!(sub.end().out, lines + "again\nagain\nagain\n");

    let large: String = "0123456789abcdef".repeat(1 << 17);
    let file = scratch.write("large", &large);
    let sub = Sub::start(&broker, &["-t", "f", "-q", "2", "-C", "2", "-F", "%l %r %q"]);
    done(&publish(&broker, &["-t", "f", "-q", "2", "-f", &file], b""));
    done(&publish(&broker, &["-t", "f", "-s"], b"from standard input"));
    assert_eq!(sub.end().out, "2097152 0 2\n19 0 0\n");
}

#[test]
fn formats_show_what_a_message_has() {
    let broker = broker();
    let properties = [
        "-D",
        "publish",
        "user-property",
        "a",
        "b c",
        "-D",
        "publish",
        "content-type",
        "text/x",
        "-D",
        "PUBLISH",
        "message-expiry-interval",
        "60",
    ];
    let args = [&["-t", "a/b", "-r", "-q", "1", "-m", "{\"x\": 1}"], &properties[..]].concat();
    done(&publish(&broker, &args, b""));
    let port = broker.port().to_string();
    let shown = |format: &str| {
        run(&["sub", "-p", &port, "-t", "a/+", "-q", "1", "-C", "1", "-W", "5", "-F", format], b"")
    };
    for (format, wanted) in [
        (r"%t\t%p|%x %X", "a/b\t{\"x\": 1}|7b2278223a20317d 7B2278223A20317D\n"),
        ("%C %P %r %q %l %%", "text/x a:b c 1 1 8 %\n"),
    ] {
        assert_eq!(shown(format).out, wanted);
    }
    let json: serde_json::Value = serde_json::from_str(&shown("%j").out).unwrap();
    assert_eq!((&json["topic"], &json["payload"]), (&"a/b".into(), &"{\"x\": 1}".into()));
    assert_eq!(json["properties"]["user-properties"]["a"], "b c");
    let json: serde_json::Value = serde_json::from_str(&shown("%J").out).unwrap();
    assert_eq!((&json["payload"]["x"], &json["retain"]), (&1.into(), &1.into()));
    assert_eq!(shown("%z").code, Some(2));
}

#[test]
fn what_is_retained_is_filtered_and_removed() {
    let broker = broker();
    for topic in ["r/1", "r/2", "r/3"] {
        done(&publish(&broker, &["-t", topic, "-r", "-m", topic], b""));
    }
    let port = broker.port().to_string();
    let sub =
        |args: &[&str]| run(&[&["sub", "-p", &port, "-t", "r/#", "-W", "1"], args].concat(), b"");
    let answer = sub(&["-T", "r/2", "-C", "2"]);
    let mut lines: Vec<&str> = answer.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["r/1", "r/3"]);
    let answer = sub(&["-R"]);
    assert_eq!((answer.code, answer.out.as_str()), (Some(27), ""), "-W is over");
    assert_eq!(sub(&["--remove-retained", "-C", "3"]).code, Some(0));
    assert_eq!(sub(&[]).out, "");
}

#[test]
fn a_session_is_kept_and_a_will_is_sent() {
    let broker = broker();
    let port = broker.port().to_string();
    let kept = ["sub", "-p", &port, "-i", "kept", "-c", "-q", "1", "-t", "k"];
    assert_eq!(run(&[&kept[..], &["-E"]].concat(), b"").code, Some(0));
    done(&publish(&broker, &["-t", "k", "-q", "1", "-m", "while away"], b""));
    let answer = run(&[&kept[..], &["-C", "1", "-W", "5"]].concat(), b"");
    assert_eq!(answer.out, "while away\n");
    assert_eq!(run(&["sub", "-p", &port, "-c", "-t", "k"], b"").code, Some(2), "no identifier");

    let watch = Sub::start(&broker, &["-t", "gone", "-C", "1"]);
    let will = ["--will-topic", "gone", "--will-payload", "bye", "--will-qos", "1"];
    let mut dying = Sub::start(&broker, &[&["-t", "x"], &will[..]].concat());
    dying.child.kill().unwrap();
    dying.child.wait().unwrap();
    assert_eq!(watch.end().out, "bye\n");
}

#[test]
fn a_request_is_answered() {
    let broker = broker();
    let port = broker.port().to_string();
    let mut server = Raw::connected(broker.port(), "server");
    server.subscribe("ask");
    let asking = tamtam()
        .args(["rr", "-p", &port, "-t", "ask", "-e", "answer/7", "-m", "what?", "-v", "-q", "0"])
        .spawn()
        .unwrap();
    assert_eq!(server.message(), "what?");
    server.publish("answer/7", "that");
    let answer = asking.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "answer/7 that\n");
    let answer = run(&["rr", "-p", &port, "-t", "nobody", "-m", "", "-W", "1"], b"");
    assert_eq!(answer.code, Some(27));
    assert!(answer.err.contains("no answer within 1 seconds"), "{answer:?}");
}

#[test]
fn what_went_wrong_is_said_with_what_to_do() {
    let answer = run(&["pub", "-p", "21411", "-t", "a", "-m", "b"], b"");
    assert_eq!(answer.code, Some(1));
    let wanted = "connection refused: is a broker running at mqtt://127.0.0.1:21411?";
    assert!(answer.err.contains(wanted), "{answer:?}");
    assert_eq!(run(&["pub", "-t", "a"], b"").code, Some(2));
    assert!(run(&["pub", "-m", "a"], b"").err.contains("to which topic?"));
    assert!(run(&["sub", "-t", "a#"], b"").err.contains("a#: "));
    assert!(run(&["sub", "-t", "a", "-V", "4"], b"").err.contains("3.1, 3.1.1 or 5"));
    assert!(run(&["pub", "-L", "localhost/a", "-m", "b"], b"").err.contains("is no URL"));
    let answer = run(&["pub", "-t", "a", "-m", "b", "-D", "publish", "colour", "red"], b"");
    assert!(answer.err.contains("there is no such property"), "{answer:?}");

    let scratch = Scratch::new("clients-wrong");
    let users = scratch.path("users");
    assert_eq!(run(&["passwd", "-b", &users, "alice", "a"], b"").code, Some(0));
    let acl = scratch.write("acl", "user alice\ntopic mine/#\n");
    let broker = Broker::start(&["--password-file", &users, "--acl-file", &acl]);
    let port = broker.port().to_string();
    let answer = run(&["sub", "-p", &port, "-t", "a"], b"");
    assert_eq!(answer.code, Some(0x87));
    assert!(answer.err.contains("not authorized: CONNACK 0x87"), "{answer:?}");
    let answer = run(&["pub", "-p", &port, "-V", "311", "-u", "alice", "-t", "a", "-n"], b"");
    assert_eq!(answer.code, Some(0x86), "{answer:?}");
    let url = format!("mqtt://alice:a@127.0.0.1:{port}/theirs");
    let answer = run(&["pub", "-L", &url, "-m", "b", "-q", "1"], b"");
    assert_eq!(answer.code, Some(0x87), "{answer:?}");
    let answer = run(&["sub", "-L", &url], b"");
    assert_eq!(answer.code, Some(0x87));
    assert!(answer.err.contains("no subscription to theirs"), "{answer:?}");
    let url = format!("mqtt://alice@127.0.0.1:{port}/mine/a");
    let mut command = tamtam();
    command.args(["pub", "-L", &url, "-m", "b", "-q", "1"]).env("TAMTAM_PASSWORD", "a");
    done(&finish(&mut command, b""));
}

#[test]
fn a_sub_comes_back_when_the_broker_does() {
    let first = broker();
    let port = first.port();
    let mut sub = Sub::start(&first, &["-t", "a", "-q", "1"]);
    drop(first);
    let second = Broker::start_with(&["--listen", &port.to_string(), "--memory"]);
    let mut said = String::new();
    sub.log.read_line(&mut said).unwrap();
    assert!(said.contains("trying again"), "{said}");
    let mut out = sub.child.stdout.take().unwrap();
    let mut first_byte = [0];
    let reader = std::thread::spawn(move || out.read_exact(&mut first_byte).map(|()| first_byte));
    eventually("a message arrives", || {
        done(&publish(&second, &["-t", "a", "-m", "x"], b""));
        reader.is_finished()
    });
    assert_eq!(reader.join().unwrap().unwrap(), [b'x']);
    assert!(Command::new("kill").arg(sub.child.id().to_string()).status().unwrap().success());
    assert_eq!(sub.child.wait().unwrap().code(), Some(0), "interrupted");
}

#[test]
fn mosquittos_clients_are_served_too() {
    if piped("mosquitto_pub").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI installs mosquitto-clients");
        eprintln!("SKIPPED: mosquitto_pub is not installed (Debian: mosquitto-clients)");
        return;
    }
    let broker = broker();
    let port = broker.port().to_string();
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let sub = Sub::start(&broker, &["-t", "m/#", "-v", "-q", "2", "-C", "1"]);
            let args = ["-p", &port, "-V", version, "-q", qos, "-t", "m/x", "-m", "hi", "-i", "p"];
            let answer = finish(piped("mosquitto_pub").args(args), b"");
            assert_eq!(answer.code, Some(0), "{answer:?}");
            assert_eq!(sub.end().out, "m/x hi\n", "{version} {qos}");
        }
    }
    done(&publish(&broker, &["-t", "m/r", "-m", "kept", "-r", "-q", "1"], b""));
    let args = ["-p", &port, "-t", "m/#", "-C", "1", "-W", "5", "-v", "-V", "mqttv5"];
    assert_eq!(finish(piped("mosquitto_sub").args(args), b"").out, "m/r kept\n");
}
