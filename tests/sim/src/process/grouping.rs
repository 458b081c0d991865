//! The coordinator of groups, which is where its partition is led.

use std::sync::Arc;

use ottla_coordinator::group::Request;
use ottla_machine::Time;
use ottla_wire::ErrorCode;

use super::{Going, Process, Stop};
use crate::hub::Hub;
use crate::invariant::groups::MOST_LOOKS;
use crate::message::{Id, Message, Party};
use crate::replica::{Role, Trouble};
use crate::shard::Shard;
use crate::{OFFSETS, violated};

fn wrong(what: String) -> Stop {
    Stop::Violation(violated("coordinator", what))
}

impl Process {
    /// The epoch in which the coordinator's partition is led here.
    fn coordinates_in(&self) -> Option<i32> {
        match &self.replicas.get(&OFFSETS)?.role {
            Role::Leader(leading) => Some(leading.leader.epoch()),
            _ => None,
        }
    }

    /// Ends a shard that is of another epoch than this one.
    fn keep_shard(&mut self, hub: &mut Hub, epoch: Option<i32>) {
        if self.shard.as_ref().is_some_and(|shard| Some(shard.epoch) != epoch) {
            self.drop_shard(hub);
        }
    }

    fn drop_shard(&mut self, hub: &mut Hub) {
        let Some(shard) = self.shard.take() else { return };
        for (to, id) in shard.unanswered() {
            let told = Message::GroupSays(id, Err(ErrorCode::NOT_COORDINATOR));
            hub.send(self.party(), to, told);
        }
    }

    /// Somebody asks the coordinator, or time has passed.
    pub(super) fn coordinate(
        &mut self,
        hub: &mut Hub,
        asker: Option<(Party, Id)>,
        request: Request,
    ) -> Going {
        let epoch = self.coordinates_in();
        self.keep_shard(hub, epoch);
        let Some((epoch, replica)) = epoch.zip(self.replicas.get(&OFFSETS)) else {
            if let Some((to, id)) = asker {
                let told = Message::GroupSays(id, Err(ErrorCode::NOT_COORDINATOR));
                hub.send(self.party(), to, told);
            }
            return Ok(());
        };
        if self.shard.is_none() {
            match Shard::load(&replica.log, epoch) {
                Ok(shard) => self.shard = Some(shard),
                // It reads what a loss of power or a full disk leaves alone.
                Err(what) => return Err(wrong(what)),
            }
            self.submit(hub, None, Shard::greeting())?;
        }
        let known = self.applied.len();
        if let Some(shard) = self.shard.as_mut().filter(|shard| shard.metadata < known) {
            shard.metadata = known;
            let image = Arc::new(self.image.clone());
            self.submit(hub, None, Request::Metadata(image))?;
        }
        self.submit(hub, asker, request)
    }

    fn submit(&mut self, hub: &mut Hub, asker: Option<(Party, Id)>, request: Request) -> Going {
        let (wall, world) = (self.wall(hub), self.world(hub));
        let Some(shard) = &mut self.shard else { return Ok(()) };
        let time = Time { mono: hub.mono(), wall_ms: wall };
        let decided = shard.decide(time, asker, request).map_err(wrong)?;
        let (Some(batch), Some(replica)) = (&decided.batch, self.replicas.get_mut(&OFFSETS)) else {
            shard.appended(decided);
            return Ok(());
        };
        match replica.append_own(batch, shard.epoch, wall, &world) {
            Ok((last, done)) => {
                let epoch = shard.epoch;
                shard.rests_on = last;
                shard.appended(decided);
                self.accepted.push((OFFSETS, epoch));
                self.settle(hub, OFFSETS, done)
            }
            Err(Trouble::Disk(why)) => Err(Stop::Disk(why)),
            Err(Trouble::Code(_)) => {
                self.drop_shard(hub);
                Ok(())
            }
        }
    }

    /// A shard that wants a tick gets one.
    pub(super) fn ring(&mut self, hub: &mut Hub) -> Going {
        let due = self.shard.as_ref().and_then(|shard| shard.wake_at);
        if due.is_some_and(|at| at <= hub.mono()) {
            self.coordinate(hub, None, Request::Tick)?;
        }
        let forgotten = self.shard.as_mut().and_then(|shard| shard.look(MOST_LOOKS));
        forgotten.map_or(Ok(()), |what| Err(Stop::Violation(violated("groups", what))))
    }

    /// Replies leave that rest on nothing that is not committed.
    pub(super) fn let_go(&mut self, hub: &mut Hub) {
        let epoch = self.coordinates_in();
        self.keep_shard(hub, epoch);
        let (Some(shard), Some(replica)) = (&mut self.shard, self.replicas.get(&OFFSETS)) else {
            return;
        };
        let epoch = shard.epoch;
        for ((to, id), reply) in shard.let_go(replica.log.high_watermark()) {
            let told = Message::GroupSays(id, Ok((epoch, Box::new(reply))));
            hub.send(Party::Broker(self.me), to, told);
        }
    }
}
