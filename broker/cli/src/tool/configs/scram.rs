//! Credentials of users.

use std::io::Write;
use std::num::NonZeroU32;

use bytes::Bytes;
use ottla_client::{Client, NewScram};
use ottla_wire::ErrorCode;
use ring::pbkdf2;

use super::Trouble;
use super::arguments::{Entity, Request};
use crate::tool::connect::{joined, say};

/// The fewest iterations, and how many there are when none are given.
const MIN_ITERATIONS: i32 = 4_096;

/// The most iterations.
const MAX_ITERATIONS: i32 = 16_384;

/// The bytes of a salt.
const SALT: usize = 24;

/// A mechanism: its name, its number in the protocol and the bytes of its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mechanism {
    name: &'static str,
    number: i8,
    hash: usize,
}

const MECHANISMS: [Mechanism; 2] = [
    Mechanism { name: "SCRAM-SHA-256", number: 1, hash: 32 },
    Mechanism { name: "SCRAM-SHA-512", number: 2, hash: 64 },
];

/// The mechanism of this name.
pub(super) fn mechanism(name: &str) -> Option<Mechanism> {
    MECHANISMS.into_iter().find(|m| m.name == name)
}

/// Shows the credentials of a user, or of all.
pub(super) async fn describe(
    client: &Client,
    user: &Entity,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    // The default of users has none.
    if user.name.as_deref() == Some("") {
        return Ok(());
    }
    let users: Option<Vec<String>> = user.name.clone().map(|name| vec![name]);
    let found = match client.scram_credentials(users.as_deref()).await {
        Ok(found) => found,
        Err(error) if error.code() == Some(ErrorCode::RESOURCE_NOT_FOUND) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for (user, credentials) in found {
        match credentials {
            Ok(credentials) => {
                let shown = credentials.iter().map(|(number, iterations)| {
                    let known = MECHANISMS.iter().find(|m| m.number == *number);
                    format!("{}=iterations={iterations}", known.map_or("UNKNOWN", |m| m.name))
                });
                let shown = joined(shown, ", ");
                say(
                    out,
                    format_args!(
                        "SCRAM credential configs for user-principal '{user}' are {shown}"
                    ),
                );
            }
            Err(error) if error.code == ErrorCode::RESOURCE_NOT_FOUND => {}
            Err(error) => say(
                out,
                format_args!(
                    "Error retrieving SCRAM credential configs for user-principal '{user}': {error}"
                ),
            ),
        }
    }
    Ok(())
}

/// Sets credentials of a user and takes credentials away.
pub(super) async fn alter(client: &Client, request: &Request) -> Result<(), Trouble> {
    let user = request.head().name.unwrap_or_default();
    let known = |(key, value): (&String, &String)| Some((mechanism(key)?, value.clone()));
    let added = request.added.iter().filter_map(known);
    let set: Vec<NewScram> =
        added.map(|(m, value)| credential(m, &value, rand::random())).collect::<Result<_, _>>()?;
    let deleted: Vec<i8> =
        request.deleted.iter().filter_map(|key| mechanism(key)).map(|m| m.number).collect();
    Ok(client.alter_scram(&user, &set, &deleted).await?)
}

/// The credential of `iterations=N,password=SECRET` or `password=SECRET`.
fn credential(m: Mechanism, text: &str, salt: [u8; SALT]) -> Result<NewScram, Trouble> {
    let invalid = || Trouble::Options(format!("Invalid credential property {}={text}", m.name));
    let (iterations, rest) = match text.strip_prefix("iterations=").and_then(|t| t.split_once(','))
    {
        Some((n, rest)) => (n.trim().parse::<i32>().map_err(|_| invalid())?, rest),
        None => (MIN_ITERATIONS, text),
    };
    let password = rest.trim_start().strip_prefix("password=").ok_or_else(invalid)?;
    if iterations < MIN_ITERATIONS {
        return Err(Trouble::Options(format!(
            "Iterations {iterations} is less than the minimum {MIN_ITERATIONS} required for {}",
            m.name
        )));
    }
    if iterations > MAX_ITERATIONS {
        return Err(Trouble::Options(format!(
            "Iterations {iterations} is greater than the maximum {MAX_ITERATIONS} allowed for {}",
            m.name
        )));
    }
    let algorithm =
        if m.hash == 32 { pbkdf2::PBKDF2_HMAC_SHA256 } else { pbkdf2::PBKDF2_HMAC_SHA512 };
    let rounds = u32::try_from(iterations).ok().and_then(NonZeroU32::new).ok_or_else(invalid)?;
    let mut salted = vec![0; m.hash];
    pbkdf2::derive(algorithm, rounds, &salt, password.as_bytes(), &mut salted);
    Ok(NewScram {
        mechanism: m.number,
        iterations,
        salt: Bytes::copy_from_slice(&salt),
        salted_password: salted.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_iterated() {
        let m = mechanism("SCRAM-SHA-256").unwrap();
        let made = credential(m, "iterations=8192,password=a=b,c", [7; SALT]).unwrap();
        assert_eq!((made.mechanism, made.iterations, made.salted_password.len()), (1, 8_192, 32));
        let mut expected = vec![0; 32];
        let rounds = NonZeroU32::new(8_192).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &[7; SALT], b"a=b,c", &mut expected);
        assert_eq!(made.salted_password, expected);
        assert_eq!(credential(m, "password=x", [7; SALT]).unwrap().iterations, 4_096);
        assert_eq!(
            credential(m, "iterations=1,password=x", [7; SALT]),
            Err(Trouble::Options(
                "Iterations 1 is less than the minimum 4096 required for SCRAM-SHA-256".into()
            ))
        );
        assert!(credential(m, "secret", [7; SALT]).is_err());
    }
}
