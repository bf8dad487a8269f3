//! Formats of a store: which there were, and how an older one becomes the next.
//!
//! A store of an older format becomes one of the present format when it is opened: what changes is
//! written to a new database, which takes the place of the old one once all of it is safe. If that
//! is interrupted, the old one is as it was.

/// The formats that a store may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Formats {
    /// The one that is written.
    pub(crate) present: u32,
    /// How each older one becomes the next: the first is of format 1.
    pub(crate) steps: &'static [Step],
}

/// What changes from one format to the next: what each key and value becomes; nothing, if they go.
/// None at all, if everything may stay as it is.
pub(crate) type Step = Option<fn(&[u8], &[u8]) -> Option<(Vec<u8>, Vec<u8>)>>;

/// The formats of this version.
///
/// 1. The first.
/// 2. Shared subscriptions' groups have records of their own, with what waits for them. All that
///    format 1 can say means the same.
pub(crate) const FORMATS: Formats = Formats { present: 2, steps: &[None] };

impl Formats {
    /// What has to be done to a store of an older format; none if nothing has to be.
    pub(crate) fn steps_from(&self, found: u32) -> impl Iterator<Item = &'static Step> + Clone {
        let done = usize::try_from(found).unwrap_or(usize::MAX).saturating_sub(1);
        self.steps.iter().skip(done)
    }
}

/// What a key and a value become; nothing, if they go.
pub(crate) fn change<'s>(
    steps: impl Iterator<Item = &'s Step>,
    key: &[u8],
    value: &[u8],
) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut entry = (key.to_vec(), value.to_vec());
    for step in steps.flatten() {
        entry = step(&entry.0, &entry.1)?;
    }
    Some(entry)
}
