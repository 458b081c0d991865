//! In one generation of a group a partition is given to one member, by one decision of its leader;
//! who is of an older generation commits nothing; what was committed is not undone by who was of an
//! older one; and whoever waits for others to join or to assign is answered in bounded time.

use std::collections::BTreeMap;

use crate::sharer::{Learned, SHARES, Sharer};
use crate::{Verdict, violated};

const NAME: &str = "groups";

/// After so many looks of a coordinator, 600 ms apart, it must have answered who waits for others:
/// the join phase lasts 2 s, and the sync phase as long.
pub const MOST_LOOKS: u64 = 12;

/// A commit that was taken: of which generation, by a coordinator of which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The generation.
    pub generation: i32,
    /// The leader epoch: coordinators of this and later ones know of it.
    pub epoch: i32,
}

#[derive(Debug, Default)]
struct Generation {
    mark: u64,
    owners: BTreeMap<i32, String>,
}

/// What members were told.
#[derive(Debug, Default)]
pub struct Groups {
    generations: BTreeMap<i32, Generation>,
    commits: BTreeMap<i32, Known>,
}

impl Groups {
    /// The latest generation of which a member has its assignment; -1 if there is none.
    #[must_use]
    pub fn latest(&self) -> i32 {
        self.generations.last_key_value().map_or(-1, |(generation, _)| *generation)
    }

    /// The last commits that were taken, by partition.
    #[must_use]
    pub fn known(&self) -> &BTreeMap<i32, Known> {
        &self.commits
    }

    /// A member was told something.
    pub fn told(&mut self, learned: Learned) -> Verdict {
        match learned {
            Learned::Assigned { generation, member, mark, shares } => {
                self.assigned(generation, &member, mark, &shares)
            }
            Learned::Committed { generation, latest, .. } if generation < latest => {
                let text = format!(
                    "a commit of generation {generation} was taken after {latest} had begun"
                );
                Err(violated(NAME, text))
            }
            Learned::Committed { generation, partition, epoch, .. } => {
                let now = Known { generation, epoch };
                let known = self.commits.entry(partition).or_insert(now);
                if generation > known.generation {
                    *known = now;
                }
                Ok(())
            }
            Learned::Offsets { found, known, epoch } => {
                let undone = |(partition, known): &(&i32, &Known)| {
                    let of = found.get(*partition);
                    known.epoch <= epoch && of.is_none_or(|of| *of < known.generation)
                };
                match known.iter().find(undone) {
                    Some((partition, known)) => {
                        let of = found.get(partition);
                        let text = format!(
                            "{partition} was committed in {known:?}, in epoch {epoch} it is of {of:?}"
                        );
                        Err(violated(NAME, text))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn assigned(&mut self, generation: i32, member: &str, mark: u64, shares: &[i32]) -> Verdict {
        let new = || Generation { mark, ..Generation::default() };
        let known = self.generations.entry(generation).or_insert_with(new);
        if known.mark != mark {
            let text = format!("{member} has another assignment of generation {generation}");
            return Err(violated(NAME, text));
        }
        for share in shares {
            let owner = known.owners.entry(*share).or_insert_with(|| member.to_owned());
            if owner != member {
                let text = format!("{owner} and {member} own {share} in generation {generation}");
                return Err(violated(NAME, text));
            }
        }
        Ok(())
    }
}

/// What is not healed of the group; `None` when all is.
#[must_use]
pub fn ailing<'a>(sharers: impl Iterator<Item = &'a Sharer>) -> Option<String> {
    let mut all: Vec<i32> = Vec::new();
    let mut generations = Vec::new();
    for sharer in sharers {
        let Some((generation, shares)) = sharer.shares() else {
            return Some("a member of the group has no assignment".into());
        };
        generations.push(generation);
        all.extend(shares);
    }
    generations.dedup();
    all.sort_unstable();
    let whole = generations.is_empty() || all.into_iter().eq(0..SHARES);
    (generations.len() > 1 || !whole)
        .then(|| format!("the group is of generations {generations:?}, or shares are missing"))
}
