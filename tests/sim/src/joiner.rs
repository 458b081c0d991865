//! A member of the group whose members share partitions out among themselves, among the parties of a simulated network.

use crate::OFFSETS;
use crate::clients::Leaders;
use crate::hub::{Hub, Timer};
use crate::invariant::groups::Groups;
use crate::message::{Id, Message, Party};
use crate::sharer::{Asked, Learned, Next, Sharer, TURN_MS};

/// A member.
#[derive(Debug)]
pub struct Joiner {
    me: Party,
    leaders: Leaders,
    /// What it does.
    pub sharer: Sharer,
    asked: Option<(Id, u64, Asked)>,
}

impl Joiner {
    /// One who is not a member yet.
    pub fn new(index: usize, hub: &mut Hub) -> Self {
        let me = Party::Joiner(index);
        hub.timer(me, 0, 13, Timer::Turn);
        Self { me, leaders: Leaders::unknown(), sharer: Sharer::default(), asked: None }
    }

    /// Does its next thing.
    pub fn turn(&mut self, hub: &mut Hub, brokers: &[i32], groups: &Groups) {
        hub.timer(self.me, 0, TURN_MS, Timer::Turn);
        self.leaders.ask(hub, self.me, brokers);
        match &self.asked {
            Some((_, until, _)) if hub.now < *until => return,
            Some((_, _, asked)) => {
                self.sharer.lost(asked);
                self.leaders.stale = true;
                self.asked = None;
            }
            None => {}
        }
        if self.sharer.rests(hub.now) {
            return;
        }
        let Some((leader, _)) = self.leaders.leader(OFFSETS) else { return };
        let (request, asked) = match self.sharer.next(hub.now, &mut hub.rng, groups) {
            Next::Ask(request, asked) => (*request, asked),
            Next::Gone(id) => {
                hub.trace.say(hub.now, format_args!("{id} is gone"));
                return;
            }
            Next::Nothing => return,
        };
        let id = hub.id();
        self.asked = Some((id, hub.now + asked.patience_ms(), asked));
        hub.send(self.me, Party::Broker(leader), Message::Group(id, Box::new(request)));
    }

    /// A message arrives.
    pub fn receive(&mut self, now: u64, message: Message) -> Option<Learned> {
        match message {
            Message::These(id, led) => {
                self.leaders.these(id, &led);
                None
            }
            Message::GroupSays(id, says) => {
                let (_, _, asked) = self.asked.take_if(|(asked, ..)| *asked == id)?;
                let learned = match says {
                    Ok((epoch, reply)) => self.sharer.told(now, asked, epoch, *reply),
                    Err(_) => {
                        self.sharer.is_astray = true;
                        self.sharer.refused(now);
                        None
                    }
                };
                self.leaders.stale |= std::mem::take(&mut self.sharer.is_astray);
                learned
            }
            _ => None,
        }
    }
}
