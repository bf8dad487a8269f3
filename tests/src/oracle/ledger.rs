//! What the application asked for, and how it ended.

use std::collections::BTreeMap;

use tamtam_core::client::{Failure, Token};

use super::Verdict;
use super::stored::Stored;

/// A request of the application's.
#[derive(Clone, Debug)]
pub enum Call {
    /// A message; its payload is like no other's.
    Publish {
        /// Its topic.
        topic: String,
        /// What it says.
        payload: Vec<u8>,
        /// 0, 1 or 2.
        qos: u8,
        /// Whether it is to be retained.
        retain: bool,
        /// Whether the payload is handed in piece by piece.
        streamed: bool,
    },
    /// Filters to subscribe to, or to unsubscribe from.
    Request,
}

/// A message that the application published.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Whether it is streamed.
    pub streamed: bool,
    /// Whether all of it has left in this session.
    pub sent: bool,
    /// Whether a PUBREC was seen, in any session.
    pub received: bool,
    /// The code of the acknowledgement that settled it.
    pub acked: Option<u8>,
    /// How the application was told it ended: nothing said is success.
    pub ended: Option<Option<Failure>>,
    /// Whether the client died before its record was kept.
    pub forgotten: bool,
    /// Whether it had left when a session was lost.
    pub orphaned: bool,
    /// Whether DUP says nothing: the client was restored.
    pub restored: bool,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    message: Option<usize>,
    ended: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    messages: Vec<Message>,
    by_payload: BTreeMap<Vec<u8>, usize>,
    tokens: BTreeMap<Token, Request>,
}

impl Ledger {
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn message(&mut self, index: usize) -> &mut Message {
        &mut self.messages[index]
    }

    pub(super) fn message_of(&self, token: Token) -> Option<usize> {
        self.tokens.get(&token)?.message
    }

    /// The token of the message with this payload, above QoS 0.
    pub(super) fn token_of(&self, payload: &[u8]) -> Option<Token> {
        let index = self.find(payload)?;
        let mut tokens = self.tokens.iter().rev();
        let (token, _) = tokens.find(|(_, request)| request.message == Some(index))?;
        (self.messages[index].qos > 0).then_some(*token)
    }

    pub(super) fn find(&self, payload: &[u8]) -> Option<usize> {
        self.by_payload.get(payload).copied()
    }

    pub(super) fn called(&mut self, call: Call, token: Token) -> Verdict {
        let mut request = Request { message: None, ended: false };
        if let Call::Publish { topic, payload, qos, retain, streamed } = call {
            let index = self.messages.len();
            if self.by_payload.insert(payload.clone(), index).is_some() {
                return Err("the test publishes the same payload twice".into());
            }
            self.messages.push(Message {
                topic,
                payload,
                qos,
                retain,
                streamed,
                sent: false,
                received: false,
                acked: None,
                ended: None,
                forgotten: false,
                orphaned: false,
                restored: false,
            });
            request.message = Some(index);
            request.ended = qos == 0; // nothing comes back
        }
        match self.tokens.insert(token, request) {
            Some(_) => Err(format!("token {} was given out twice", token.get())),
            None => Ok(()),
        }
    }

    /// The token's message, which is ended by this.
    fn end(&mut self, token: Token) -> Result<Option<usize>, String> {
        let number = token.get();
        match self.tokens.get_mut(&token) {
            None => Err(format!("token {number}, which nobody has, is completed")),
            Some(request) if request.ended => Err(format!("token {number} is completed twice")),
            Some(request) => {
                request.ended = true;
                Ok(request.message)
            }
        }
    }

    pub(super) fn delivered(&mut self, token: Token, code: u8, session_lost: bool) -> Verdict {
        let Some(index) = self.end(token)? else {
            return Err("a subscription is delivered".into());
        };
        let message = &mut self.messages[index];
        message.ended = Some(None);
        let after_loss = session_lost && message.received && code == 0;
        // Complete is complete, whatever PUBCOMP says.
        let right = message.acked.is_some_and(|acked| acked == code || message.received);
        if right || after_loss {
            return Ok(());
        }
        Err(format!("delivered with {code:#x}, but acknowledged: {:?}", message.acked))
    }

    pub(super) fn failed(&mut self, token: Token, why: Failure) -> Verdict {
        let Some(index) = self.end(token)? else { return Ok(()) };
        let message = &mut self.messages[index];
        message.ended = Some(Some(why));
        // One that was restored may have been settled, with nothing kept of that.
        match message.acked.filter(|_| !message.restored) {
            Some(code) => Err(format!("failed ({why}), but it was acknowledged: {code:#x}")),
            None => Ok(()),
        }
    }

    pub(super) fn answered(&mut self, token: Token) -> Verdict {
        match self.end(token)? {
            Some(_) => Err("a message is answered like a subscription".into()),
            None => Ok(()),
        }
    }

    /// The client died: tokens mean nothing any more.
    pub(super) fn crashed(&mut self, stored: &Stored) {
        self.tokens.clear();
        for (index, message) in self.messages.iter_mut().enumerate() {
            message.forgotten |= message.ended.is_none() && !stored.holds(index);
            message.restored = true;
        }
    }

    /// A restored client names a message anew. A message that was refused and told so may come
    /// again: its end was not recorded.
    pub(super) fn renamed(&mut self, index: usize, token: Token) {
        self.tokens.insert(token, Request { message: Some(index), ended: false });
    }

    pub(super) fn unsettled(&self) -> Vec<String> {
        let open = self.tokens.iter().filter(|(_, request)| !request.ended);
        open.map(|(token, request)| match request.message {
            Some(index) => {
                let message = &self.messages[index];
                let payload = String::from_utf8_lossy(&message.payload);
                format!("token {} (QoS {}, {payload:.40}) is open", token.get(), message.qos)
            }
            None => format!("token {} (a request) is open", token.get()),
        })
        .collect()
    }
}
