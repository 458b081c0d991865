//! BrokerHeartbeat, and the fencing of brokers that fall silent.

use super::check_epoch;
use crate::draft::Draft;
use crate::error::ApiError;
use crate::partitions::{Cause, update_leaders};
use crate::settings::Settings;
use crate::waits::Waits;
use ottla_machine::Mono;
use ottla_metadata::{BrokerRegistration, Image};
use ottla_wire::Uuid;
use ottla_wire::api::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_wire::schema::metadata::BrokerRegistrationChangeRecord;

/// The code of a BrokerRegistrationChangeRecord that fences.
const FENCE: i8 = 1;
/// The code of a BrokerRegistrationChangeRecord that lets back into service.
const UNFENCE: i8 = -1;

/// Where a broker stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fenced,
    InService,
    ShuttingDown,
    /// Fenced, and told to stop.
    Stopped,
}

/// Hears a broker: lets it into service when it has caught up with its own registration, moves its leaders away
/// when it wants to stop, and tells it when it may.
pub(crate) fn broker_heartbeat(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    now: Mono,
    request: &BrokerHeartbeatRequest,
) -> Result<BrokerHeartbeatResponse, ApiError> {
    let (id, epoch) = (request.broker_id, request.broker_epoch);
    let broker = check_epoch(draft.image(), id, epoch)?.clone();
    let offset = request.current_metadata_offset;
    let (from, to) = next_stage(draft.image(), waits, &broker, request);
    waits.touch(id, epoch, now, offset);
    match (from, to) {
        _ if from == to => {}
        (Stage::Fenced, Stage::Stopped) => {}
        (_, Stage::Fenced | Stage::Stopped) => fence(draft, waits.settings(), id, epoch),
        (_, Stage::InService) => {
            draft.push(BrokerRegistrationChangeRecord {
                broker_id: id,
                broker_epoch: epoch,
                fenced: UNFENCE,
                ..BrokerRegistrationChangeRecord::default()
            });
            update_leaders(draft, waits.settings(), Cause::Came(id), &|_| true);
        }
        (_, Stage::ShuttingDown) => {
            draft.push(BrokerRegistrationChangeRecord {
                broker_id: id,
                broker_epoch: epoch,
                in_controlled_shutdown: 1,
                ..BrokerRegistrationChangeRecord::default()
            });
            update_leaders(draft, waits.settings(), Cause::Left(id), &|_| true);
        }
    }
    if draft.image().features().version().has_directories() {
        directories_offline(draft, waits.settings(), &broker, &request.offline_log_dirs);
    }
    if let Some(cordoned) = &request.cordoned_log_dirs {
        directories_cordoned(draft, id, epoch, cordoned);
    }
    if request.want_fence && to == Stage::Fenced {
        // Its life is over, by its own word or because nobody lives there: the next one need not wait for its session.
        waits.forget(id);
    }
    if to == Stage::ShuttingDown {
        // The broker may stop once all others have read what was just decided.
        let decided = draft.next_offset() - 1;
        let kept = waits.contact(id, epoch).and_then(|c| c.shutdown_offset);
        if from != to || kept.is_none() {
            waits.set_shutdown_offset(id, Some(decided));
        }
    } else {
        waits.set_shutdown_offset(id, None);
    }
    Ok(BrokerHeartbeatResponse {
        is_caught_up: offset >= epoch,
        is_fenced: matches!(to, Stage::Fenced | Stage::Stopped),
        should_shut_down: to == Stage::Stopped,
        ..BrokerHeartbeatResponse::default()
    })
}

fn next_stage(
    image: &Image,
    waits: &Waits,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
) -> (Stage, Stage) {
    let (want_fence, want_stop) = (request.want_fence, request.want_shut_down);
    let leads = || {
        let mut partitions = image.topics_by_id().flat_map(|t| t.partitions.iter());
        partitions.any(|(_, p)| p.leader == broker.id)
    };
    if broker.fenced {
        // The epoch is the offset of the registration's record.
        let caught_up = request.current_metadata_offset >= broker.epoch;
        let to = match (want_stop, want_fence) {
            (true, _) => Stage::Stopped,
            (false, false) if caught_up => Stage::InService,
            _ => Stage::Fenced,
        };
        return (Stage::Fenced, to);
    }
    if broker.in_controlled_shutdown {
        let contact = waits.contact(broker.id, broker.epoch);
        let moved = contact.and_then(|c| c.shutdown_offset);
        let read = waits.lowest_active_offset(image);
        // Without a record of when its leaders were moved, all that is decided so far must be read.
        let needed = moved.unwrap_or(image.provenance().offset);
        let to = if !leads() && needed <= read { Stage::Stopped } else { Stage::ShuttingDown };
        return (Stage::ShuttingDown, to);
    }
    let to = match (want_fence, want_stop) {
        (true, true) => Stage::Stopped,
        (true, false) => Stage::Fenced,
        (false, true) if leads() => Stage::ShuttingDown,
        (false, true) => Stage::Stopped,
        (false, false) => Stage::InService,
    };
    (Stage::InService, to)
}

/// Takes a broker out of service and its leaderships away.
fn fence(draft: &mut Draft<'_>, settings: &Settings, id: i32, epoch: i64) {
    update_leaders(draft, settings, Cause::Left(id), &|_| true);
    draft.push(BrokerRegistrationChangeRecord {
        broker_id: id,
        broker_epoch: epoch,
        fenced: FENCE,
        ..BrokerRegistrationChangeRecord::default()
    });
}

/// Fences brokers that were silent for longer than the session timeout. One at a time, so that a controller that
/// was itself held up hears from the others before it fences them all; `true` if there are more.
pub(crate) fn fence_silent(draft: &mut Draft<'_>, waits: &mut Waits, now: Mono) -> bool {
    let silent = waits.expired(draft.image(), now);
    let Some(id) = silent.first().copied() else { return false };
    if let Some(epoch) = draft.image().broker(id).map(|b| b.epoch) {
        fence(draft, waits.settings(), id, epoch);
    }
    silent.len() > 1
}

/// Moves leaders away from directories that went offline.
fn directories_offline(
    draft: &mut Draft<'_>,
    settings: &Settings,
    broker: &BrokerRegistration,
    offline: &[Uuid],
) {
    let newly: Vec<Uuid> =
        broker.log_dirs.iter().copied().filter(|d| offline.contains(d)).collect();
    if newly.is_empty() {
        return;
    }
    let id = broker.id;
    let lost =
        |p: &ottla_metadata::Partition| p.directory_of(id).is_some_and(|dir| newly.contains(&dir));
    update_leaders(draft, settings, Cause::Left(id), &lost);
    let left = broker.log_dirs.iter().copied().filter(|d| !newly.contains(d));
    draft.push(BrokerRegistrationChangeRecord {
        broker_id: id,
        broker_epoch: broker.epoch,
        log_dirs: left.collect(),
        ..BrokerRegistrationChangeRecord::default()
    });
}

/// Notes which directories take no new replicas.
fn directories_cordoned(draft: &mut Draft<'_>, id: i32, epoch: i64, cordoned: &[Uuid]) {
    let mut wanted = cordoned.to_vec();
    wanted.sort_unstable();
    let known = draft.image().features().version().has_cordoned_directories();
    let same = draft.image().broker(id).is_none_or(|b| b.cordoned_log_dirs == wanted);
    if !known || same {
        return;
    }
    draft.push(BrokerRegistrationChangeRecord {
        broker_id: id,
        broker_epoch: epoch,
        cordoned_log_dirs: Some(wanted),
        ..BrokerRegistrationChangeRecord::default()
    });
}
