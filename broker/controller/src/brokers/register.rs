//! BrokerRegistration, UnregisterBroker and ControllerRegistration.

use crate::draft::Draft;
use crate::error::ApiError;
use crate::partitions::{Cause, update_leaders};
use crate::waits::Waits;
use ottla_machine::Mono;
use ottla_metadata::{BrokerRegistration, Image, MetadataVersion, VersionRange, features};
use ottla_wire::ErrorCode;
use ottla_wire::api::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use ottla_wire::api::controller_registration::{
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};
use ottla_wire::api::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use ottla_wire::schema::metadata::{
    BrokerEndpoint, BrokerFeature, ControllerEndpoint, ControllerFeature, RegisterBrokerRecord,
    RegisterControllerRecord, UnregisterBrokerRecord,
};
use std::collections::BTreeSet;

/// Registers a broker. It begins fenced, and is let into service by its heartbeats.
pub(crate) fn register_broker(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    now: Mono,
    request: &BrokerRegistrationRequest,
) -> Result<BrokerRegistrationResponse, ApiError> {
    check(draft.image(), waits, now, request)?;
    let id = request.broker_id;
    let existing = draft.image().broker(id).cloned();
    let same = existing.as_ref().filter(|b| b.incarnation_id == request.incarnation_id).cloned();
    if same.is_none()
        && let Some(existing) = &existing
    {
        // Its logs are whole if it says that it ended that registration in order.
        let clean = existing.epoch == request.previous_broker_epoch;
        let elr = draft.image().features().version().has_elr();
        let cause = if clean || !elr { Cause::Left(id) } else { Cause::StoppedUncleanly(id) };
        update_leaders(draft, waits.settings(), cause, &|_| true);
    }
    let epoch = same.as_ref().map_or_else(|| draft.next_offset(), |b| b.epoch);
    let version = draft.image().features().version();
    draft.push(RegisterBrokerRecord {
        broker_id: id,
        is_migrating_zk_broker: false,
        incarnation_id: request.incarnation_id,
        broker_epoch: epoch,
        end_points: request
            .listeners
            .iter()
            .map(|l| BrokerEndpoint {
                name: l.name.clone(),
                host: l.host.clone(),
                port: l.port,
                security_protocol: l.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|f| BrokerFeature {
                name: f.name.clone(),
                min_supported_version: f.min_supported_version,
                max_supported_version: f.max_supported_version,
            })
            .collect(),
        rack: request.rack.clone(),
        fenced: same.as_ref().is_none_or(|b| b.fenced),
        in_controlled_shutdown: same.as_ref().is_some_and(|b| b.in_controlled_shutdown),
        log_dirs: if version.has_directories() { request.log_dirs.clone() } else { Vec::new() },
        cordoned_log_dirs: version
            .has_cordoned_directories()
            .then(|| same.map(|b| b.cordoned_log_dirs.clone()).unwrap_or_default()),
    });
    waits.touch(id, epoch, now, -1);
    Ok(BrokerRegistrationResponse { broker_epoch: epoch, ..BrokerRegistrationResponse::default() })
}

fn check(
    image: &Image,
    waits: &Waits,
    now: Mono,
    request: &BrokerRegistrationRequest,
) -> Result<(), ApiError> {
    let (ours, theirs) = (&waits.settings().cluster_id, &request.cluster_id);
    if ours != theirs {
        let text = format!("Expected cluster ID {ours}, but got cluster ID {theirs}");
        return Err(ApiError::new(ErrorCode::INCONSISTENT_CLUSTER_ID, text));
    }
    let invalid = |text: &str| ApiError::new(ErrorCode::INVALID_REQUEST, text);
    if request.is_migrating_zk_broker {
        return Err(invalid("Controller does not support registering ZK brokers."));
    }
    if let Some(existing) = image.broker(request.broker_id) {
        check_incarnation(existing, waits, now, request)?;
    }
    if image.features().version().has_directories() {
        if request.log_dirs.is_empty() {
            return Err(invalid("No directories specified in request"));
        }
        if request.log_dirs.iter().any(|d| d.is_reserved()) {
            return Err(invalid("Reserved directory ID in request"));
        }
        let distinct: BTreeSet<_> = request.log_dirs.iter().collect();
        if distinct.len() != request.log_dirs.len() {
            return Err(invalid("Duplicate directory ID in request"));
        }
        for other in image.brokers().filter(|b| b.id != request.broker_id) {
            if let Some(dir) = request.log_dirs.iter().find(|d| other.log_dirs.contains(d)) {
                let id = other.id;
                let text = format!("Broker {id} is already registered with directory {dir}");
                return Err(ApiError::new(ErrorCode::DUPLICATE_BROKER_REGISTRATION, text));
            }
        }
    }
    let offered = request.features.iter().map(|f| {
        let range = VersionRange::new(f.min_supported_version, f.max_supported_version);
        (f.name.as_str(), range)
    });
    check_features(image, offered.collect())
}

/// Refuses a second process under the id of one that is alive, unless that one is on its way out. The broker of this
/// very node, not heard of yet, cannot be alive in another process: nothing is gained by waiting for its session.
fn check_incarnation(
    existing: &BrokerRegistration,
    waits: &Waits,
    now: Mono,
    request: &BrokerRegistrationRequest,
) -> Result<(), ApiError> {
    let alive = waits.has_session(existing.id, existing.epoch, now);
    let same = existing.incarnation_id == request.incarnation_id;
    let contact = waits.contact(existing.id, existing.epoch);
    let own = existing.id == waits.settings().node_id && contact.is_some_and(|c| !c.heard);
    if alive && !same && !own && !existing.in_controlled_shutdown {
        return Err(ApiError::new(
            ErrorCode::DUPLICATE_BROKER_REGISTRATION,
            "Another broker is registered with that broker id. If the broker was recently restarted this should \
             self-resolve once the heartbeat manager expires the broker's session.",
        ));
    }
    Ok(())
}

/// Refuses a broker that cannot follow what the cluster has finalized.
fn check_features(image: &Image, offered: Vec<(&str, VersionRange)>) -> Result<(), ApiError> {
    let unsupported = |level: i16, name: &str, range: VersionRange| {
        let VersionRange { min, max } = range;
        let text = format!(
            "Unable to register because the broker does not support finalized version {level} of {name}. The \
             broker wants a version between {min} and {max}, inclusive."
        );
        Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text))
    };
    for (name, range) in &offered {
        // The quorum looks after its own feature.
        if *name == features::KRAFT {
            continue;
        }
        let level = image.features().level(name);
        let level = if *name == MetadataVersion::FEATURE { level.max(1) } else { level };
        if !range.contains(level) {
            return unsupported(level, name, *range);
        }
    }
    let has = |name: &str| offered.iter().any(|(n, _)| *n == name);
    if !has(MetadataVersion::FEATURE) {
        let text = "Request features do not contain 'metadata.version'";
        return Err(ApiError::new(ErrorCode::INVALID_REGISTRATION, text));
    }
    for (name, level) in image.features().finalized() {
        if name != features::KRAFT && !has(name) {
            return unsupported(*level, name, VersionRange::new(0, 0));
        }
    }
    Ok(())
}

/// Takes a broker out of the cluster for good. Its replicas stay assigned to it.
pub(crate) fn unregister_broker(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    request: &UnregisterBrokerRequest,
) -> Result<UnregisterBrokerResponse, ApiError> {
    let id = request.broker_id;
    let Some(broker) = draft.image().broker(id).cloned() else {
        let text = format!("Broker ID {id} is not currently registered");
        return Err(ApiError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, text));
    };
    update_leaders(draft, waits.settings(), Cause::Left(id), &|_| true);
    draft.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch });
    waits.forget(id);
    Ok(UnregisterBrokerResponse::default())
}

/// Registers a controller.
pub(crate) fn register_controller(
    draft: &mut Draft<'_>,
    request: &ControllerRegistrationRequest,
) -> Result<ControllerRegistrationResponse, ApiError> {
    if !draft.image().features().version().has_controller_registrations() {
        return Err(ApiError::new(
            ErrorCode::UNSUPPORTED_VERSION,
            "The current MetadataVersion is too old to support controller registrations.",
        ));
    }
    let record = RegisterControllerRecord {
        controller_id: request.controller_id,
        incarnation_id: request.incarnation_id,
        zk_migration_ready: request.zk_migration_ready,
        end_points: request
            .listeners
            .iter()
            .map(|l| ControllerEndpoint {
                name: l.name.clone(),
                host: l.host.clone(),
                port: l.port,
                security_protocol: l.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|f| ControllerFeature {
                name: f.name.clone(),
                min_supported_version: f.min_supported_version,
                max_supported_version: f.max_supported_version,
            })
            .collect(),
    };
    draft.push(record);
    Ok(ControllerRegistrationResponse::default())
}
