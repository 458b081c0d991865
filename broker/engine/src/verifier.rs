//! Asking the coordinator of a transaction whether partitions belong to it, before its first
//! records are appended to them (KIP-890).

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ottla_wire::ErrorCode;

/// What the coordinator does with partitions that are not in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adding {
    /// It says so: the client adds them itself, before it writes.
    Explicit,
    /// It adds them: clients of version 2 of transactions leave that to brokers.
    Implicit,
}

/// Partitions that a transaction is about to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The transactional id, whose hash says who coordinates it.
    pub transactional_id: String,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The partitions, by the topic's name.
    pub topics: Vec<(String, Vec<i32>)>,
    /// What becomes of those that are not in the transaction.
    pub adding: Adding,
}

/// What a coordinator said of one partition: the topic's name, the partition, and the code as the
/// coordinator gave it, [`ErrorCode::NONE`] when it belongs to the transaction.
pub type Verified = (String, i32, ErrorCode);

/// A question to a coordinator under way.
pub type VerifyFuture = Pin<Box<dyn Future<Output = Vec<Verified>> + Send>>;

/// The way to the coordinators of transactions.
pub trait Verifier: fmt::Debug + Send + Sync + 'static {
    /// Asks the coordinator of a transaction, by AddPartitionsToTxn 4 or later, and tells what it
    /// said of each partition asked for; the codes are not translated for any client.
    ///
    /// Where there is nobody to ask, all have `COORDINATOR_NOT_AVAILABLE`; where no answer came,
    /// because the connection was lost or time was over, `NETWORK_EXCEPTION`. An error of the
    /// answer as a whole is that of all. It ends within the time of one request, and does not ask
    /// again by itself: who asks knows for how long the client waits.
    fn verify(&self, asked: Verification) -> VerifyFuture;
}
