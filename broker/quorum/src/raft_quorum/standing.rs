//! Whether a node may vote. One whose log was emptied must not: what it had promised, and which entries were committed
//! because it had them, is known to nobody then.
//!
//! A first voter with an empty log asks the others whether they have a past. If none of a majority has one, the quorum is
//! new, and all begin. If one has, this node lost its disk: it takes the log from the leader as a follower that neither
//! votes nor stands for election, until it has all that the leader had when it said so. So does any other controller
//! with an empty log: it may have had a vote before, and the first half of a log may say that it alone has one.
//!
//! The file `catching-up` makes that hold through a restart. It is written as soon as anybody is heard of who has a past, leader or not, and before
//! this node says so itself: of blank nodes that forgot what they heard, a majority could begin the quorum anew.

use std::io;
use std::sync::Arc;

use ottla_log::disk::Open;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::QuorumError;
use crate::rpc::Applicant;
use crate::store::Store;

/// The file's name, in the directory of the metadata partition.
const FILE: &str = "catching-up";

/// What a node may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: it does not know yet whether the quorum is new.
    Asking,
    /// To follow.
    CatchingUp,
    /// All that members do.
    Full,
}

impl Standing {
    /// As it tells the others. `standby` says what a node without a vote is.
    pub(crate) fn applicant(self, standby: Option<Applicant>) -> Applicant {
        match self {
            Self::Asking => Applicant::Blank,
            Self::CatchingUp => Applicant::CatchingUp,
            Self::Full => standby.unwrap_or(Applicant::Member),
        }
    }
}

/// The node's standing, and the file that keeps it.
#[derive(Debug)]
pub(crate) struct Standings {
    store: Arc<Store>,
    now: watch::Sender<Standing>,
    /// One changes it at a time.
    changing: Mutex<()>,
}

impl Standings {
    /// The standing of a node at its start.
    pub(crate) fn open(store: Arc<Store>, blank: bool) -> Result<Self, QuorumError> {
        let path = store.dir().join(FILE);
        let marked =
            store.disk().exists(&path).map_err(|e| QuorumError::io("look for", &path, e))?;
        let now = match (marked, blank) {
            (true, _) => Standing::CatchingUp,
            (false, true) => Standing::Asking,
            (false, false) => Standing::Full,
        };
        Ok(Self { store, now: watch::channel(now).0, changing: Mutex::new(()) })
    }

    pub(crate) fn now(&self) -> Standing {
        *self.now.borrow()
    }

    /// The quorum has a past: this node takes the log from its leader, if it has not found out already what it may do.
    pub(crate) fn catch_up(&self) -> io::Result<()> {
        let _one = self.changing.lock();
        if self.now() != Standing::Asking {
            return Ok(());
        }
        let path = self.store.dir().join(FILE);
        self.store.disk().open(&path, Open::Create)?.sync_data()?;
        self.store.disk().sync_dir(self.store.dir())?;
        self.now.send_replace(Standing::CatchingUp);
        Ok(())
    }

    /// The node has what it needs.
    pub(crate) fn complete(&self) -> io::Result<()> {
        let _one = self.changing.lock();
        let path = self.store.dir().join(FILE);
        if self.store.disk().exists(&path)? {
            // What the node has got survives whatever the file's end does.
            let flushed = self.store.log().flush(i64::MAX, self.store.now_ms());
            flushed.map_err(io::Error::other)?;
            self.store.disk().remove_file(&path)?;
            self.store.disk().sync_dir(self.store.dir())?;
        }
        self.now.send_replace(Standing::Full);
        Ok(())
    }
}
