//! What is asked of the transaction machine, and what it answers.

use std::sync::Arc;

use ottla_wire::api::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_wire::api::add_partitions_to_txn::{
    AddPartitionsToTxnResult, AddPartitionsToTxnTransaction,
};
use ottla_wire::api::describe_transactions::TransactionState;
use ottla_wire::api::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla_wire::api::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_wire::api::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};

use super::settings::TxnSettings;
use crate::group::{Producer, TxnOutcome};

/// One command: a request, and the version in which it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The version of the request; of no meaning for the shell's own.
    pub version: i16,
    /// What is asked.
    pub request: Request,
}

impl Command {
    /// A command of the shell itself.
    #[must_use]
    pub fn internal(request: Request) -> Self {
        Self { version: 0, request }
    }
}

/// What is asked of one shard. Every transactional id named in it belongs to the shard's
/// partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// InitProducerId with a transactional id.
    InitProducerId {
        /// As it came.
        request: InitProducerIdRequest,
        /// A producer id never used before, when the shell asks for the second time, after
        /// [`Reply::NeedsProducerId`].
        spare_id: Option<i64>,
    },
    /// One transaction of an AddPartitionsToTxn. Before version 4 the request is one transaction,
    /// to be put into this form; it never only verifies. Partitions that do not exist are the
    /// shell's to refuse.
    AddPartitions(AddPartitionsToTxnTransaction),
    /// AddOffsetsToTxn.
    AddOffsets {
        /// As it came.
        request: AddOffsetsToTxnRequest,
        /// The partition of `__consumer_offsets` of the request's group.
        partition: i32,
    },
    /// EndTxn.
    EndTxn {
        /// As it came.
        request: EndTxnRequest,
        /// As for [`Request::InitProducerId`].
        spare_id: Option<i64>,
    },
    /// DescribeTransactions, of the ids of this shard.
    Describe(Vec<String>),
    /// ListTransactions; the pattern of version 2 is the shell's to apply.
    List(ListTransactionsRequest),
    /// The markers of an [`Effect::WriteMarkers`] are in all logs.
    MarkersWritten(Ending),
    /// New settings. They hold from here on. The shell's first command after a replay.
    Configure(TxnSettings),
    /// Time has passed. The shell sends one at `wake_at`.
    Tick,
}

/// Which transaction is ending: its transactional id, and the producer its markers name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer.
    pub producer: Producer,
}

/// What answers a request; of the same name as the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To InitProducerId.
    InitProducerId(InitProducerIdResponse),
    /// To AddPartitions.
    AddPartitions(AddPartitionsToTxnResult),
    /// To AddOffsets.
    AddOffsets(AddOffsetsToTxnResponse),
    /// To EndTxn.
    EndTxn(EndTxnResponse),
    /// To InitProducerId or EndTxn: nothing is decided; ask again with a producer id.
    NeedsProducerId,
    /// To Describe, in the order asked.
    Describe(Vec<TransactionState>),
    /// To List.
    List(ListTransactionsResponse),
    /// To the shell's own requests.
    Done,
}

/// What the shell does besides, once the records are committed.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Writes the markers that end a transaction to all its partitions, by WriteTxnMarkers to
    /// their leaders, until each has them or is gone; then says [`Request::MarkersWritten`]. The
    /// same may be asked again after a replay.
    WriteMarkers {
        /// Which transaction.
        ending: Ending,
        /// How it ended.
        outcome: TxnOutcome,
        /// Its partitions, by topic.
        partitions: Vec<(String, Vec<i32>)>,
        /// The version of transactions, for the request that carries the markers.
        transaction_version: i16,
    },
}
