//! What brokers say to each other for transactions: whether partitions belong to one, and the
//! markers that end it.

use std::sync::{Arc, Weak};

use ottla_config::{BrokerConfig, keys};
use ottla_coordinator::hash;
use ottla_engine::{
    Adding, Leader, MarkerPeers, PeerError, PeerFuture, TRANSACTIONS_TOPIC, Verification, Verified,
    Verifier, VerifyFuture,
};
use ottla_wire::ErrorCode;
use ottla_wire::api::Request;
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
};
use ottla_wire::api::write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use tracing::debug;

use super::{Links, Ways, address};
use crate::api::{add_partitions_to_txn, txns, write_txn_markers};
use crate::context::Context;
use crate::node::ms;

/// The version of AddPartitionsToTxn in which brokers ask.
const ADD_PARTITIONS: i16 = 5;

/// The other brokers, as those who have to do with transactions.
#[derive(Debug)]
pub(crate) struct Transactions {
    links: Arc<Links>,
    config: Arc<BrokerConfig>,
    context: Weak<Context>,
}

impl Transactions {
    /// The brokers that the metadata name.
    pub(crate) fn new(context: &Arc<Context>) -> Arc<Self> {
        let config = Arc::clone(&context.initial);
        let limit = ms(config.get(keys::REQUEST_TIMEOUT_MS));
        let ways = Ways::new(&config, format!("broker-{}-txn", context.node_id), limit);
        Arc::new(Self { links: Links::new(ways), config, context: Arc::downgrade(context) })
    }

    /// Where a broker listens for others.
    fn address(&self, context: &Context, broker: i32) -> Option<String> {
        let image = context.image();
        let endpoint = image.endpoint(broker, self.config.listeners().inter_broker.as_str())?;
        Some(address::text(&endpoint.host, endpoint.port))
    }

    /// Sends a request to a broker.
    fn ask<R: Request + Send + Sync + 'static>(
        &self,
        broker: i32,
        request: R,
    ) -> PeerFuture<R::Response> {
        let address = self.context.upgrade().and_then(|context| self.address(&context, broker));
        let links = Arc::clone(&self.links);
        Box::pin(async move {
            let address = address.ok_or_else(|| {
                PeerError(format!("the metadata name no listener between brokers of {broker}"))
            })?;
            let asked = async { links.get(&address).await?.send(&request).await };
            asked.await.map_err(|e: ottla_client::ClientError| PeerError(e.to_string()))
        })
    }
}

impl MarkerPeers for Transactions {
    fn leader(&self, topic: &str, partition: i32) -> Leader {
        let Some(context) = self.context.upgrade() else { return Leader::None };
        let image = context.image();
        let Some(topic) = image.topic_named(topic).filter(|t| t.partition(partition).is_some())
        else {
            return Leader::Gone;
        };
        image.leader(topic.id, partition).map_or(Leader::None, |broker| Leader::Broker(broker.id))
    }

    fn write(
        &self,
        broker: i32,
        request: WriteTxnMarkersRequest,
    ) -> PeerFuture<WriteTxnMarkersResponse> {
        match self.context.upgrade() {
            Some(context) if context.node_id == broker => {
                let written = write_txn_markers::write(&context, request);
                Box::pin(async move { Ok(written.await) })
            }
            _ => self.ask(broker, request),
        }
    }
}

impl Verifier for Transactions {
    fn verify(&self, asked: Verification) -> VerifyFuture {
        let Some(context) = self.context.upgrade() else {
            let nobody = all(&asked, ErrorCode::COORDINATOR_NOT_AVAILABLE);
            return Box::pin(std::future::ready(nobody));
        };
        let image = context.image();
        let partitions = txns::topic_partitions(&image);
        let leader =
            image.topic_named(TRANSACTIONS_TOPIC).filter(|_| partitions > 0).and_then(|t| {
                image.leader(t.id, hash::partition_for(&asked.transactional_id, partitions))
            });
        let Some(broker) = leader.map(|broker| broker.id) else {
            let nobody = all(&asked, ErrorCode::COORDINATOR_NOT_AVAILABLE);
            return Box::pin(std::future::ready(nobody));
        };
        let one = transaction(&asked);
        if broker == context.node_id {
            let judged = add_partitions_to_txn::judge(&context, ADD_PARTITIONS, one);
            return Box::pin(async move { verified(vec![judged.await]) });
        }
        let request = AddPartitionsToTxnRequest { transactions: vec![one], ..Default::default() };
        let answer = self.ask(broker, request);
        Box::pin(async move {
            match answer.await {
                Ok(response) if response.error_code == ErrorCode::NONE => {
                    verified(response.results_by_transaction)
                }
                Ok(response) => all(&asked, response.error_code),
                Err(error) => {
                    debug!(broker, %error, "the coordinator of a transaction cannot be asked");
                    all(&asked, ErrorCode::NETWORK_EXCEPTION)
                }
            }
        })
    }
}

fn transaction(asked: &Verification) -> AddPartitionsToTxnTransaction {
    let topics = asked.topics.iter().map(|(name, partitions)| AddPartitionsToTxnTopic {
        name: name.clone(),
        partitions: partitions.clone(),
    });
    AddPartitionsToTxnTransaction {
        transactional_id: asked.transactional_id.clone(),
        producer_id: asked.producer_id,
        producer_epoch: asked.producer_epoch,
        verify_only: asked.adding == Adding::Explicit,
        topics: topics.collect(),
    }
}

/// The same code for all.
fn all(asked: &Verification, code: ErrorCode) -> Vec<Verified> {
    let topics = asked.topics.iter();
    let each = |(topic, partitions): &(String, Vec<i32>)| {
        partitions.iter().map(|partition| (topic.clone(), *partition, code)).collect::<Vec<_>>()
    };
    topics.flat_map(each).collect()
}

/// What was said of each partition.
fn verified(results: Vec<AddPartitionsToTxnResult>) -> Vec<Verified> {
    let topics = results.into_iter().flat_map(|result| result.topic_results);
    let each = topics.flat_map(|topic| {
        let name = topic.name;
        topic
            .results_by_partition
            .into_iter()
            .map(move |p| (name.clone(), p.partition_index, p.partition_error_code))
    });
    each.collect()
}
