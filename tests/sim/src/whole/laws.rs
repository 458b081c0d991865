//! What must hold at any time.

pub mod committed;
pub mod images;
pub mod leaders;
pub mod records;
pub mod votes;

use ottla_quorum::simulated::Life;

use super::host::{Host, Part};
use super::load::Load;
use super::plan::Plan;
use crate::Verdict;
use committed::CommittedLog;
use images::Images;
use leaders::Leaders;
use records::Records;
use votes::Votes;

/// What was seen so far, by which what is seen next is judged.
#[derive(Debug, Default)]
pub struct Laws {
    committed: CommittedLog,
    images: Images,
    leaders: Leaders,
    votes: Votes,
    /// Of partitions, where whole brokers are.
    pub records: Records,
}

impl Laws {
    /// Looks at a node that lives.
    pub fn inspect(&mut self, host: &Host, life: Life, part: &Part) -> Verdict {
        self.committed.inspect(host.id, life, part.log())?;
        let image = part.quorum().updates().image();
        self.images.inspect(host.id, life, &image)?;
        let now = *part.quorum().leadership().borrow();
        self.leaders.inspect(host, now, image.provenance().offset)
    }

    /// Looks at what a node promised.
    pub fn inspect_disk(&mut self, host: &Host, plan: &Plan) -> Verdict {
        if host.kind.is_member() { self.votes.inspect(host, plan) } else { Ok(()) }
    }

    /// Looks at what was acknowledged since the last time.
    pub fn hear(&mut self, load: &Load) -> Verdict {
        for acked in load.acked_from(self.leaders.heard()) {
            self.leaders.hear(acked.at);
            self.committed.hear(&acked)?;
        }
        Ok(())
    }

    /// Everything that was acknowledged is where it was said to be.
    pub fn complete(&self) -> Verdict {
        self.committed.complete()
    }

    /// Batches that are known to be committed.
    pub fn batches(&self) -> u64 {
        self.committed.batches()
    }

    /// The offset behind the last one that is known to be committed.
    pub fn end(&self) -> i64 {
        self.committed.end()
    }
}
