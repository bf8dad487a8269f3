//! Questions to the host, and what it may answer.

use super::limits::LimitsId;
use super::link::LinkId;
use super::rights::RulesId;
use crate::codec::Connect;
use crate::types::{ReasonCode, Text};

/// A question, to be answered by [`Broker::answer`](super::Broker::answer), now or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId {
    pub(crate) link: LinkId,
    /// Which one of this connection.
    pub(crate) number: u32,
}

impl AskId {
    /// The connection that waits for the answer.
    #[must_use]
    pub const fn link(self) -> LinkId {
        self.link
    }
}

/// What a host answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict<'a> {
    /// The client may connect, as this says; or publish, or subscribe, whatever this says.
    Accept(Acceptance<'a>),
    /// It may not, for this reason; of what is said besides the code, only a client that connects
    /// or authenticates is told.
    Refuse(Refusal<'a>),
    /// It is to say more: AUTH goes out, with the data of
    /// [`Broker::answer_with`](super::Broker::answer_with).
    #[cfg(feature = "auth")]
    Continue,
    /// It belongs to this peer, a loop of the same process: [`Event::MoveTo`](super::Event::MoveTo)
    /// follows. What the client has said so far is only its CONNECT; after
    /// [`Verdict::Continue`] it is too late, and the client is told to use another server.
    #[cfg(feature = "alloc")]
    MoveTo(super::PeerId),
}

impl<'a> Verdict<'a> {
    /// A refusal for this reason, or with more to say.
    ///
    /// ```
    /// use tamtam_core::ReasonCode;
    /// use tamtam_core::broker::{Refusal, Verdict};
    ///
    /// let verdict = Verdict::refuse(ReasonCode::NotAuthorized);
    /// assert_eq!(verdict, Verdict::Refuse(Refusal::from(ReasonCode::NotAuthorized)));
    /// ```
    #[must_use]
    pub fn refuse(why: impl Into<Refusal<'a>>) -> Self {
        Self::Refuse(why.into())
    }

    /// The answer to a CONNECT of which only user and password matter. What the client does not
    /// say is empty; who authenticates in another way is refused.
    ///
    /// ```
    /// use tamtam_core::broker::{Acceptance, Broker, Options, Verdict};
    /// use tamtam_core::{Connect, Heap, ReasonCode, Text, Version};
    ///
    /// let mut connect = Connect::new(Version::V5, Text::new("hall")?);
    /// connect.user_name = Some(Text::new("alice")?);
    /// connect.password = Some(b"secret");
    /// let may = |user: &str, password: &[u8]| (user, password) == ("alice", &b"secret"[..]);
    /// assert_eq!(Verdict::of_login(&connect, may), Verdict::Accept(Acceptance::default()));
    ///
    /// connect.password = None;
    /// let no = Verdict::refuse(ReasonCode::BadUserNameOrPassword);
    /// assert_eq!(Verdict::of_login(&connect, may), no);
    /// # Ok::<(), tamtam_core::TextError>(())
    /// ```
    #[must_use]
    pub fn of_login(connect: &Connect<'_>, may: impl FnOnce(&str, &[u8]) -> bool) -> Self {
        #[cfg(feature = "auth")]
        if connect.properties.authentication_method().is_some() {
            return Self::refuse(ReasonCode::BadAuthenticationMethod); // [MQTT5-4.12.0-1]
        }
        let user = connect.user_name.as_ref().map_or("", |user| user.as_str());
        match may(user, connect.password.unwrap_or_default()) {
            true => Self::Accept(Acceptance::default()),
            false => Self::refuse(ReasonCode::BadUserNameOrPassword),
        }
    }
}

/// How a client may connect. All that is said of MQTT 5 is left out for older clients.
///
/// ```
/// use tamtam_core::broker::{Acceptance, RulesId};
///
/// let how = Acceptance { rules: Some(RulesId(7)), ..Acceptance::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acceptance<'a> {
    /// What it may publish and read; everything, if there are no rules.
    pub rules: Option<RulesId>,
    /// Its limits, instead of those of its listener.
    pub limits: Option<LimitsId>,
    /// Who it is, whatever the user name of its CONNECT: what owns its session, and what `%u`
    /// stands for in rules.
    pub user: Option<Text<'a>>,
    /// Its client identifier, whatever its CONNECT says. It is told of it if it said none (MQTT 5)
    /// [MQTT5-3.1.3-7].
    pub client_id: Option<Text<'a>>,
    /// Whether it may take over the session of another user. Otherwise it is refused: see
    /// [`Broker::session_asked_for`](super::Broker::session_asked_for).
    pub take_over: bool,
    /// How long its session outlives its connection, in seconds, whatever it asked for; `u32::MAX`
    /// for ever. The limits of its listener don't matter then.
    pub session_expiry_secs: Option<u32>,
    /// Its keep alive in seconds, whatever it asked for; 0 for none. MQTT 5 only: older clients
    /// can't be told [MQTT5-3.2.2-21].
    pub keep_alive_secs: Option<u16>,
    /// What its response topics may begin with, if it asks for that (MQTT 5) [MQTT5-3.1.2-28].
    #[cfg(feature = "v5")]
    pub response_information: Option<Text<'a>>,
    /// What else it is told (MQTT 5); of more than [`USER_PROPERTIES`], the first ones. Not told if
    /// CONNACK would be larger than what the client takes [MQTT5-3.2.2-20].
    #[cfg(feature = "v5")]
    pub user_properties: &'a [(Text<'a>, Text<'a>)],
}

/// How many user properties an answer has at most.
#[cfg(feature = "v5")]
pub const USER_PROPERTIES: usize = 8;

/// Why a client may not connect, or why its connection ends, in CONNACK or DISCONNECT. Older
/// clients than MQTT 5 are only told a code that they know, with CONNACK.
///
/// ```
/// use tamtam_core::broker::Refusal;
/// use tamtam_core::{ReasonCode, Text};
///
/// let elsewhere = Text::new("mqtt2.example")?;
/// let moved = Refusal::new(ReasonCode::UseAnotherServer).server_reference(elsewhere);
/// # let _ = moved;
/// # Ok::<(), tamtam_core::TextError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// The code.
    pub reason: ReasonCode,
    /// The reason, for people. Not told to a client that wants no such thing, nor if the packet
    /// would be larger than what it takes [MQTT5-3.2.2-19, MQTT5-3.14.2-3].
    #[cfg(feature = "v5")]
    pub reason_string: Option<Text<'a>>,
    /// Where the client is to go: with [`ReasonCode::UseAnotherServer`] and
    /// [`ReasonCode::ServerMoved`].
    #[cfg(feature = "v5")]
    pub server_reference: Option<Text<'a>>,
    /// What else is to be said; of more than [`USER_PROPERTIES`], the first ones. Like the reason
    /// string it may be left out [MQTT5-3.2.2-20, MQTT5-3.14.2-4].
    #[cfg(feature = "v5")]
    pub user_properties: &'a [(Text<'a>, Text<'a>)],
    #[cfg(not(feature = "v5"))]
    pub(crate) nothing: core::marker::PhantomData<Text<'a>>,
}

impl<'a> Refusal<'a> {
    /// A refusal that says its code only.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            #[cfg(feature = "v5")]
            reason_string: None,
            #[cfg(feature = "v5")]
            server_reference: None,
            #[cfg(feature = "v5")]
            user_properties: &[],
            #[cfg(not(feature = "v5"))]
            nothing: core::marker::PhantomData,
        }
    }

    /// The same, with the reason for people.
    #[cfg(feature = "v5")]
    #[must_use]
    pub const fn reason_string(self, why: Text<'a>) -> Self {
        Self { reason_string: Some(why), ..self }
    }

    /// The same, with another server to go to.
    #[cfg(feature = "v5")]
    #[must_use]
    pub const fn server_reference(self, server: Text<'a>) -> Self {
        Self { server_reference: Some(server), ..self }
    }

    /// The same, with user properties.
    #[cfg(feature = "v5")]
    #[must_use]
    pub const fn user_properties(self, pairs: &'a [(Text<'a>, Text<'a>)]) -> Self {
        Self { user_properties: pairs, ..self }
    }
}

impl From<ReasonCode> for Refusal<'_> {
    fn from(reason: ReasonCode) -> Self {
        Self::new(reason)
    }
}

#[cfg(feature = "v5")]
pub(crate) type Told<'p> = heapless::Vec<crate::codec::Property<'p>, 24>;

#[cfg(feature = "v5")]
impl<'a> Refusal<'a> {
    /// What is said besides the code: all of it, or only what is no mere help to understand.
    pub(crate) fn properties(&self, whole: bool) -> Told<'a> {
        use crate::codec::Property;
        let mut list = Told::new();
        list.extend(self.server_reference.map(Property::ServerReference));
        if whole {
            list.extend(self.reason_string.map(Property::ReasonString));
            let pairs = self.user_properties.iter().take(USER_PROPERTIES);
            list.extend(pairs.copied().map(Property::UserProperty));
        }
        list
    }
}
