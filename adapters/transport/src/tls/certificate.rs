//! Who a certificate says that its owner is.

/// A peer's certificate, which was checked when TLS was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCertificate<'a>(&'a [u8]);

impl<'a> PeerCertificate<'a> {
    pub(crate) const fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    /// The certificate itself, in DER.
    #[must_use]
    pub const fn der(self) -> &'a [u8] {
        self.0
    }

    /// The last common name (CN) in its subject: what brokers take for a user name. `None` if there
    /// is none that is text.
    #[must_use]
    pub fn common_name(self) -> Option<String> {
        let mut found = None;
        self.each_attribute(|id, value| {
            if id == [0x55, 0x04, 0x03] {
                found = text(value);
            }
        });
        found
    }

    /// Its subject as RFC 4514 writes it, last part first: `CN=thermostat-7,O=Example`.
    /// Attributes without a short name stand as numbers, `?` stands for values that are no text.
    #[must_use]
    pub fn subject(self) -> String {
        let mut parts = Vec::new();
        self.each_attribute(|id, value| {
            let value = text(value).map_or_else(|| "?".to_owned(), |value| escape(&value));
            parts.push(format!("{}={value}", short_name(id)));
        });
        parts.reverse();
        parts.join(",")
    }

    fn each_attribute(self, mut show: impl FnMut(&[u8], Element<'_>)) {
        let mut subject = self.subject_der().unwrap_or_default();
        while let Some(set) = take(&mut subject) {
            let mut set = set.content;
            while let Some(attribute) = take(&mut set) {
                let mut attribute = attribute.content;
                if let Some(id) = take(&mut attribute)
                    && let Some(value) = take(&mut attribute)
                {
                    show(id.content, value);
                }
            }
        }
    }

    /// RFC 5280, 4.1: version, serial number, signature, issuer, validity, subject.
    fn subject_der(self) -> Option<&'a [u8]> {
        let mut rest = self.0;
        let mut rest = take(&mut rest)?.content;
        let mut rest = take(&mut rest)?.content;
        if rest.first() == Some(&0xA0) {
            take(&mut rest)?;
        }
        for _ in 0..4 {
            take(&mut rest)?;
        }
        take(&mut rest).map(|subject| subject.content)
    }
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// Takes the next element of DER.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&[tag, first], after) = rest.split_first_chunk()?;
    let (len, after) = if first < 0x80 {
        (usize::from(first), after)
    } else {
        let (digits, after) = after.split_at_checked(usize::from(first & 0x7F))?;
        let len = digits
            .iter()
            .try_fold(0_usize, |len, digit| Some(len.checked_mul(256)? | usize::from(*digit)));
        (len?, after)
    };
    let (content, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(Element { tag, content })
}

/// UTF8String, and the strings that are ASCII: Numeric, Printable, IA5; BMPString is UTF-16.
fn text(element: Element<'_>) -> Option<String> {
    match element.tag {
        0x0C | 0x12 | 0x13 | 0x16 => String::from_utf8(element.content.to_vec()).ok(),
        0x14 if element.content.is_ascii() => String::from_utf8(element.content.to_vec()).ok(),
        0x1E => {
            let (units, rest) = element.content.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

fn short_name(id: &[u8]) -> String {
    let name = match id {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0A] => "O",
        [0x55, 0x04, 0x0B] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x01] => "UID",
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01] => "emailAddress",
        _ => return dotted(id),
    };
    name.to_owned()
}

fn dotted(id: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in id {
        number = number.wrapping_mul(128) | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= first * 40;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}

/// RFC 4514, 2.4.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let at_edge = (at == 0 && c == '#') || ((at == 0 || at == last) && c == ' ');
        if at_edge || ",+\"\\<>;".contains(c) {
            escaped.push('\\');
        }
        if c == '\0' { escaped.push_str("\\00") } else { escaped.push(c) }
    }
    escaped
}
