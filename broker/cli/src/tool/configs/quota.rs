//! Quotas of users, clients and addresses.

use std::collections::BTreeMap;
use std::io::Write;

use ottla_client::{Client, Entity as QuotaEntity, Match};

use super::Trouble;
use super::arguments::{Kind, Request};
use crate::tool::connect::{joined, say};

/// The quotas of users and clients.
pub(super) const KEYS: [&str; 4] =
    ["consumer_byte_rate", "controller_mutation_rate", "producer_byte_rate", "request_percentage"];

/// The quotas of addresses.
pub(super) const IP_KEYS: [&str; 1] = ["connection_creation_rate"];

/// What the protocol calls a kind of entity.
fn entity_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Users => "user",
        Kind::Clients => "client-id",
        _ => "ip",
    }
}

/// Shows the quotas of entities of just these kinds.
pub(super) async fn describe(
    client: &Client,
    request: &Request,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let filter = request.entities.iter().map(|e| {
        let wanted = match e.name.as_deref() {
            None => Match::Any,
            Some("") => Match::Default,
            Some(name) => Match::Name(name.to_owned()),
        };
        (entity_type(e.kind).to_owned(), wanted)
    });
    for (entity, values) in client.quotas(&filter.collect()).await? {
        let values = values.iter().map(|(key, value)| format!("{key}={}", double(*value)));
        say(out, format_args!("Quota configs for {} are {}", named(&entity), joined(values, ", ")));
    }
    Ok(())
}

/// An entity in words, the user before the client.
fn named(entity: &QuotaEntity) -> String {
    let kinds = [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")];
    let parts = kinds.iter().filter_map(|(kind, shown)| {
        Some(match entity.get(*kind)? {
            Some(name) => format!("{shown} '{name}'"),
            None => format!("the default {shown}"),
        })
    });
    joined(parts, ", ")
}

/// A number as Java writes doubles.
fn double(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-3..1e7).contains(&size) {
        let text = format!("{value:E}");
        return match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        };
    }
    format!("{value:?}")
}

/// Sets quotas and takes quotas away; it is a mistake to take away what is not set.
pub(super) async fn alter(client: &Client, request: &Request) -> Result<(), Trouble> {
    let entity: QuotaEntity = request
        .entities
        .iter()
        .map(|e| (entity_type(e.kind).to_owned(), e.name.clone().filter(|n| !n.is_empty())))
        .collect();
    let filter = entity.iter().map(|(kind, name)| {
        let wanted = name.clone().map_or(Match::Default, Match::Name);
        (kind.clone(), wanted)
    });
    let now = client.quotas(&filter.collect()).await?;
    let now = now.into_iter().find(|(e, _)| *e == entity).map(|(_, v)| v).unwrap_or_default();
    let absent: Vec<&String> =
        request.deleted.iter().filter(|key| !now.contains_key(*key)).collect();
    if !absent.is_empty() {
        return Err(Trouble::Options(format!("Invalid config(s): {}", joined(absent, ","))));
    }
    let mut values: BTreeMap<String, Option<f64>> =
        request.deleted.iter().map(|key| (key.clone(), None)).collect();
    for (key, text) in &request.added {
        let value = text.parse().map_err(|_| {
            Trouble::Options(format!("Cannot parse quota configuration value for {key}: {text}"))
        })?;
        values.insert(key.clone(), Some(value));
    }
    Ok(client.alter_quotas(&entity, &values).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_as_java_writes_them() {
        for (value, text) in [
            (1000.0, "1000.0"),
            (0.5, "0.5"),
            (0.0, "0.0"),
            (10_000_000.0, "1.0E7"),
            (2_147_483_647.0, "2.147483647E9"),
            (0.0001, "1.0E-4"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn entities_in_words() {
        let entity = |pairs: &[(&str, Option<&str>)]| -> QuotaEntity {
            pairs.iter().map(|(k, n)| ((*k).to_owned(), n.map(str::to_owned))).collect()
        };
        assert_eq!(
            named(&entity(&[("client-id", Some("c")), ("user", Some("u"))])),
            "user-principal 'u', client-id 'c'"
        );
        assert_eq!(named(&entity(&[("user", None)])), "the default user-principal");
        assert_eq!(named(&entity(&[("ip", Some("1.2.3.4"))])), "ip '1.2.3.4'");
    }
}
