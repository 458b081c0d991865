//! Asking where partitions begin and end.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::ErrorCode;
use ottla_wire::api::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::{Isolation, Start};
use crate::{ApiError, Client, ClientError, TopicPartition};

/// The timestamp that stands for the first offset.
const EARLIEST: i64 = -2;
/// The timestamp that stands for the end.
const LATEST: i64 = -1;

/// What a leader said.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) leader: i32,
    /// The offset of each start, or why it is not to be had now.
    pub(super) offsets: Vec<(TopicPartition, Result<i64, ClientError>)>,
}

/// Asks a leader for the offsets of starts.
pub(super) async fn find(
    client: Arc<Client>,
    leader: i32,
    wanted: Vec<(TopicPartition, Start)>,
    isolation: Isolation,
) -> Found {
    let mut offsets = Vec::with_capacity(wanted.len());
    let mut asked = Vec::with_capacity(wanted.len());
    for (partition, start) in wanted {
        match start {
            Start::Offset(offset) => offsets.push((partition, Ok(offset))),
            Start::Earliest => asked.push((partition, EARLIEST)),
            Start::Latest => asked.push((partition, LATEST)),
        }
    }
    match ask(&client, leader, &asked, isolation).await {
        Ok(mut answers) => offsets.extend(asked.into_iter().map(|(partition, _)| {
            let silent = ApiError { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message: None };
            let answer = answers.remove(&partition).unwrap_or(Err(silent));
            (partition, answer.map_err(ClientError::from))
        })),
        Err(error) => {
            offsets.extend(asked.into_iter().map(|(partition, _)| (partition, Err(error.clone()))));
        }
    }
    Found { leader, offsets }
}

async fn ask(
    client: &Client,
    leader: i32,
    partitions: &[(TopicPartition, i64)],
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, Result<i64, ApiError>>, ClientError> {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, timestamp) in partitions {
        let asked = ListOffsetsPartition {
            partition_index: partition.partition,
            timestamp: *timestamp,
            ..Default::default()
        };
        match topics.last_mut() {
            Some(last) if last.name == partition.topic => last.partitions.push(asked),
            _ => topics
                .push(ListOffsetsTopic { name: partition.topic.clone(), partitions: vec![asked] }),
        }
    }
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation.code(),
        topics,
        timeout_ms: i32::try_from(client.options().request_timeout.as_millis()).unwrap_or(i32::MAX),
    };
    let response = client.broker(leader).await?.send(&request).await?;
    let answers = response.topics.into_iter().flat_map(|t| {
        let name = t.name;
        t.partitions.into_iter().map(move |p| {
            let partition = TopicPartition::new(name.clone(), p.partition_index);
            (partition, ApiError::check(p.error_code, None).map(|()| p.offset))
        })
    });
    Ok(answers.collect())
}
