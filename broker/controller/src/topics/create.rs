//! CreateTopics.

use super::assignment::{active, check_assignment, new_partition};
use super::{MAX_PARTITIONS_PER_REQUEST, TOO_MANY_PARTITIONS, check_topic_name};
use crate::configs::{self, Defaults};
use crate::draft::Draft;
use crate::error::ApiError;
use crate::placement::Placer;
use crate::waits::Waits;
use ottla_metadata::{Image, ResourceType};
use ottla_wire::ErrorCode;
use ottla_wire::api::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use ottla_wire::schema::metadata::{ConfigRecord, MetadataRecord, TopicRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The topic of the metadata log, which nobody may create.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Creates topics. Each is created or refused on its own; results stand in the order of the request, a name that
/// was given twice stands once.
pub(crate) fn create_topics(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let repeated = repeated(request.topics.iter().map(|t| t.name.as_str()));
    let too_many = partitions_asked(request, waits) > MAX_PARTITIONS_PER_REQUEST;
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if !seen.insert(topic.name.as_str()) {
            continue;
        }
        let result = if repeated.contains(topic.name.as_str()) {
            Err(ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else if too_many {
            Err(ApiError::new(ErrorCode::POLICY_VIOLATION, TOO_MANY_PARTITIONS))
        } else {
            create_topic(draft, waits, topic)
        };
        results.push(result.unwrap_or_else(|e| refused(topic, e)));
    }
    if request.validate_only {
        draft.discard();
    }
    CreateTopicsResponse { topics: results, ..CreateTopicsResponse::default() }
}

/// The names that stand more than once.
pub(super) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

fn refused(topic: &CreatableTopic, error: ApiError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: error.code,
        error_message: error.message,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}

fn partitions_asked(request: &CreateTopicsRequest, waits: &Waits) -> usize {
    let asked = request.topics.iter().map(|topic| {
        if !topic.assignments.is_empty() {
            return topic.assignments.len();
        }
        let count = match topic.num_partitions {
            -1 => waits.settings().default_partitions,
            count => count,
        };
        usize::try_from(count).unwrap_or(0)
    });
    asked.fold(0, usize::saturating_add)
}

fn create_topic(
    draft: &mut Draft<'_>,
    waits: &mut Waits,
    topic: &CreatableTopic,
) -> Result<CreatableTopicResult, ApiError> {
    check_name(draft, &topic.name)?;
    let values = given_configs(topic)?;
    configs::check_new_topic(waits.settings(), &values)?;
    let placed = if topic.assignments.is_empty() {
        place(draft.image(), waits, topic)?
    } else {
        manual(draft.image(), topic)?
    };
    let topic_id = waits.rng.uuid();
    let result = created(draft.image(), waits, topic, topic_id, &values, &placed);
    draft.push(TopicRecord { name: topic.name.clone(), topic_id });
    let configs = values.into_iter().map(|(name, value)| ConfigRecord {
        resource_type: ResourceType::Topic.code(),
        resource_name: topic.name.clone(),
        name,
        value: Some(value),
    });
    draft.extend(configs.map(MetadataRecord::from));
    for (partition_id, (replicas, isr)) in (0..).zip(placed) {
        let record = new_partition(draft.image(), topic_id, partition_id, replicas, isr);
        draft.push(record);
    }
    Ok(result)
}

fn check_name(draft: &Draft<'_>, name: &str) -> Result<(), ApiError> {
    if name == METADATA_TOPIC {
        let text = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
        return Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
    }
    if draft.image().topic_id(name).is_some() {
        let text = format!("Topic '{name}' already exists.");
        return Err(ApiError::new(ErrorCode::TOPIC_ALREADY_EXISTS, text));
    }
    let invalid = |text| ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, text);
    check_topic_name(name).map_err(invalid)?;
    // Judged by the topics that were there before the request, as Kafka does.
    match draft.state().collision(name) {
        Some(other) => {
            Err(invalid(format!("Topic '{name}' collides with existing topic: {other}")))
        }
        None => Ok(()),
    }
}

fn given_configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, ApiError> {
    let null: Vec<&str> =
        topic.configs.iter().filter(|c| c.value.is_none()).map(|c| c.name.as_str()).collect();
    if !null.is_empty() {
        let text = format!("Null value not supported for topic configs: {}", null.join(","));
        return Err(ApiError::new(ErrorCode::INVALID_CONFIG, text));
    }
    let values = topic.configs.iter().filter_map(|c| Some((c.name.clone(), c.value.clone()?)));
    Ok(values.collect())
}

/// The replicas of each partition, and those of them that are in sync.
type Placed = Vec<(Vec<i32>, Vec<i32>)>;

fn manual(image: &Image, topic: &CreatableTopic) -> Result<Placed, ApiError> {
    let request = |text| Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
    let assignment = |text| Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    if topic.replication_factor != -1 {
        return request(
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        );
    }
    if topic.num_partitions != -1 {
        return request(
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        );
    }
    let mut placed = BTreeMap::new();
    let mut factor = None;
    for a in &topic.assignments {
        let id = a.partition_index;
        if placed.contains_key(&id) {
            return assignment(format!(
                "Found multiple manual partition assignments for partition {id}"
            ));
        }
        check_assignment(image, &a.broker_ids, factor)?;
        factor = Some(a.broker_ids.len());
        let isr = active(image, &a.broker_ids);
        if isr.is_empty() {
            return assignment(format!(
                "All brokers specified in the manual partition assignment for partition {id} are fenced or in \
                 controlled shutdown."
            ));
        }
        placed.insert(id, (a.broker_ids.clone(), isr));
    }
    // Distinct numbers are 0, 1, 2 and so on exactly if each is that of its place.
    if !(0..).zip(placed.keys()).all(|(n, id)| n == *id) {
        return assignment("partitions should be a consecutive 0-based integer sequence".into());
    }
    Ok(placed.into_values().collect())
}

fn place(image: &Image, waits: &mut Waits, topic: &CreatableTopic) -> Result<Placed, ApiError> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(ApiError::new(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        return Err(ApiError::new(
            ErrorCode::INVALID_PARTITIONS,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let partitions = match topic.num_partitions {
        -1 => waits.settings().default_partitions,
        count => count,
    };
    let factor = match topic.replication_factor {
        -1 => waits.settings().default_replication,
        factor => factor,
    };
    place_partitions(image, waits, usize::try_from(partitions).unwrap_or(0), factor)
}

/// Places new partitions over the brokers.
pub(super) fn place_partitions(
    image: &Image,
    waits: &mut Waits,
    partitions: usize,
    factor: i16,
) -> Result<Placed, ApiError> {
    let refuse = |why: &str| {
        let text = format!("Unable to replicate the partition {factor} time(s): {why}");
        ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text)
    };
    let mut placer = Placer::new(image, &mut waits.rng);
    let placed = placer
        .place(partitions, factor, &mut waits.rng)
        .map_err(|e| refuse(&e.message.unwrap_or_default()))?;
    let with_isr = placed.into_iter().map(|replicas| {
        let isr = active(image, &replicas);
        if isr.is_empty() {
            return Err(refuse("All brokers are currently fenced or in controlled shutdown."));
        }
        Ok((replicas, isr))
    });
    with_isr.collect()
}

fn created(
    image: &Image,
    waits: &Waits,
    topic: &CreatableTopic,
    topic_id: ottla_wire::Uuid,
    values: &BTreeMap<String, String>,
    placed: &Placed,
) -> CreatableTopicResult {
    let defaults = Defaults::new(image, waits.settings());
    let configs = defaults.topic(values).map(|c| CreatableTopicConfigs {
        name: c.name.to_owned(),
        value: c.value,
        read_only: false,
        config_source: c.source.code(),
        is_sensitive: false,
    });
    let factor = placed.first().map_or(0, |(replicas, _)| replicas.len());
    CreatableTopicResult {
        name: topic.name.clone(),
        topic_id,
        error_message: None,
        num_partitions: i32::try_from(placed.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}
