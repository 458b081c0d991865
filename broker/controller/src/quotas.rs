//! AlterClientQuotas.

use crate::draft::Draft;
use crate::error::ApiError;
use core::net::IpAddr;
use ottla_config::catalog::{client_quota_keys, ip_quota_keys};
use ottla_config::{ConfigType, Spec};
use ottla_metadata::QuotaEntity;
use ottla_wire::ErrorCode;
use ottla_wire::api::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasRequestEntryData, AlterClientQuotasResponse,
    AlterClientQuotasResponseEntityData, AlterClientQuotasResponseEntryData, OpData,
};
use ottla_wire::schema::metadata::{ClientQuotaRecord, EntityData};
use std::collections::{BTreeMap, BTreeSet};

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, text)
}

/// Changes quotas, those of each entity all or none.
pub(crate) fn alter_client_quotas(
    draft: &mut Draft<'_>,
    request: &AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let entries = request.entries.iter().map(|entry| {
        let (error_code, error_message) = ApiError::parts(alter(draft, entry));
        let entity = entry.entity.iter().map(|e| AlterClientQuotasResponseEntityData {
            entity_type: e.entity_type.clone(),
            entity_name: e.entity_name.clone(),
        });
        let entity = entity.collect();
        AlterClientQuotasResponseEntryData { error_code, error_message, entity }
    });
    let entries = entries.collect();
    if request.validate_only {
        draft.discard();
    }
    AlterClientQuotasResponse { entries, ..AlterClientQuotasResponse::default() }
}

fn alter(draft: &mut Draft<'_>, entry: &AlterClientQuotasRequestEntryData) -> Result<(), ApiError> {
    let entity = entity(entry)?;
    let keys = keys(&entity)?;
    let current = draft.image().quotas(&entity).cloned().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for op in &entry.ops {
        let key = op.key.as_str();
        if !seen.insert(key) {
            let entity = show(&entity);
            return Err(invalid(format!(
                "Duplicate quota key {key} not updating quota for this entity {entity}"
            )));
        }
        let spec = keys.iter().find(|s| s.name == key);
        if !op.remove {
            let spec = spec.ok_or_else(|| invalid(format!("Invalid configuration key {key}")))?;
            check_value(spec, op)?;
        }
        let old = current.get(key);
        let same = if op.remove { old.is_none() } else { old == Some(&op.value) };
        if !same {
            let parts = entity.0.iter().map(|(entity_type, entity_name)| EntityData {
                entity_type: entity_type.clone(),
                entity_name: entity_name.clone(),
            });
            records.push(ClientQuotaRecord {
                entity: parts.collect(),
                key: key.to_owned(),
                value: if op.remove { 0.0 } else { op.value },
                remove: op.remove,
            });
        }
    }
    draft.extend(records.into_iter().map(Into::into));
    Ok(())
}

fn entity(entry: &AlterClientQuotasRequestEntryData) -> Result<QuotaEntity, ApiError> {
    if entry.entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity"));
    }
    let mut parts = BTreeMap::new();
    for part in &entry.entity {
        let kind = part.entity_type.as_str();
        if parts.contains_key(kind) {
            return Err(invalid(format!(
                "Invalid client quota entity, duplicate entity entry {kind}"
            )));
        }
        if ![QuotaEntity::USER, QuotaEntity::CLIENT_ID, QuotaEntity::IP].contains(&kind) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if part.entity_name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
        parts.insert(kind.to_owned(), part.entity_name.clone());
    }
    Ok(QuotaEntity(parts))
}

/// The keys that an entity of this kind can have.
fn keys(entity: &QuotaEntity) -> Result<Vec<&'static Spec>, ApiError> {
    let Some(address) = entity.0.get(QuotaEntity::IP) else {
        return Ok(client_quota_keys().collect());
    };
    if entity.0.len() > 1 {
        return Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ));
    }
    if let Some(address) = address
        && address.parse::<IpAddr>().is_err()
    {
        return Err(invalid(format!("{address} is not a valid IP or resolvable host.")));
    }
    Ok(ip_quota_keys().collect())
}

fn check_value(spec: &Spec, op: &OpData) -> Result<(), ApiError> {
    let (key, value) = (spec.name, op.value);
    if value.is_nan() || value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (most, kind) = match spec.kind {
        ConfigType::Double => return Ok(()),
        ConfigType::Short => (f64::from(i16::MAX), "a SHORT"),
        ConfigType::Int => (f64::from(i32::MAX), "an INT"),
        _ => (i64::MAX as f64, "a LONG"),
    };
    if value > most {
        return Err(invalid(format!("Proposed value for {key} is too large for {kind}.")));
    }
    if value.fract().abs() > 1e-6 {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}

fn show(entity: &QuotaEntity) -> String {
    let parts =
        entity.0.iter().map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null")));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}
