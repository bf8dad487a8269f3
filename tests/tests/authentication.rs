//! Enhanced authentication between the two machines, at the start and again later.

use tamtam_core::broker::{Acceptance, AskId, Broker, Event as BrokerEvent, LinkId, Verdict};
use tamtam_core::client::{Client, Event, Lost, Options};
use tamtam_core::{Heap, Instant, ReasonCode, Text, Version, broker};

const NOW: Instant = Instant::from_millis(1_000);

struct Pair {
    client: Client<Heap>,
    broker: Broker<Heap>,
    link: LinkId,
    up: Vec<u8>,
    said: Vec<String>,
}

impl Pair {
    fn new(method: Option<&str>) -> Self {
        let mut broker = Broker::new();
        let options = broker::Options { ask_connect: true, ..broker::Options::DEFAULT };
        broker.start(&options, 7);
        let mut options = Options::new(Version::V5).client_id("c");
        if let Some(method) = method {
            let method = Text::new(method).expect("a name");
            options = options.authentication_method(method).authentication_data(b"first");
        }
        let mut client = Client::new();
        client.start(&options, 7).expect("options");
        client.connect(NOW).expect("started");
        client.handle_open(NOW);
        let link = broker.open(NOW).expect("room");
        Self { client, broker, link, up: Vec::new(), said: Vec::new() }
    }

    /// Carries bytes both ways until all is quiet; the question that is open then.
    fn run(&mut self) -> Option<AskId> {
        let mut ask = None;
        for _ in 0..20 {
            self.up.extend_from_slice(self.client.output());
            let len = self.client.output().len();
            self.client.output_written(len, NOW);
            let mut input = &self.up[..];
            let _ = self.broker.handle_input(self.link, &mut input, NOW);
            self.up = input.to_vec();
            while let Some(event) = self.broker.poll_event() {
                if let BrokerEvent::Ask(id) = event {
                    ask = Some(id);
                }
            }
            let output = self.broker.output(self.link).to_vec();
            self.broker.output_written(self.link, output.len(), NOW);
            let mut input = &output[..];
            loop {
                let said = match self.client.handle_input(&mut input, NOW) {
                    Ok(Some(Event::Auth { reason, properties })) => {
                        let data = properties.authentication_data().unwrap_or_default();
                        format!("{} {}", reason.name(), String::from_utf8_lossy(data))
                    }
                    Ok(Some(Event::Connected { connack, .. })) => {
                        let data = connack.properties.authentication_data().unwrap_or_default();
                        format!("connected {}", String::from_utf8_lossy(data))
                    }
                    Ok(Some(event)) => format!("{event:?}"),
                    Ok(None) => break,
                    Err(Lost::Refused(connack)) => format!("refused {}", connack.reason.name()),
                    Err(lost) => lost.to_string(),
                };
                self.said.push(said);
                if self.said.len() > 40 {
                    break;
                }
            }
        }
        ask
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}

fn accept() -> Verdict<'static> {
    Verdict::Accept(Acceptance::default())
}

// [MQTT5-4.12.0-2, MQTT5-4.12.0-3, MQTT5-4.12.0-5]
#[test]
fn a_client_is_asked_for_more_until_the_host_is_content() {
    let mut pair = Pair::new(Some("SCRAM"));
    let ask = pair.run().expect("a question");
    let connect = pair.broker.connect_of(ask).expect("CONNECT");
    assert_eq!(connect.properties.authentication_data(), Some(&b"first"[..]));
    assert!(pair.broker.auth_of(ask).is_none());
    pair.broker.answer_with(ask, Verdict::Continue, Some(b"challenge"), NOW);
    assert_eq!(pair.run(), None);
    assert_eq!(pair.said(), ["continue authentication challenge"]);
    pair.client.authenticate(Some(b"response"), NOW).expect("asked");
    let ask = pair.run().expect("a question");
    let auth = pair.broker.auth_of(ask).expect("AUTH");
    assert_eq!(auth.properties.authentication_data(), Some(&b"response"[..]));
    pair.broker.answer_with(ask, accept(), Some(b"proof"), NOW);
    pair.run();
    assert_eq!(pair.said(), ["connected proof"]);
    assert_eq!(pair.broker.kept(), (0, 5), "the method alone is kept");
    pair.broker.handle_close(pair.link, NOW);
    assert_eq!(pair.broker.kept(), (0, 0));
}

// [MQTT5-4.12.1-1]
#[test]
fn a_client_authenticates_again_while_everything_goes_on() {
    let mut pair = Pair::new(Some("SCRAM"));
    let ask = pair.run().expect("a question");
    pair.broker.answer(ask, accept(), NOW);
    pair.run();
    pair.client.reauthenticate(Some(b"again"), NOW).expect("connected");
    let ask = pair.run().expect("a question");
    let auth = pair.broker.auth_of(ask).expect("AUTH");
    assert_eq!(auth.reason, ReasonCode::ReAuthenticate);
    pair.client
        .subscribe(&[tamtam_core::client::Filter::new("a")], NOW)
        .expect("nothing waits for the answer");
    pair.run();
    pair.broker.answer_with(ask, Verdict::Continue, Some(b"more"), NOW);
    pair.run();
    pair.client.authenticate(None, NOW).expect("asked");
    let ask = pair.run().expect("a question");
    pair.broker.answer(ask, accept(), NOW);
    pair.run();
    let said = pair.said();
    assert_eq!(said[0], "connected ");
    assert!(said[1].starts_with("Subscribed"), "{said:?}");
    assert_eq!(said[2..], ["continue authentication more", "success "]);
    assert!(pair.client.is_connected());
}

// [MQTT5-4.12.0-4, MQTT5-4.12.1-2]
#[test]
fn a_refusal_ends_the_connection_with_its_reason() {
    let mut pair = Pair::new(Some("SCRAM"));
    let ask = pair.run().expect("a question");
    pair.broker.answer_with(ask, Verdict::Continue, None, NOW);
    pair.run();
    pair.client.authenticate(Some(b"wrong"), NOW).expect("asked");
    let ask = pair.run().expect("a question");
    pair.broker.answer(ask, Verdict::refuse(ReasonCode::NotAuthorized), NOW);
    pair.run();
    assert_eq!(pair.said(), ["continue authentication ", "refused not authorized"]);

    let mut pair = Pair::new(Some("SCRAM"));
    let ask = pair.run().expect("a question");
    pair.broker.answer(ask, accept(), NOW);
    pair.run();
    pair.client.reauthenticate(None, NOW).expect("connected");
    let ask = pair.run().expect("a question");
    pair.broker.answer(ask, Verdict::refuse(ReasonCode::NotAuthorized), NOW);
    pair.run();
    let said = pair.said();
    assert_eq!(said.len(), 2);
    assert!(said[1].contains("not authorized"), "{said:?}");
}

// [MQTT5-4.12.0-1, MQTT5-4.12.0-6, MQTT5-4.12.0-7]
#[test]
fn without_a_method_there_is_no_auth_and_without_a_host_there_is_no_method() {
    let mut pair = Pair::new(None);
    let ask = pair.run().expect("a question");
    pair.broker.answer_with(ask, Verdict::Continue, Some(b"x"), NOW);
    pair.run();
    assert_eq!(pair.said(), ["refused bad authentication method"]);

    let mut pair = Pair::new(Some("SCRAM"));
    pair.broker = Broker::new();
    pair.broker.start(&broker::Options::DEFAULT, 7);
    pair.link = pair.broker.open(NOW).expect("room");
    assert_eq!(pair.run(), None);
    assert_eq!(pair.said(), ["refused bad authentication method"]);
}
