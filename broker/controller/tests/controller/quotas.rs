//! Quotas of clients.

use crate::common::Rig;
use ottla_controller::{Command, Reply};
use ottla_metadata::QuotaEntity;
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_client_quotas::*;
use std::collections::BTreeMap;

/// Types and names.
type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn alter(
    rig: &mut Rig,
    entity: &[(&str, Option<&str>)],
    key: &str,
    value: Option<f64>,
) -> (ErrorCode, String) {
    let parts = entity.iter().map(|(kind, name)| AlterClientQuotasRequestEntityData {
        entity_type: (*kind).to_owned(),
        entity_name: name.map(str::to_owned),
    });
    let op = OpData { key: key.into(), value: value.unwrap_or(0.0), remove: value.is_none() };
    let entry = AlterClientQuotasRequestEntryData { entity: parts.collect(), ops: vec![op] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    match rig.ask(Command::AlterClientQuotas(request)) {
        Reply::AlterClientQuotas(r) => {
            (r.entries[0].error_code, r.entries[0].error_message.clone().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn quotas_are_set_and_removed() {
    let mut rig = Rig::new();
    let user = [("user", Some("u"))];
    assert!(alter(&mut rig, &user, "producer_byte_rate", Some(1000.0)).0.is_none());
    let entity = QuotaEntity(BTreeMap::from([("user".to_owned(), Some("u".to_owned()))]));
    let quotas = rig.image().quotas(&entity).expect("quotas");
    assert_eq!(quotas.get("producer_byte_rate"), Some(&1000.0));
    let from = rig.log.len();
    assert!(alter(&mut rig, &user, "producer_byte_rate", Some(1000.0)).0.is_none());
    assert_eq!(rig.log.len(), from, "nothing changed, nothing is written");
    assert!(alter(&mut rig, &user, "producer_byte_rate", None).0.is_none());
    assert_eq!(rig.image().quotas(&entity), None);
    assert!(
        alter(&mut rig, &[("user", None), ("client-id", None)], "request_percentage", Some(50.5))
            .0
            .is_none()
    );
    assert_eq!(rig.image().quota_entities().count(), 1);
}

#[test]
fn refusals_have_kafkas_words() {
    let mut rig = Rig::new();
    let user: &[(&str, Option<&str>)] = &[("user", Some("u"))];
    let ip: &[(&str, Option<&str>)] = &[("ip", Some("10.0.0.1"))];
    let rate = "producer_byte_rate";
    let connections = "connection_creation_rate";
    let cases: &[(Entity, &str, f64, &str)] = &[
        (user, rate, 1000.5, "producer_byte_rate cannot be a fractional value."),
        (user, "foo", 1.0, "Invalid configuration key foo"),
        (user, rate, 0.0, "Quota producer_byte_rate must be greater than 0"),
        (user, rate, -1.0, "Quota producer_byte_rate must be greater than 0"),
        (user, rate, f64::NAN, "Quota producer_byte_rate must be greater than 0"),
        (user, rate, 1e30, "Proposed value for producer_byte_rate is too large for a LONG."),
        (&[("foo", Some("u"))], rate, 1.0, "Unhandled client quota entity type: foo"),
        (
            &[("ip", Some("no.such.host.x"))],
            connections,
            1.0,
            "no.such.host.x is not a valid IP or resolvable host.",
        ),
        (ip, rate, 1.0, "Invalid configuration key producer_byte_rate"),
        (
            &[("ip", Some("10.0.0.1")), ("user", Some("x"))],
            connections,
            1.0,
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
        (
            ip,
            connections,
            1e11,
            "Proposed value for connection_creation_rate is too large for an INT.",
        ),
        (&[], rate, 1.0, "Invalid empty client quota entity"),
        (&[("user", Some(""))], rate, 1.0, "Empty user not supported"),
        (user, connections, 1.0, "Invalid configuration key connection_creation_rate"),
    ];
    for (entity, key, value, words) in cases {
        let said = alter(&mut rig, entity, key, Some(*value));
        assert_eq!(said, (ErrorCode::INVALID_REQUEST, (*words).to_owned()));
    }
    assert!(alter(&mut rig, ip, connections, Some(50.0)).0.is_none());
    assert!(alter(&mut rig, user, "request_percentage", Some(50.5)).0.is_none());
}
