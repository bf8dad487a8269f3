//! `tamtam decode` from outside: the real binary, its answers and its exit codes.
//!
//! The captures are of mosquitto 2.0.11 and its own clients over loopback: `mosquitto_sub`, once of
//! version 5 with properties and a will, once of 3.1.1, while `mosquitto_pub` published at QoS 0, 1
//! and 2 in both versions. Each direction was taken out with
//! `tshark -Y 'tcp.stream == 0 && tcp.dstport == 18831' -T fields -e tcp.payload`: the hex files
//! are its output, the others the same as bytes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// The answer to a call, and its exit code.
#[derive(Debug)]
struct Answer {
    out: String,
    err: String,
    code: Option<i32>,
}

/// The binary with its three streams in our hands.
fn tamtam() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamtam"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `tamtam` with these arguments and this standard input.
fn run(args: &[&str], input: &[u8]) -> Answer {
    let mut child = tamtam().args(args).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A call that does not read its input closes the pipe early.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Answer {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// Runs `tamtam decode` without input.
fn decode(args: &[&str]) -> Answer {
    run(&[&["decode"], args].concat(), b"")
}

/// Asks these lines of the batch mode.
fn batch(lines: &str) -> Answer {
    run(&["decode", "--batch"], lines.as_bytes())
}

/// The path of a capture.
fn capture(name: &str) -> String {
    format!("{}/tests/captures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A CONNECT with everything: properties, will, user name and password.
const CONNECT: &str = "1044 00044d515454 05 ce 003c 0b 11 0000000a 21 0014 22 0004 0003616263
    15 18 00000005 26 0004756e6974 000763656c73697573 0003612f62 000400ff00ff
    00027573 00027077";

#[test]
fn a_connect_is_printed_field_by_field() {
    let answer = decode(&[CONNECT]);
    let expected = r#"packet 1, byte 0, 70 bytes: CONNECT from a client, MQTT 5.0
   0  10                       packet type and flags: CONNECT
   1  44                       remaining length: 68
   2  00 04 4D 51 54 54        protocol name: "MQTT"
   8  05                       protocol level: 5 (MQTT 5.0)
   9  CE                       connect flags: user name, password, will at QoS 1, clean start
  10  00 3C                    keep alive: 60 s
  12  0B                       property length: 11
  13  11 00 00 00 0A             session expiry interval: 10 s
  18  21 00 14                   receive maximum: 20
  21  22 00 04                   topic alias maximum: 4
  24  00 03 61 62 63           client identifier: "abc"
  29  15                       will property length: 21
  30  18 00 00 00 05             will delay interval: 5 s
  35  26 00 04 75 6E 69 74 ..    user property: "unit" = "celsius"
  51  00 03 61 2F 62           will topic: "a/b"
  56  00 04 00 FF 00 FF        will payload: 4 bytes, not text
      58  00 FF 00 FF                                      |....|
  62  00 02 75 73              user name: "us"
  66  00 02 70 77              password: "pw"

valid: 1 packet in 70 bytes
"#;
    assert_eq!(answer.out, expected, "{}", answer.err);
    assert_eq!(answer.code, Some(0));
}

#[test]
fn hostile_lines_are_answered_with_word_and_clause() {
    let cases = [
        // A length of five bytes, and one that is longer than it need be.
        ("5 c2s 30ffffffff01", "malformed", "byte 1) [MQTT5 1.5.5]"),
        ("4 c2s 30ffffffff01", "malformed", "byte 1) [MQTT3 2.2.3]"),
        ("5 c2s 30860000016100 6263", "malformed", "byte 1) [MQTT5-1.5.5-1]"),
        // Topics and filters.
        ("5 c2s 3006 0003612f23 00", "protocol_error", "(topic name at byte 2) [MQTT5-3.3.2-2]"),
        ("4 c2s 3005 0003612f2b", "protocol_error", "(topic name at byte 2) [MQTT3-3.3.2-2]"),
        ("5 c2s 3005 00026100 00", "malformed", "(topic name at byte 2) [MQTT5-1.5.4-2]"),
        ("5 c2s 8208 0001 00 00026123 00", "protocol_error", "byte 5) [MQTT5-4.7.1-1]"),
        ("5 c2s 820e 0001 00 00082473686172652f67 00", "protocol_error", "[MQTT5-4.8.2-2]"),
        // Packet identifiers and flags.
        ("5 c2s 3206 000161 0000 00", "protocol_error", "-2.2.1-3]"),
        ("5 c2s 3804 000161 00", "malformed", "byte 0) [MQTT5-3.3.1-2]"),
        ("4 c2s 3803 000161", "malformed", "byte 0) [MQTT3-3.3.1-2]"),
        ("5 c2s 110d 00044d515454 05 00 0000 00 0000", "malformed", "[MQTT5-2.1.3-1]"),
        ("5 c2s 100d 00044d515454 05 01 0000 00 0000", "malformed", "byte 9) [MQTT5-3.1.2-3]"),
        ("5 s2c 2003 02 00 00", "malformed", "byte 2) [MQTT5-3.2.2-1]"),
        ("5 c2s 8007 0001 00 000161 00", "malformed", "byte 0) [MQTT5-3.8.1-1]"),
        ("5 c2s 8207 0001 00 000161 40", "malformed", "byte 8) [MQTT5-3.8.3-5]"),
        ("4 s2c 6002 0001", "malformed", "byte 0) [MQTT3-3.6.1-1]"),
        // Answers without an answer.
        ("5 s2c 9003 0001 00", "protocol_error", "-3.8.4-6]"),
        // Properties.
        (
            "5 c2s 300e 000161 0a 0200000001 0200000001",
            "protocol_error",
            "byte 11) [MQTT5 2.2.2.2]",
        ),
        ("5 c2s 3004 000161 05", "malformed", "(property length at byte 5) [MQTT5 2.1.4]"),
        ("5 c2s 1012 00044d515454 05 02 0000 05 1600026162 0000", "protocol_error", "3.1.2.11.10]"),
        ("5 c2s 3006 000161 02 0b07", "protocol_error", "byte 6) [MQTT5-3.3.4-6]"),
        // Who may send what, and in which version.
        ("5 s2c c000", "protocol_error", "PINGREQ is of a type that only the other side may send"),
        ("4 s2c e000", "protocol_error", "DISCONNECT"),
        ("4 c2s f000", "malformed", "AUTH"),
        // The second packet is wrong: the offset is one in the line.
        ("4 c2s c000 3005 0003612f23", "protocol_error", "(topic name at byte 4) [MQTT3-3.3.2-2]"),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, ..)| *line).collect();
    let answer = batch(&lines.join("\n"));
    assert_eq!(answer.out.lines().count(), cases.len());
    for ((line, word, clause), found) in cases.iter().zip(answer.out.lines()) {
        assert_eq!(found.split(' ').next(), Some(*word), "{line}: {found}");
        assert!(found.contains(clause), "{line}: {found}");
    }
    assert_eq!(answer.code, Some(0), "every line was understood");
}

#[test]
fn good_and_unfinished_lines_are_answered() {
    let cases = [
        ("5 c2s 3006000161006263", "ok 1 PUBLISH"),
        ("4 c2s 32050001610001 40020001", "ok 2 PUBLISH PUBACK"),
        ("3 c2s 100f 00064d514973647003020000 000163", "ok 1 CONNECT"),
        ("5 s2c", "ok 0"),
        ("5 c2s 30ffffff7f", "incomplete PUBLISH: 5 bytes are here, 268435460 needed"),
        ("5 c2s 30", "incomplete PUBLISH: 1 byte is here"),
        ("5 c2s c000 30", "incomplete PUBLISH"),
        ("  5\tc2s   0xc0 0x00\r", "ok 1 PINGREQ"),
    ];
    for (line, expected) in cases {
        let answer = batch(line);
        assert!(answer.out.starts_with(expected), "{line}: {answer:?}");
        assert_eq!((answer.out.lines().count(), answer.code), (1, Some(0)), "{line}");
    }
}

#[test]
fn a_bad_line_is_named_and_the_next_one_answered() {
    let answer =
        batch("# a comment\n\n6 c2s c000\n5 up c000\n5\n5 c2s c00\n5 c2s cx\n5 c2s c000\n");
    let expected = "\
usage line 3: version \"6\" is not 3, 4 or 5
usage line 4: direction \"up\" is not c2s or s2c
usage line 5: no direction: say c2s or s2c behind the version
usage line 6: hex: an odd number of hex digits (3): each byte takes two
usage line 7: hex: 'x' at character 2 is not a hex digit
ok 1 PINGREQ
";
    assert_eq!((answer.out.as_str(), answer.code), (expected, Some(2)));
}

#[test]
fn batch_mode_answers_each_line_before_the_next_is_written() {
    let mut child = tamtam().args(["decode", "--batch"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for (line, expected) in
        [("5 c2s c000\n", "ok 1 PINGREQ\n"), ("4 s2c d000\n", "ok 1 PINGRESP\n")]
    {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, expected);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_packet_of_a_mebibyte_fits_a_line() {
    let payload = "ab".repeat(1 << 20);
    let line = format!("4 c2s 30838040 000161{payload}\n");
    let answer = batch(&line.repeat(4));
    assert_eq!(answer.out, "ok 1 PUBLISH\n".repeat(4));
}

#[test]
fn captures_of_mosquitto_are_read_in_both_directions() {
    let client = decode(&["--file", &capture("v5-client.bin")]);
    for words in [
        "packet 1, byte 0, 98 bytes: CONNECT from a client, MQTT 5.0",
        "  19  26 00 04 73 69 74 65 ..    user property: \"site\" = \"lab\"",
        "  48  18 00 00 00 05             will delay interval: 5 s",
        "  79  00 0B 72 6F 6F 6D 2F ..  will topic: \"room/status\"",
        " 115  0B 07                      subscription identifier: 7",
        " 137  02                       subscription options: QoS 2, send retained messages",
        "packet 7, byte 163, 2 bytes: DISCONNECT from a client, MQTT 5.0",
        "valid: 7 packets in 165 bytes",
    ] {
        assert!(client.out.contains(words), "{words}\n{}", client.out);
    }
    let server = decode(&["--file", &capture("v5-server.bin"), "--from", "server"]);
    for words in [
        "packet 1, byte 0, 11 bytes: CONNACK from a server, MQTT 5.0",
        "  16  02                       reason code: granted QoS 2 (0x02)",
        "  74  01 01                      payload format indicator: 1 (UTF-8 text)",
        "  92  09 00 06 63 30 66 66 ..    correlation data: \"c0ffee\"",
        " 106  32 31 2E 35              payload: \"21.5\"",
        "      221  00 01 FE FF 20 72 61 77                          |.... raw|",
        " 258  47 72 C3 B6 C3 9F 65 ..  payload: \"Größe: 19 °C\"",
        "valid: 8 packets in 313 bytes",
    ] {
        assert!(server.out.contains(words), "{words}\n{}", server.out);
    }
    assert_eq!((client.code, server.code), (Some(0), Some(0)));
}

#[test]
fn a_capture_in_hex_of_an_older_version_is_read() {
    let client = decode(&["--file", &capture("v311-client.hex")]);
    assert!(client.out.contains("packet 3, byte 36, 4 bytes: PUBACK from a client, MQTT 3.1.1"));
    assert!(client.out.ends_with("valid: 6 packets in 50 bytes\n"), "{}", client.out);
    // Nothing in a server's bytes says which version it is; the error says what to do.
    let file = capture("v311-server.hex");
    let guessed = decode(&["--file", &file]);
    assert!(guessed.out.contains("malformed: CONNACK ends before"), "{}", guessed.out);
    assert!(guessed.out.contains("--mqtt 3.1.1 --from server"), "{}", guessed.out);
    let told = decode(&["--file", &file, "-V", "mqttv311"]);
    assert!(told.out.contains("return code: accepted (0)"), "{}", told.out);
    assert!(told.out.ends_with("valid: 6 packets in 126 bytes\n"), "{}", told.out);
    assert_eq!((client.code, guessed.code, told.code), (Some(0), Some(1), Some(0)));
    let unfinished = decode(&["20020000 3005"]);
    assert!(unfinished.out.contains("--mqtt 3.1.1 --from server"), "{}", unfinished.out);
}

#[test]
fn every_source_of_bytes_reads_alike() {
    let path = capture("v5-client.bin");
    let raw = std::fs::read(&path).unwrap();
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}\n")).collect();
    let expected = decode(&["--file", &path]);
    let others = [
        decode(&[&hex]),
        decode(&[&hex[..30], &hex[30..]]),
        decode(&["--raw", "-f", &path]),
        run(&["decode"], &raw),
        run(&["decode", "--file", "-"], hex.as_bytes()),
        run(&["decode", "--hex"], hex.as_bytes()),
    ];
    for other in others {
        assert_eq!((&other.out, other.code), (&expected.out, Some(0)), "{}", other.err);
    }
}

#[test]
fn an_error_marks_the_bytes_and_says_what_follows() {
    let answer = decode(&["-V", "5", "c000 3009 0006 612f23622f63 00 c000"]);
    let expected = "packet 1, byte 0, 2 bytes: PINGREQ from a client, MQTT 5.0\n   0  C0  ";
    assert!(answer.out.starts_with(expected), "{}", answer.out);
    let expected = "
packet 2, byte 2, 11 bytes: PUBLISH from a client, MQTT 5.0
   2  30 09 00 06 61 2F 23 62 2F 63 00                 |0...a/#b/c.|
            ~~ ~~ ~~ ~~ ^^ ~~ ~~ ~~
protocol error: PUBLISH has a wildcard in a topic name (topic name at byte 4) [MQTT5-3.3.2-2]
answer: reason code protocol error (0x82)
not read: 2 bytes behind this packet
";
    assert!(answer.out.ends_with(expected), "{}", answer.out);
    assert_eq!(answer.code, Some(1));
}

#[test]
fn the_mark_is_shown_however_far_back_it_is() {
    let packet = format!("30d407 03d2 {} 23", "61".repeat(977));
    let answer = decode(&["-V4", &packet]);
    let row = answer.out.lines().position(|line| line.contains("61 61 23 ")).unwrap_or_default();
    let marks = answer.out.lines().nth(row + 1).unwrap_or_default();
    assert!(row > 0 && marks.ends_with("~~ ~~ ^^"), "{}", answer.out);
}

#[test]
fn an_incomplete_packet_says_what_is_missing() {
    let answer = decode(&["3006000161"]);
    let words = "incomplete: 5 bytes are here, the packet takes 8; 3 bytes are missing\n";
    assert!(answer.out.ends_with(words), "{}", answer.out);
    assert_eq!(answer.code, Some(1));
    assert_eq!(decode(&["30ffffff"]).code, Some(1));
    assert_eq!(decode(&[]).code, Some(0), "no bytes are no packets");
}

#[test]
fn a_long_payload_is_cut_unless_all_is_asked_for() {
    let packet = format!("30f304 000161 {}", "78".repeat(624));
    let cut = decode(&["-V4", &packet]);
    let note = "x\".. (the first 256 of 624 bytes; --all shows all)";
    assert!(cut.out.contains(note), "{}", cut.out);
    let all = decode(&["-V4", "--all", &packet]);
    assert!(all.out.contains(&format!("payload: \"{}\"\n", "x".repeat(624))), "{}", all.out);
}

#[test]
fn a_wrong_call_says_what_to_do() {
    let path = capture("v5-client.bin");
    let cases: [(&[&str], &str); 8] = [
        (&["30 0"], "an odd number of hex digits (3)"),
        (&["30", "0g"], "'g' at character 2 is not a hex digit"),
        (&[&path], "to read it as a file: tamtam decode --file"),
        (&["--file", "/nowhere"], "can't open /nowhere"),
        (&["-V", "6", "c000"], "say 3.1, 3.1.1 or 5.0"),
        (&["--from", "broker", "c000"], "client, server"),
        (&["--batch", "c000"], "cannot be used with"),
        (&["--raw", "c000"], "cannot be used with"),
    ];
    for (args, words) in cases {
        let answer = decode(args);
        assert!(answer.err.contains(words), "{args:?}: {answer:?}");
        assert_eq!((answer.out.as_str(), answer.code), ("", Some(2)), "{args:?}");
    }
    let http = run(&["decode"], b"GET / HTTP/1.1\r\n\r\n");
    assert!(http.err.contains("say --raw"), "{http:?}");
    let pcap = run(&["decode"], b"\x0A\x0D\x0D\x0A\x1C\0\0\0");
    assert!(pcap.err.contains("tshark -r"), "{pcap:?}");
    assert_eq!((http.code, pcap.code), (Some(2), Some(2)));
}

#[test]
fn versions_have_many_names() {
    for (version, names) in [
        ("3.1", ["3", "31", "3.1", "mqttv31"]),
        ("3.1.1", ["4", "311", "3.1.1", "mqttv311"]),
        ("5.0", ["5", "50", "5.0", "mqttv5"]),
    ] {
        for name in names {
            let answer = decode(&["--mqtt", name, "c000"]);
            assert!(answer.out.contains(&format!("a client, MQTT {version}\n")), "{name}");
        }
    }
}

#[test]
fn the_command_explains_itself() {
    let help = run(&[], b"");
    assert!(help.out.contains("decode"), "{help:?}");
    let version = run(&["--version"], b"");
    assert_eq!(version.out, format!("tamtam {}\n", env!("CARGO_PKG_VERSION")));
    let lesson = decode(&["--help"]);
    for words in ["Examples:", "Exit codes:", "VERSION DIRECTION HEX"] {
        assert!(lesson.out.contains(words), "{}", lesson.out);
    }
    assert_eq!((help.code, version.code, lesson.code), (Some(0), Some(0), Some(0)));
}
