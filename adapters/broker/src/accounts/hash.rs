//! What is kept instead of a password.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

/// A password, hashed in one of the ways that password files know.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// `$6$salt$hash`: SHA-512 of the password and the salt.
    Sha512 { salt: Vec<u8>, hash: Vec<u8> },
    /// `$7$rounds$salt$hash`: PBKDF2 with HMAC of SHA-512.
    Pbkdf2 { rounds: u32, salt: Vec<u8>, hash: Vec<u8> },
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    Argon2(String),
}

/// What a hash of mosquitto is long, in bytes.
const HASH_LEN: usize = 64;

impl Hash {
    /// Hashes a password with argon2id, with the parameters that its authors recommend today
    /// (19 MiB of memory), and a salt from the operating system.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn new(password: &[u8]) -> Result<Self, String> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_salt(password, &salt)
            .map_err(|error| error.to_string())?;
        Ok(Self(Kind::Argon2(hash.to_string())))
    }

    /// Reads what stands behind the name in a password file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("$argon2") {
            let parsed = PasswordHash::new(text).map_err(|error| error.to_string())?;
            if parsed.hash.is_none() || parsed.salt.is_none() {
                return Err("salt or hash is missing".to_owned());
            }
            argon2::Params::try_from(&parsed).map_err(|error| error.to_string())?;
            return Ok(Self(Kind::Argon2(text.to_owned())));
        }
        let parts: Vec<&str> = text.split('$').collect();
        let bytes = |text: &str| {
            Base64::decode_vec(text).map_err(|_| format!("`{text}` is not well-formed base64"))
        };
        match parts.as_slice() {
            ["", "6", salt, hash] => {
                let (salt, hash) = (bytes(salt)?, bytes(hash)?);
                right_length(&hash)?;
                Ok(Self(Kind::Sha512 { salt, hash }))
            }
            ["", "7", rounds, salt, hash] => {
                let count = rounds.parse().ok().filter(|count| *count > 0);
                let rounds = count.ok_or_else(|| format!("`{rounds}` is no number of rounds"))?;
                let (salt, hash) = (bytes(salt)?, bytes(hash)?);
                right_length(&hash)?;
                Ok(Self(Kind::Pbkdf2 { rounds, salt, hash }))
            }
            _ => Err("a hash begins with `$6$`, `$7$` or `$argon2id$`; a password in plain text \
                is not taken: see `tamtam passwd`"
                .to_owned()),
        }
    }

    /// Whether it is made of this password. Takes as long whether it is or not.
    #[must_use]
    pub fn is_of(&self, password: &[u8]) -> bool {
        match &self.0 {
            Kind::Sha512 { salt, hash } => {
                let found = Sha512::new().chain_update(password).chain_update(salt).finalize();
                found.as_slice().ct_eq(hash).into()
            }
            Kind::Pbkdf2 { rounds, salt, hash } => {
                let mut found = [0; HASH_LEN];
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, *rounds, &mut found);
                found.as_slice().ct_eq(hash).into()
            }
            Kind::Argon2(text) => PasswordHash::new(text)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        }
    }
}

fn right_length(hash: &[u8]) -> Result<(), String> {
    match hash.len() {
        HASH_LEN => Ok(()),
        len => Err(format!("the hash has {len} bytes instead of {HASH_LEN}")),
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Base64::encode_string;
        match &self.0 {
            Kind::Sha512 { salt, hash } => write!(f, "$6${}${}", text(salt), text(hash)),
            Kind::Pbkdf2 { rounds, salt, hash } => {
                write!(f, "$7${rounds}${}${}", text(salt), text(hash))
            }
            Kind::Argon2(text) => f.write_str(text),
        }
    }
}

/// Nothing that could end in a log.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}
