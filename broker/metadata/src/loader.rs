//! Reads the metadata log batch by batch into images to publish.

use crate::delta::{Change, Delta};
use crate::error::ApplyError;
use crate::features::KRAFT;
use crate::image::{Image, Provenance};
use ottla_wire::schema::metadata::MetadataRecord;

/// An image and what changed in it since the one published before.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The metadata as they are now.
    pub image: Image,
    /// What changed since the publication before.
    pub delta: Delta,
}

/// Applies committed batches and gives images to publish. What a transaction wrote stays unseen until its end
/// record; what an aborted one wrote is forgotten (KIP-868).
#[derive(Clone, Debug, Default)]
pub struct Loader {
    image: Image,
    delta: Delta,
    /// The state before the transaction under way.
    before: Option<(Image, Delta)>,
    faults: u64,
}

impl Loader {
    /// A loader that goes on from an image, such as one read from a snapshot.
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self { image, ..Self::default() }
    }

    /// Replaces everything by the image of a snapshot. The next publication tells what differs.
    pub fn reset(&mut self, image: Image) {
        let (old, mut delta) = match self.before.take() {
            Some(before) => before,
            None => (std::mem::take(&mut self.image), std::mem::take(&mut self.delta)),
        };
        delta.append(Delta::between(&old, &image));
        self.image = image;
        self.delta = delta;
    }

    /// Applies one record. An error leaves out that record alone; the reader may go on, or stop, as it must where the
    /// cluster has a level of a feature that is not known here.
    pub fn apply(&mut self, record: &MetadataRecord, offset: i64) -> Result<(), ApplyError> {
        let done = self.step(record, offset);
        self.faults += u64::from(done.is_err());
        done
    }

    fn step(&mut self, record: &MetadataRecord, offset: i64) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::BeginTransaction(_) => {
                if self.before.is_some() {
                    return Err(ApplyError::Transaction("BeginTransaction"));
                }
                self.before = Some((self.image.clone(), self.delta.clone()));
            }
            MetadataRecord::EndTransaction(_) => {
                self.before.take().ok_or(ApplyError::Transaction("EndTransaction"))?;
            }
            MetadataRecord::AbortTransaction(_) => {
                let before = self.before.take();
                (self.image, self.delta) =
                    before.ok_or(ApplyError::Transaction("AbortTransaction"))?;
            }
            _ => {}
        }
        let delta = &mut self.delta;
        self.image.apply_noting(record, offset, &mut |change| delta.add(change))
    }

    /// Sets the level of `kraft.version`. The quorum's own records belong to no transaction.
    ///
    /// # Errors
    /// When there is no such level.
    pub fn set_kraft_version(&mut self, level: i16) -> Result<(), ApplyError> {
        if self.image.features().level(KRAFT) == level {
            return Ok(());
        }
        self.image.set_kraft_version(level)?;
        self.delta.add(Change::Feature(KRAFT.to_owned()));
        if let Some((image, delta)) = &mut self.before {
            image.set_kraft_version(level)?;
            delta.add(Change::Feature(KRAFT.to_owned()));
        }
        Ok(())
    }

    /// Says that everything up to an offset was read, written in this epoch at this time.
    pub fn advance(&mut self, provenance: Provenance) {
        self.image.set_provenance(provenance);
    }

    /// The image with what a transaction under way has written so far.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Whether a transaction is under way.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.before.is_some()
    }

    /// How many records did not fit.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The image to publish and what changed since the last one; `None` within a transaction.
    pub fn publish(&mut self) -> Option<Publication> {
        if self.before.is_some() {
            return None;
        }
        Some(Publication { image: self.image.clone(), delta: std::mem::take(&mut self.delta) })
    }
}
