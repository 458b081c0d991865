//! Of a group of the new protocol: in one epoch a partition is of one member; who is told to have one takes it from nobody who may
//! still believe to have it; the epochs of a member only grow; whose partition has gone to another one in a later epoch commits
//! nothing for it; and what was committed is not undone by who was of an older epoch.

use std::collections::{BTreeMap, BTreeSet};

use crate::subscriber::{Learned, SESSION_MS, Subscriber};
use crate::{Verdict, violated};

const NAME: &str = "subscriptions";

/// A commit that was taken: of which epoch of its member, by a coordinator of which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The member's epoch.
    pub epoch: i32,
    /// The leader epoch: coordinators of this and later ones know of it.
    pub leader_epoch: i32,
}

/// What members were told.
#[derive(Debug, Default)]
pub struct Subscriptions {
    owners: BTreeMap<(i32, i32), String>,
    /// Who had a partition last, and in which epoch.
    last: BTreeMap<i32, (i32, String)>,
    epochs: BTreeMap<String, i32>,
    commits: BTreeMap<i32, Known>,
}

impl Subscriptions {
    /// Who has a partition in the latest epoch that anybody was told of, and which that is.
    #[must_use]
    pub fn owner(&self, partition: i32) -> Option<&(i32, String)> {
        self.last.get(&partition)
    }

    /// The last commits that were taken, by partition.
    #[must_use]
    pub fn known(&self) -> &BTreeMap<i32, Known> {
        &self.commits
    }

    /// A member, one of these, was told something.
    pub fn told(&mut self, now: u64, learned: Learned, all: &[Subscriber]) -> Verdict {
        match learned {
            Learned::Has { member, epoch, shares } => {
                self.has(&member, epoch, &shares)?;
                still_anothers(now, &member, &shares, all)
            }
            Learned::Committed {
                member, epoch, partition, owner: Some((later, other)), ..
            } if other != member && later > epoch => {
                let text = format!(
                    "{member} committed for {partition} in epoch {epoch}, which was {other}'s in {later}"
                );
                Err(violated(NAME, text))
            }
            Learned::Committed { epoch, partition, leader_epoch, .. } => {
                let now = Known { epoch, leader_epoch };
                let known = self.commits.entry(partition).or_insert(now);
                if epoch > known.epoch {
                    *known = now;
                }
                Ok(())
            }
            Learned::Offsets { found, known, leader_epoch } => {
                let undone = |(partition, known): &(&i32, &Known)| {
                    let of = found.get(*partition);
                    known.leader_epoch <= leader_epoch && of.is_none_or(|of| *of < known.epoch)
                };
                match known.iter().find(undone) {
                    Some((partition, known)) => {
                        let of = found.get(partition);
                        let text = format!(
                            "{partition} was committed in {known:?}, in epoch {leader_epoch} it is of {of:?}"
                        );
                        Err(violated(NAME, text))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn has(&mut self, member: &str, epoch: i32, shares: &BTreeSet<i32>) -> Verdict {
        let before = self.epochs.insert(member.to_owned(), epoch).unwrap_or(0);
        if before > epoch {
            let text = format!("{member} went from epoch {before} back to {epoch}");
            return Err(violated(NAME, text));
        }
        for share in shares {
            let owner =
                self.owners.entry((epoch, *share)).or_insert_with(|| member.to_owned()).clone();
            if owner != member {
                let text = format!("{owner} and {member} have {share} in epoch {epoch}");
                return Err(violated(NAME, text));
            }
            let last = self.last.entry(*share).or_insert((epoch, owner.clone()));
            if last.0 < epoch {
                *last = (epoch, owner);
            }
        }
        Ok(())
    }
}

/// Whether another one that the coordinator must have heard of within its session believes to have what a member was told to have.
fn still_anothers(now: u64, member: &str, shares: &BTreeSet<i32>, all: &[Subscriber]) -> Verdict {
    let session = u64::from(SESSION_MS.unsigned_abs());
    let lives = |other: &&Subscriber| {
        other.id != member && other.epoch > 0 && now < other.heard_of + session
    };
    for other in all.iter().filter(lives) {
        if let Some(share) = shares.intersection(&other.shares).next() {
            let text = format!("{member} was told to have {share}, which {} still has", other.id);
            return Err(violated(NAME, text));
        }
    }
    Ok(())
}

/// What is not healed of the group; `None` when all is.
#[must_use]
pub fn ailing(all: &[Subscriber], partitions: i32) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let epochs: BTreeSet<i32> = all.iter().map(|one| one.epoch).collect();
    let mut shares: Vec<i32> = all.iter().flat_map(|one| one.shares.iter().copied()).collect();
    shares.sort_unstable();
    let whole = shares.into_iter().eq(0..partitions);
    (epochs.len() > 1 || epochs.contains(&0) || !whole)
        .then(|| format!("subscribers are in epochs {epochs:?}, or partitions are nobody's"))
}
