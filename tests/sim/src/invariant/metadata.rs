//! The metadata on every node are a prefix of the committed log.

use std::rc::Rc;

use ottla_wire::schema::metadata::MetadataRecord;

use crate::node::Node;
use crate::{Verdict, violated};

/// Compares what a node read since it was looked at last.
pub fn check(node: &mut Node, committed: &[Rc<MetadataRecord>]) -> Verdict {
    let Some(process) = &node.process else { return Ok(()) };
    let id = node.id;
    for at in node.compared..process.applied.len() {
        if process.applied.get(at) != committed.get(at) {
            let text = format!("b{id} has another record at {at} than was committed");
            return Err(violated("metadata", text));
        }
    }
    node.compared = process.applied.len();
    Ok(())
}
