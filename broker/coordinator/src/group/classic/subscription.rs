//! What consumers of a group subscribe to, read from the metadata they join with.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

use super::{CONSUMER_PROTOCOL, ClassicGroup};

/// The topics that a consumer's subscription names; `None` when it is not one. Every version of
/// the subscription begins as version 0 does: a version and an array of strings.
pub(crate) fn topics_of(metadata: &Bytes) -> Option<Vec<String>> {
    let mut rest = metadata.clone();
    let version = rest.try_get_i16().ok()?;
    let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    // Each topic takes two bytes at least, so a lying count reserves nothing.
    if version < 0 || count > rest.remaining() / 2 {
        return None;
    }
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
        if length > rest.remaining() {
            return None;
        }
        topics.push(String::from_utf8(rest.split_to(length).to_vec()).ok()?);
    }
    Some(topics)
}

impl ClassicGroup {
    /// Reads again what the members subscribe to. Unknown when one of them cannot be read.
    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL) {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(topics_of(&member.metadata(protocol))?);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_topics_and_ignores_what_follows() {
        let metadata = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
        let topics = topics_of(&Bytes::from_static(metadata));
        assert_eq!(topics, Some(vec!["a".to_owned(), "bc".to_owned()]));
    }

    #[test]
    fn refuses_what_lies() {
        for metadata in
            [&b""[..], b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\0\x09a", b"\xff\xff\0\0\0\0"]
        {
            assert_eq!(topics_of(&Bytes::from_static(metadata)), None, "{metadata:?}");
        }
    }
}
