//! Metadata is a function of the log: nodes that are at one offset have the same.

use std::collections::BTreeMap;

use ottla_metadata::Image;

use crate::{Verdict, violated};

/// How many topics there are, by offset.
#[derive(Debug, Default)]
pub struct Images(BTreeMap<i64, usize>);

impl Images {
    /// Looks at a node's image.
    pub fn inspect(&mut self, id: i32, image: &Image) -> Verdict {
        let (offset, count) = (image.provenance().offset, image.topic_count());
        let known = *self.0.entry(offset).or_insert(count);
        if known != count {
            let what = format!("node {id} has {count} topics at {offset}, others {known}");
            return Err(violated("images", what));
        }
        Ok(())
    }
}
