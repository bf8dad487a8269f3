//! What a host said of a client that waits for its session.

use alloc::vec::Vec;

use super::message::Stamp;
use crate::broker::Acceptance;
use crate::broker::link::LinkId;
use crate::types::Text;

/// A client that waits, and how it may connect.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) link: LinkId,
    /// Since when.
    pub(super) since: Stamp,
    /// The acceptance, but for its texts.
    how: Acceptance<'static>,
    user: Option<Vec<u8>>,
    client_id: Option<Vec<u8>>,
    #[cfg(feature = "v5")]
    response_information: Option<Vec<u8>>,
    #[cfg(feature = "v5")]
    user_properties: Vec<(Vec<u8>, Vec<u8>)>,
    data: Option<Vec<u8>>,
}

fn kept(text: Text<'_>) -> Vec<u8> {
    text.as_bytes().into()
}

fn text(kept: &[u8]) -> Text<'_> {
    Text::trusted(kept)
}

impl Waiting {
    pub(super) fn new(
        link: LinkId,
        since: Stamp,
        how: &Acceptance<'_>,
        data: Option<&[u8]>,
    ) -> Self {
        #[cfg(feature = "v5")]
        let pairs = how.user_properties.iter().map(|(name, value)| (kept(*name), kept(*value)));
        Self {
            link,
            since,
            how: Acceptance {
                rules: how.rules,
                limits: how.limits,
                take_over: how.take_over,
                session_expiry_secs: how.session_expiry_secs,
                keep_alive_secs: how.keep_alive_secs,
                ..Acceptance::default()
            },
            user: how.user.map(kept),
            client_id: how.client_id.map(kept),
            #[cfg(feature = "v5")]
            response_information: how.response_information.map(kept),
            #[cfg(feature = "v5")]
            user_properties: pairs.collect(),
            data: data.map(Into::into),
        }
    }

    /// Shows the acceptance again, and the authentication data.
    pub(super) fn with(&self, show: impl FnOnce(&Acceptance<'_>, Option<&[u8]>)) {
        #[cfg(feature = "v5")]
        let pairs: Vec<_> =
            self.user_properties.iter().map(|(name, value)| (text(name), text(value))).collect();
        let how = Acceptance {
            user: self.user.as_deref().map(text),
            client_id: self.client_id.as_deref().map(text),
            #[cfg(feature = "v5")]
            response_information: self.response_information.as_deref().map(text),
            #[cfg(feature = "v5")]
            user_properties: &pairs,
            ..self.how
        };
        show(&how, self.data.as_deref());
    }
}
