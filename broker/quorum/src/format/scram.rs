//! `--add-scram`: a first SCRAM credential, from a password or an already salted one (RFC 5802).

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Fewest and most rounds of PBKDF2 that Kafka accepts.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=16384;

/// Which hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl Mechanism {
    /// Its number in records.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM_SHA_256",
            Self::Sha512 => "SCRAM_SHA_512",
        }
    }

    fn algorithms(self) -> (pbkdf2::Algorithm, hmac::Algorithm, &'static digest::Algorithm) {
        match self {
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &digest::SHA256),
            Self::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512, &digest::SHA512),
        }
    }
}

/// What is stored of a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub user: String,
    /// The hash function.
    pub mechanism: Mechanism,
    /// The salt.
    pub salt: Vec<u8>,
    /// What the server compares the client's proof with.
    pub stored_key: Vec<u8>,
    /// What the server proves itself with.
    pub server_key: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: i32,
}

impl Credential {
    /// Reads `SCRAM-SHA-256=[name=alice,password=secret]`; `fresh_salt` is taken when no salt is given.
    ///
    /// # Errors
    /// A sentence in Kafka's words.
    pub fn parse(argument: &str, fresh_salt: &[u8]) -> Result<Self, String> {
        let (mechanism, configuration) = argument
            .split_once('=')
            .ok_or_else(|| format!("Failed to find equals sign in SCRAM argument '{argument}'"))?;
        let mechanism = match mechanism {
            "SCRAM-SHA-256" => Mechanism::Sha256,
            "SCRAM-SHA-512" => Mechanism::Sha512,
            other => return Err(format!("The add-scram mechanism {other} is not supported.")),
        };
        let mut components = components(configuration)?;
        let user = components.remove("name").ok_or("You must supply 'name' to add-scram")?;
        let salt = match components.remove("salt") {
            Some(text) => Some(decode("salt", &text)?),
            None => None,
        };
        let iterations = match components.remove("iterations") {
            Some(text) => iterations(mechanism, &text)?,
            None => *ITERATIONS.start(),
        };
        let password = components.remove("password");
        let salted = components.remove("saltedpassword");
        let (salt, salted) = match (password, salted) {
            (Some(password), _) => {
                let salt = salt.unwrap_or_else(|| fresh_salt.to_vec());
                let salted = salt_password(mechanism, &password, &salt, iterations);
                (salt, salted)
            }
            (None, Some(salted)) => {
                let salt =
                    salt.ok_or("You must supply 'salt' with 'saltedpassword' to add-scram")?;
                (salt, decode("saltedpassword", &salted)?)
            }
            (None, None) => {
                return Err(
                    "You must supply one of 'password' or 'saltedpassword' to add-scram".into()
                );
            }
        };
        if !components.is_empty() {
            let unknown = components.into_keys().collect::<Vec<_>>().join(", ");
            return Err(format!("Unknown SCRAM configurations: {unknown}"));
        }
        Ok(Self::of_salted(user, mechanism, salt, &salted, iterations))
    }

    fn of_salted(
        user: String,
        mechanism: Mechanism,
        salt: Vec<u8>,
        salted: &[u8],
        iterations: u32,
    ) -> Self {
        let (_, hmac_of, digest_of) = mechanism.algorithms();
        let key = hmac::Key::new(hmac_of, salted);
        let client_key = hmac::sign(&key, b"Client Key");
        Self {
            user,
            mechanism,
            salt,
            stored_key: digest::digest(digest_of, client_key.as_ref()).as_ref().to_vec(),
            server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
            iterations: i32::try_from(iterations).unwrap_or(i32::MAX),
        }
    }
}

fn salt_password(mechanism: Mechanism, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let (derive, _, digest_of) = mechanism.algorithms();
    let mut salted = vec![0; digest_of.output_len()];
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(derive, rounds, salt, password.as_bytes(), &mut salted);
    salted
}

fn iterations(mechanism: Mechanism, text: &str) -> Result<u32, String> {
    let label = mechanism.label();
    let n: i64 = text.parse().map_err(|_| format!("For input string: \"{text}\""))?;
    if n < i64::from(*ITERATIONS.start()) {
        let least = ITERATIONS.start();
        return Err(format!(
            "The 'iterations' value must be >= {least} for add-scram using {label}"
        ));
    }
    if n > i64::from(*ITERATIONS.end()) {
        let most = ITERATIONS.end();
        return Err(format!(
            "The 'iterations' value must be <= {most} for add-scram using {label}"
        ));
    }
    u32::try_from(n).map_err(|e| e.to_string())
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("'{what}' is not base64: {e}"))
}

fn components(configuration: &str) -> Result<BTreeMap<String, String>, String> {
    let inner =
        configuration.strip_prefix('[').ok_or("Expected configuration string to start with [")?;
    let inner = inner.strip_suffix(']').ok_or("Expected configuration string to end with ]")?;
    let mut components = BTreeMap::new();
    for part in inner.split(',') {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("No equals sign found in SCRAM component: {part}"))?;
        let value =
            value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value).to_owned();
        components.insert(key.trim().to_owned(), value);
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_keys_kafka_derives() {
        let text = "SCRAM-SHA-256=[name=alice,password=alice-secret]";
        let given = Credential::parse(text, b"sdfy2bpg11906babjqdhjhd2b").unwrap();
        // What Kafka 4.3.1 wrote for this password and salt.
        let stored: [i8; 32] = [
            -102, -112, -28, -78, -93, -98, -71, -54, -123, -122, -33, 121, 58, 116, -107, -46,
            -78, -69, 85, -69, 112, 3, -97, -10, -127, 92, -75, 69, 95, 36, 122, 103,
        ];
        let server: [i8; 32] = [
            58, 0, -39, 29, 124, -40, -72, -48, -124, 31, 71, 35, -113, 104, -5, -85, 0, 40, 91,
            59, 111, -74, -46, 50, 54, 119, 63, 60, -8, 47, 45, -9,
        ];
        assert_eq!(given.stored_key, stored.map(|b| b as u8));
        assert_eq!(given.server_key, server.map(|b| b as u8));
        assert_eq!((given.iterations, given.mechanism.number()), (4096, 1));
    }

    #[test]
    fn a_salted_password_needs_its_salt() {
        let text = "SCRAM-SHA-512=[name=bob,salt=\"MWx2NHBkbnc0ZndxN25vdGN4bTB5Y2Zpaw==\",saltedpassword=mT0yyUUxnlJaC99HXgRTSYlbuqa4FSGtJCJfTMvjYCE=,iterations=4096]";
        let given = Credential::parse(text, b"").unwrap();
        assert_eq!(given.salt, b"1lv4pdnw4fwq7notcxm0ycfik");
        assert_eq!(given.stored_key[..4], [57, 50, 90, 35]);
        assert_eq!(given.server_key[..4], [72, 1, 109, 106]);
    }

    #[test]
    fn refuses_in_kafkas_words() {
        for (text, message) in [
            ("junk", "Failed to find equals sign in SCRAM argument 'junk'"),
            ("SCRAM-SHA-1=[name=a]", "The add-scram mechanism SCRAM-SHA-1 is not supported."),
            ("SCRAM-SHA-256=name", "Expected configuration string to start with ["),
            ("SCRAM-SHA-256=[name", "Expected configuration string to end with ]"),
            ("SCRAM-SHA-256=[name]", "No equals sign found in SCRAM component: name"),
            ("SCRAM-SHA-256=[password=x]", "You must supply 'name' to add-scram"),
            (
                "SCRAM-SHA-256=[name=a]",
                "You must supply one of 'password' or 'saltedpassword' to add-scram",
            ),
            (
                "SCRAM-SHA-256=[name=a,saltedpassword=y]",
                "You must supply 'salt' with 'saltedpassword' to add-scram",
            ),
            ("SCRAM-SHA-256=[name=a,password=x,foo=1]", "Unknown SCRAM configurations: foo"),
            (
                "SCRAM-SHA-256=[name=a,password=x,iterations=10]",
                "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256",
            ),
            (
                "SCRAM-SHA-512=[name=a,password=x,iterations=99999]",
                "The 'iterations' value must be <= 16384 for add-scram using SCRAM_SHA_512",
            ),
        ] {
            assert_eq!(Credential::parse(text, b"s"), Err(message.to_owned()), "{text}");
        }
    }
}
