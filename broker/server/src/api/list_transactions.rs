//! ListTransactions: the transactional ids that this broker coordinates.

use ottla_coordinator::txn::{Command, Reply, Request, unknown_states};
use ottla_wire::ErrorCode;
use ottla_wire::api::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use regex::Regex;

use crate::answer::Answer;
use crate::api::groups;
use crate::call::Call;

/// The most memory that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// Answers ListTransactions.
pub fn handle(call: Call, request: ListTransactionsRequest) -> Answer<ListTransactionsResponse> {
    let failed = |error_code| ListTransactionsResponse { error_code, ..Default::default() }.into();
    let shards = call.context.txns.shards();
    if shards.is_loading() {
        return failed(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    }
    let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
        return failed(ErrorCode::INVALID_REGULAR_EXPRESSION);
    };
    let command = || Command::internal(Request::List(request.clone()));
    let pending: Vec<_> = shards.active().iter().map(|shard| shard.submit(command())).collect();
    let unknown_state_filters = unknown_states(&request);
    Answer::later(async move {
        let mut response = ListTransactionsResponse { unknown_state_filters, ..Default::default() };
        for outcome in groups::all(pending).await {
            match outcome {
                Ok(Reply::List(found)) => {
                    let states = found.transaction_states.into_iter();
                    let wanted = |id: &str| pattern.as_ref().is_none_or(|p| p.is_match(id));
                    let states = states.filter(|state| wanted(&state.transactional_id));
                    response.transaction_states.extend(states);
                }
                Ok(_) => response.error_code = ErrorCode::UNKNOWN_SERVER_ERROR,
                // The shard went meanwhile; its ids are another broker's to list.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                Err(error) => response.error_code = error,
            }
        }
        response
    })
}

/// What a whole id must match; none where there is no pattern.
fn pattern(text: Option<&str>) -> Result<Option<Regex>, regex::Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    // The pattern by itself first: one that closes a group too many is none.
    let compile = |text: &str| regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
    compile(text)?;
    compile(&format!("^(?:{text})$")).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_the_whole_id() {
        let matches = |text, id| pattern(Some(text)).unwrap().unwrap().is_match(id);
        assert!(matches("a.*|b", "b") && matches("a.*|b", "abc") && !matches("a|b", "ab"));
        assert!(pattern(None).unwrap().is_none() && pattern(Some("")).unwrap().is_none());
        for bad in ["(", "a)(b", "a{1000}{1000}{1000}"] {
            assert!(pattern(Some(bad)).is_err(), "{bad}");
        }
    }
}
