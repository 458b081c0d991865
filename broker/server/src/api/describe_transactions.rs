//! DescribeTransactions: what transactional ids are in.

use std::collections::BTreeMap;

use ottla_coordinator::txn::{Command, Reply, Request};
use ottla_wire::ErrorCode;
use ottla_wire::api::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
};

use crate::answer::Answer;
use crate::api::txns;
use crate::call::Call;

/// Answers DescribeTransactions, in the order asked.
pub fn handle(
    call: Call,
    request: DescribeTransactionsRequest,
) -> Answer<DescribeTransactionsResponse> {
    let order = request.transactional_ids.clone();
    let image = call.context.image();
    let made = txns::topic_partitions(&image) > 0;
    let mut asked = Vec::new();
    for (partition, ids) in txns::by_partition(&image, request.transactional_ids) {
        let shard = match made {
            true => call.context.txns.shards().get(partition),
            false => Err(ErrorCode::NOT_COORDINATOR),
        };
        let ask = || Command::internal(Request::Describe(ids.clone()));
        let submitted = shard.map(|shard| shard.submit(ask()));
        asked.push((ids, submitted));
    }
    Answer::later(async move {
        let mut found: BTreeMap<String, TransactionState> = BTreeMap::new();
        for (ids, submitted) in asked {
            let reply = match submitted {
                Ok(submitted) => submitted.await,
                Err(error) => Err(error),
            };
            match reply {
                Ok(Reply::Describe(states)) => {
                    found.extend(states.into_iter().map(|s| (s.transactional_id.clone(), s)));
                }
                Ok(_) => {
                    let error = ErrorCode::UNKNOWN_SERVER_ERROR;
                    found.extend(ids.into_iter().map(|id| (id.clone(), of_error(id, error))));
                }
                Err(error) => {
                    found.extend(ids.into_iter().map(|id| (id.clone(), of_error(id, error))));
                }
            }
        }
        let take = |id: String| {
            found.get(&id).cloned().unwrap_or_else(|| of_error(id, ErrorCode::INVALID_REQUEST))
        };
        let transaction_states = order.into_iter().map(take).collect();
        DescribeTransactionsResponse { transaction_states, ..Default::default() }
    })
}

fn of_error(transactional_id: String, error_code: ErrorCode) -> TransactionState {
    TransactionState { error_code, transactional_id, ..Default::default() }
}
