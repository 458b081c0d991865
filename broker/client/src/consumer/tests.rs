use std::sync::atomic::Ordering;

use super::*;
use crate::testing::Broker;

async fn start(broker: Broker) -> (Arc<Broker>, Consumer) {
    let (broker, client) = Broker::start(broker).await;
    let max_wait = Duration::from_millis(20);
    let how = ConsumerOptions { max_wait, ..ConsumerOptions::default() };
    let mut consumer = Consumer::new(client, how);
    for partition in 0..2 {
        consumer.add(TopicPartition::new("t", partition), Start::Earliest);
    }
    (broker, consumer)
}

fn values(records: &[Delivery]) -> Vec<&str> {
    let values = records.iter().filter_map(|d| d.record.value.as_deref());
    values.map(|v| std::str::from_utf8(v).unwrap()).collect()
}

/// Polls for a record, in turns of `turn`.
async fn next(consumer: &mut Consumer, turn: Duration) -> Result<Vec<Delivery>, ClientError> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let records = consumer.poll(turn).await?;
        if !records.is_empty() {
            return Ok(records);
        }
    }
    panic!("no record in time");
}

const TURN: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_partition_without_leader_holds_up_no_other() {
    let (broker, mut consumer) = start(Broker::default()).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    broker.led.store(true, Ordering::Relaxed);
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["one"]);
    let looks = broker.metadata.load(Ordering::Relaxed);
    assert!(looks > 1, "its leader was looked for again");
    assert!(consumer.poll(Duration::from_millis(100)).await.unwrap().is_empty());
    assert_eq!(broker.metadata.load(Ordering::Relaxed), looks, "and no more once it was found");
}

#[tokio::test]
async fn short_polls_give_nothing_up_that_is_under_way() {
    let broker =
        Broker { delay: Duration::from_millis(30), led: true.into(), ..Default::default() };
    let (broker, mut consumer) = start(broker).await;
    let mut read = Vec::new();
    while read.len() < 2 {
        read.extend(next(&mut consumer, Duration::from_millis(1)).await.unwrap());
    }
    assert_eq!(values(&read), ["zero", "one"]);
    assert_eq!(broker.accepted.load(Ordering::Relaxed), 1, "one connection lasts");
}

#[tokio::test]
async fn a_partition_that_fails_for_now_is_tried_again_with_pauses() {
    let failure = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let broker = Broker { failure, led: true.into(), ..Default::default() };
    let (broker, mut consumer) = start(broker).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    assert!(consumer.poll(Duration::from_millis(200)).await.unwrap().is_empty());
    let looks = broker.metadata.load(Ordering::Relaxed);
    assert!((3..40).contains(&looks), "{looks} looks for its leader");
}

#[tokio::test]
async fn a_failure_for_good_is_told_after_the_records_beside_it() {
    let failure = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let broker = Broker { failure, led: true.into(), ..Default::default() };
    let (_, mut consumer) = start(broker).await;
    assert_eq!(values(&next(&mut consumer, TURN).await.unwrap()), ["zero"]);
    let error = next(&mut consumer, TURN).await.unwrap_err();
    assert_eq!(error.code(), Some(failure));
}
