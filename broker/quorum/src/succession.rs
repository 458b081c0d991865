//! The end of a leadership that its holder chose.

use std::time::Duration;

use crate::quorum::{Quorum, Replica, Role};
use crate::voter::NodeKey;

/// Who said nothing for so long is not there to lead.
const SILENT: Duration = Duration::from_secs(2);

/// Has another voter lead the quorum, if this node does, and returns which one leads now: nobody has to find out that
/// this node is gone. Waits no longer than `patience`, and for nothing where this node does not lead, or no other voter
/// was heard of lately.
pub async fn hand_over(quorum: &dyn Quorum, patience: Duration) -> Option<NodeKey> {
    let mut leadership = quorum.leadership();
    let now = *leadership.borrow();
    let me = now.leader.filter(|_| now.role != Role::Follower)?;
    let is_there = |voter: &Replica| {
        let heard = voter.last_heard_ms_ago.map(Duration::from_millis);
        voter.key != me && heard.is_some_and(|ago| ago < SILENT)
    };
    if !quorum.describe().voters.iter().any(is_there) {
        return None;
    }
    let succeeded = async {
        if let Err(e) = quorum.resign(None).await {
            tracing::debug!("no other voter is asked to lead: {e}");
            return None;
        }
        let by_another = leadership.wait_for(|now| now.leader.is_some_and(|leader| leader != me));
        by_another.await.ok().and_then(|now| now.leader)
    };
    tokio::time::timeout(patience, succeeded).await.ok().flatten()
}
