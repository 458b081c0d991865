//! Committed metadata on their way to whoever follows them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_metadata::{Delta, Image, Publication};
use tokio::sync::watch;

/// How many deltas are kept for readers that are behind. One further behind compares images instead, which is as
/// right and takes longer.
const KEPT_DELTAS: usize = 256;

/// A committed image and all that changed since the one this reader saw before.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The metadata now. Its provenance says where in the log.
    pub image: Image,
    /// What changed since the last update of this reader; of the first one, everything there is, but for readers that
    /// [had an image](Updates::since).
    pub delta: Delta,
}

#[derive(Debug, Default)]
struct State {
    image: Image,
    /// The number of publications so far.
    version: u64,
    /// The newest deltas; the last one made the image what it is.
    deltas: VecDeque<Arc<Delta>>,
}

/// The writing end: the state machine.
#[derive(Debug)]
pub(crate) struct Publisher {
    state: Arc<Mutex<State>>,
    signal: watch::Sender<u64>,
}

/// The reading end. Each reader sees every change, but may see several at once.
#[derive(Debug)]
pub struct Updates {
    state: Arc<Mutex<State>>,
    signal: watch::Receiver<u64>,
    seen: u64,
    last: Image,
}

/// The quorum has ended; no update will follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata quorum has stopped")]
pub struct Ended;

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing panics under this lock, so what it guards is whole even then.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let (signal, _) = watch::channel(0);
        Self { state: Arc::default(), signal }
    }

    pub(crate) fn publish(&self, publication: Publication) {
        let mut state = lock(&self.state);
        state.image = publication.image;
        state.version += 1;
        if state.deltas.len() == KEPT_DELTAS {
            state.deltas.pop_front();
        }
        state.deltas.push_back(Arc::new(publication.delta));
        let version = state.version;
        drop(state);
        self.signal.send_replace(version);
    }

    pub(crate) fn subscribe(&self) -> Updates {
        Updates {
            state: self.state.clone(),
            signal: self.signal.subscribe(),
            seen: 0,
            last: Image::default(),
        }
    }
}

impl Updates {
    /// The same for a reader that has `image` already: its first update says what changed since, deletions too.
    #[must_use]
    pub fn since(self, image: Image) -> Self {
        Self { last: image, ..self }
    }

    /// The newest image, whether this reader was told of it or not.
    #[must_use]
    pub fn image(&self) -> Image {
        lock(&self.state).image.clone()
    }

    /// Waits for an image this reader has not seen. The first one comes at once when anything was committed.
    pub async fn next(&mut self) -> Result<Update, Ended> {
        let seen = self.seen;
        self.signal.wait_for(|version| *version > seen).await.map_err(|_| Ended)?;
        Ok(self.take())
    }

    /// The update that is there, if this reader has not seen the newest image.
    pub fn try_next(&mut self) -> Option<Update> {
        let newest = *self.signal.borrow_and_update();
        (newest > self.seen).then(|| self.take())
    }

    fn take(&mut self) -> Update {
        let state = lock(&self.state);
        let behind = usize::try_from(state.version - self.seen).unwrap_or(usize::MAX);
        let image = state.image.clone();
        let delta = if self.seen == 0 || behind > state.deltas.len() {
            None
        } else {
            let from = state.deltas.len() - behind;
            let mut missed = state.deltas.iter().skip(from);
            let mut joined = missed.next().map(|d| Delta::clone(d)).unwrap_or_default();
            missed.for_each(|d| joined.append(Delta::clone(d)));
            Some(joined)
        };
        self.seen = state.version;
        drop(state);
        let delta = delta.unwrap_or_else(|| Delta::between(&self.last, &image));
        self.last = image.clone();
        Update { image, delta }
    }
}

#[cfg(test)]
mod tests {
    use ottla_metadata::Loader;
    use ottla_wire::Uuid;
    use ottla_wire::schema::metadata::{MetadataRecord, RemoveTopicRecord, TopicRecord};

    use super::*;

    #[test]
    fn a_reader_that_has_an_image_hears_of_what_was_deleted_since() {
        let (publisher, mut loader) = (Publisher::new(), Loader::default());
        let topic_id = Uuid::from_u128(7);
        let made: MetadataRecord = TopicRecord { name: "t".into(), topic_id }.into();
        let gone: MetadataRecord = RemoveTopicRecord { topic_id }.into();
        loader.apply(&made, 0).unwrap();
        publisher.publish(loader.publish().unwrap());
        let image = publisher.subscribe().image();
        let mut reader = publisher.subscribe().since(image.clone());
        loader.apply(&gone, 1).unwrap();
        publisher.publish(loader.publish().unwrap());
        let update = reader.try_next().unwrap();
        assert!(update.delta.deleted.contains_key(&topic_id), "{:?}", update.delta);
        assert_eq!(update.image.topic_named("t"), None);
        // Who has all hears of no change.
        let mut level = publisher.subscribe().since(update.image);
        assert!(level.try_next().unwrap().delta.is_empty());
        assert!(reader.try_next().is_none());
    }
}
