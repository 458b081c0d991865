//! Election at once, where the process of the leader is known to be gone.
//!
//! Members wait for a leader that says nothing, since it may be paused or cut off, and still believe that it leads.
//! Of one whose process is gone nothing is to be waited for: a member stands for election as if the leader had handed
//! over to it. The others grant that while they still count on the leader; what makes an election safe, a majority
//! that has all that was committed, is the same as ever.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::raft::TransferLeaderRequest;
use openraft::vote::RaftLeaderId;

use super::RaftQuorum;
use super::standing::Standing;
use crate::quorum::Leadership;

/// How much later the next voter stands for election: about as long as one takes. Voters that stand at the same
/// time take each other's votes.
const STAGGER: Duration = Duration::from_millis(80);

impl RaftQuorum {
    /// Stands for election in place of the leader of an epoch, whose process is gone, unless another voter did before.
    /// Nothing happens where this node has no vote, or that leader is not the newest that it knows.
    pub async fn succeed(&self, gone: Leadership) {
        let Some(leader) = gone.leader.filter(|leader| *leader != self.node) else { return };
        let standing = self.desk.as_ref().map(|desk| desk.standings.now());
        let mut voters: Vec<_> = self.store.membership().voter_ids().collect();
        voters.retain(|voter| *voter != leader);
        voters.sort_unstable();
        let place = voters.iter().position(|voter| *voter == self.node);
        let (Some(Standing::Full), Some(place)) = (standing, place) else { return };
        let later = u32::try_from(place).unwrap_or(u32::MAX);
        tokio::time::sleep(STAGGER.saturating_mul(later)).await;
        let vote = self.raft.metrics().borrow_watched().vote;
        let stands = vote.is_committed()
            && vote.leader_id().term() == gone.epoch
            && *vote.leader_id().node_id() == leader;
        if !stands {
            return;
        }
        tracing::info!(leader = leader.id, epoch = gone.epoch, "the quorum's leader is gone");
        let request = TransferLeaderRequest::new(vote, self.node, None);
        match self.raft.handle_transfer_leader(request).await {
            Ok(Ok(())) => {}
            // Its time runs out.
            Ok(Err(e)) => tracing::debug!("no election in place of a leader that is gone: {e:?}"),
            Err(e) => tracing::debug!("no election in place of a leader that is gone: {e}"),
        }
    }
}
