//! The assignor `uniform`: as even as can be over all topics together, and of all even ones one
//! that moves little. Where it costs nothing of either, partitions go to members of their racks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Spec;
use crate::group::consumer::group::Assignment;

/// The most rounds over all topics in which partitions are moved from members with many to
/// members with few. Each move makes the assignment more even, so this only bounds the time that
/// long chains of overlapping subscriptions may take.
const MAX_ROUNDS: usize = 32;

/// The assignment of each member, in the order of the members.
pub(crate) fn uniform(spec: &Spec<'_>) -> Vec<Assignment> {
    let mut plan = Plan::of(spec);
    if spec.is_alike() {
        plan.share_out();
    } else {
        plan.fill();
        plan.level();
    }
    plan.has.into_iter().map(|has| spec.assignment(has)).collect()
}

/// An assignment as it comes about.
struct Plan<'a> {
    spec: &'a Spec<'a>,
    /// What each member has, by the numbers of topics.
    has: Vec<BTreeMap<usize, Vec<i32>>>,
    /// How many partitions each member has.
    load: Vec<usize>,
    /// Of each topic, whether a partition is given.
    given: Vec<Vec<bool>>,
}

impl<'a> Plan<'a> {
    /// What members had before and may keep.
    fn of(spec: &'a Spec<'a>) -> Self {
        let sizes = spec.topics.iter().map(|t| usize::try_from(t.partitions).unwrap_or(0));
        let numbers: BTreeMap<_, _> =
            spec.topics.iter().enumerate().map(|(number, topic)| (topic.id, number)).collect();
        let mut plan = Self {
            spec,
            has: vec![BTreeMap::new(); spec.members.len()],
            load: vec![0; spec.members.len()],
            given: sizes.map(|size| vec![false; size]).collect(),
        };
        for (at, member) in spec.members.iter().enumerate() {
            for (id, partitions) in member.before.into_iter().flatten() {
                let Some(number) = numbers.get(id) else { continue };
                if member.topics.binary_search(number).is_err() {
                    continue;
                }
                for partition in partitions.iter() {
                    if plan.is_free(*number, *partition) {
                        plan.give(at, *number, *partition);
                    }
                }
            }
        }
        plan
    }

    fn flag(&mut self, number: usize, partition: i32) -> Option<&mut bool> {
        self.given.get_mut(number)?.get_mut(usize::try_from(partition).ok()?)
    }

    fn is_free(&mut self, number: usize, partition: i32) -> bool {
        self.flag(number, partition).is_some_and(|given| !*given)
    }

    fn load(&self, member: usize) -> usize {
        self.load.get(member).copied().unwrap_or(0)
    }

    fn give(&mut self, member: usize, number: usize, partition: i32) {
        if let Some(given) = self.flag(number, partition) {
            *given = true;
        }
        if let (Some(has), Some(load)) = (self.has.get_mut(member), self.load.get_mut(member)) {
            has.entry(number).or_default().push(partition);
            *load += 1;
        }
    }

    /// Takes the last partition of the topic from a member.
    fn take(&mut self, member: usize, number: usize) -> Option<i32> {
        let has = self.has.get_mut(member)?.get_mut(&number)?;
        let partition = has.pop()?;
        if has.is_empty()
            && let Some(has) = self.has.get_mut(member)
        {
            has.remove(&number);
        }
        if let Some(load) = self.load.get_mut(member) {
            *load -= 1;
        }
        if let Some(given) = self.flag(number, partition) {
            *given = false;
        }
        Some(partition)
    }

    /// What nobody has yet.
    fn free(&self) -> Vec<(usize, i32)> {
        let topic = |(number, given): (usize, &'_ Vec<bool>)| {
            let free = (0..).zip(given.clone()).filter(|(_, given)| !given);
            free.map(|(partition, _)| (number, partition)).collect::<Vec<_>>()
        };
        self.given.iter().enumerate().flat_map(topic).collect()
    }

    /// All members subscribe to the same: each has as many as any other, or one more.
    fn share_out(&mut self) {
        let members = self.spec.members.len();
        let Some(first) = self.spec.members.first() else { return };
        if first.topics.is_empty() {
            return;
        }
        let all: usize = self.given.iter().map(Vec::len).sum();
        let (least, mut more) = (all / members, all % members);
        let mut quota = vec![least; members];
        // Who has more than the others already is the one to keep it.
        for (at, quota) in quota.iter_mut().enumerate() {
            if more > 0 && self.load(at) > least {
                *quota += 1;
                more -= 1;
            }
        }
        for (at, quota) in quota.iter().enumerate() {
            while self.load(at) > *quota {
                let last = self.has.get(at).and_then(|has| has.keys().next_back().copied());
                let Some(number) = last else { break };
                self.take(at, number);
            }
        }
        for quota in &mut quota {
            if more > 0 && *quota == least {
                *quota += 1;
                more -= 1;
            }
        }
        let rest = self.give_by_rack(&quota);
        let mut open: VecDeque<usize> =
            (0..members).filter(|at| self.has_room(*at, &quota)).collect();
        for (number, partition) in rest {
            let Some(at) = open.pop_front() else { break };
            self.give(at, number, partition);
            if self.has_room(at, &quota) {
                open.push_back(at);
            }
        }
    }

    fn has_room(&self, member: usize, quota: &[usize]) -> bool {
        quota.get(member).is_some_and(|quota| self.load(member) < *quota)
    }

    /// Gives what is free to members with room in the racks of its replicas. Answers what is left.
    fn give_by_rack(&mut self, quota: &[usize]) -> Vec<(usize, i32)> {
        let mut open: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
        for (at, member) in self.spec.members.iter().enumerate() {
            if let Some(rack) = member.rack
                && self.has_room(at, quota)
            {
                open.entry(rack).or_default().push_back(at);
            }
        }
        let free = self.free();
        if open.is_empty() {
            return free;
        }
        let mut rest = Vec::new();
        for (number, partition) in free {
            let racks = self.spec.racks(number, partition);
            let near = racks.iter().find(|rack| open.get(**rack).is_some_and(|q| !q.is_empty()));
            let at = near.and_then(|rack| Some((*rack, open.get_mut(*rack)?.pop_front()?)));
            let Some((rack, at)) = at else {
                rest.push((number, partition));
                continue;
            };
            self.give(at, number, partition);
            if self.has_room(at, quota)
                && let Some(open) = open.get_mut(rack)
            {
                open.push_back(at);
            }
        }
        rest
    }

    /// Gives each free partition to the one of its subscribers that has least; topics with few
    /// subscribers first, as there is least choice.
    fn fill(&mut self) {
        let subscribers = self.spec.subscribers();
        let mut order: Vec<usize> = (0..self.given.len()).collect();
        order.sort_by_key(|number| subscribers.get(*number).map(Vec::len));
        for number in order {
            let Some(subscribers) = subscribers.get(number) else { continue };
            let mut least: BTreeSet<(usize, usize)> =
                subscribers.iter().map(|at| (self.load(*at), *at)).collect();
            let size = self.given.get(number).map_or(0, Vec::len);
            for partition in (0..).take(size) {
                if !self.is_free(number, partition) {
                    continue;
                }
                let Some((load, at)) = least.pop_first() else { break };
                self.give(at, number, partition);
                least.insert((load + 1, at));
            }
        }
    }

    /// Moves partitions from members with many to members with few, while that helps.
    fn level(&mut self) {
        let subscribers = self.spec.subscribers();
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            for (number, subscribers) in subscribers.iter().enumerate() {
                moved |= self.level_topic(number, subscribers);
            }
            if !moved {
                break;
            }
        }
    }

    fn level_topic(&mut self, number: usize, subscribers: &[usize]) -> bool {
        let mut all: BTreeSet<(usize, usize)> =
            subscribers.iter().map(|at| (self.load(*at), *at)).collect();
        let owns =
            |plan: &Self, at: usize| plan.has.get(at).is_some_and(|has| has.contains_key(&number));
        let mut owners: BTreeSet<(usize, usize)> =
            all.iter().filter(|(_, at)| owns(self, *at)).copied().collect();
        let mut moved = false;
        while let (Some(&(few, to)), Some(&(many, from))) = (all.first(), owners.last()) {
            if many <= few + 1 {
                break;
            }
            let Some(partition) = self.take(from, number) else { break };
            self.give(to, number, partition);
            moved = true;
            all.remove(&(many, from));
            all.insert((many - 1, from));
            owners.remove(&(many, from));
            if owns(self, from) {
                owners.insert((many - 1, from));
            }
            all.remove(&(few, to));
            all.insert((few + 1, to));
            owners.remove(&(few, to));
            owners.insert((few + 1, to));
        }
        moved
    }
}
