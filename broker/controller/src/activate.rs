//! What a controller does first when it comes to power.

use crate::configs::Defaults;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::waits::Waits;
use ottla_config::catalog::topic_keys;
use ottla_metadata::{ConfigResource, Image, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::schema::metadata::{ConfigRecord, MetadataRecord};
use std::collections::BTreeMap;

const MIN_INSYNC: &str = "min.insync.replicas";

/// Takes back a transaction that was left open, and begins a cluster whose log is empty.
pub(crate) fn activate(
    draft: &mut Draft<'_>,
    waits: &Waits,
    bootstrap: Vec<MetadataRecord>,
) -> Result<(), ApiError> {
    if draft.state().in_transaction() {
        if !draft.image().features().version().has_transactions() {
            let text = "the log ends in a transaction, which its metadata.version does not have";
            return Err(ApiError::new(ErrorCode::UNKNOWN_SERVER_ERROR, text));
        }
        draft.abort_transaction("Controller failover");
    }
    if draft.image().features().recorded_version().is_none() {
        draft.extend(bootstrap);
        if draft.image().features().elr_enabled() {
            let records = min_insync_records(draft.image(), waits);
            draft.extend(records);
        }
    }
    Ok(())
}

/// What must be recorded before eligible leaders are kept: one least number in sync for all brokers, and none of
/// a single broker's own, because it decides who is eligible.
pub(crate) fn min_insync_records(image: &Image, waits: &Waits) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    let code = ResourceType::Broker.code();
    let all = ConfigResource::all_brokers();
    if image.config(&all, MIN_INSYNC).is_none() {
        let none = BTreeMap::new();
        let spec = topic_keys().find(|s| s.name == MIN_INSYNC);
        let defaults = Defaults::new(image, waits.settings());
        let value = spec.and_then(|s| defaults.resolve(s, &none).value);
        records.push(
            ConfigRecord {
                resource_type: code,
                resource_name: String::new(),
                name: MIN_INSYNC.to_owned(),
                value: Some(value.unwrap_or_else(|| "1".to_owned())),
            }
            .into(),
        );
    }
    for (resource, values) in image.config_resources() {
        let single = resource.kind == ResourceType::Broker && !resource.name.is_empty();
        if single && values.contains_key(MIN_INSYNC) {
            records.push(
                ConfigRecord {
                    resource_type: code,
                    resource_name: resource.name.to_string(),
                    name: MIN_INSYNC.to_owned(),
                    value: None,
                }
                .into(),
            );
        }
    }
    records
}
