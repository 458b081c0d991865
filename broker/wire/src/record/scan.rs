//! Walking over batches that lie one behind the other.

use bytes::Bytes;

use super::{
    BATCH_HEADER_SIZE, BatchHeader, CRC_START, Compression, Record, RecordError, RecordIter,
    crc32c, decompress,
};

/// One whole version 2 batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The parsed header.
    pub header: BatchHeader,
    /// The batch as it stands in the source, header included; no copy.
    pub bytes: Bytes,
}

impl Batch {
    /// Reads the batch at the start of `bytes`, which may hold more behind it.
    pub fn parse(bytes: &Bytes) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_in_bytes();
        if bytes.len() < needed {
            return Err(RecordError::Truncated { needed, available: bytes.len() });
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }

    /// The records section, compressed if the attributes say so; no copy.
    pub fn records(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_SIZE.min(self.bytes.len())..)
    }

    /// The records section without compression: the batch's own bytes where it has none, else
    /// a new buffer of at most `limit` bytes.
    pub fn uncompressed(&self, limit: usize) -> Result<Bytes, RecordError> {
        match self.header.compression()? {
            Compression::None => Ok(self.records()),
            codec => decompress(codec, &self.records(), limit).map(Bytes::from),
        }
    }

    /// All records, which share one buffer. `limit` bounds what decompression may give, in
    /// bytes.
    pub fn decode(&self, limit: usize) -> Result<Vec<Record>, RecordError> {
        let section = self.uncompressed(limit)?;
        RecordIter::new(&self.header, &section).map(|r| Ok(r?.share(&section))).collect()
    }

    /// The checksum that the bytes have.
    pub fn computed_crc(&self) -> u32 {
        crc32c(self.bytes.get(CRC_START..).unwrap_or_default())
    }

    /// Compares the stored checksum with the one of the bytes.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let (stored, computed) = (self.header.crc, self.computed_crc());
        if stored == computed { Ok(()) } else { Err(RecordError::WrongCrc { stored, computed }) }
    }
}

/// Whether a scan verifies checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcCheck {
    /// Every batch's checksum is compared.
    Verify,
    /// Checksums are not looked at.
    Skip,
}

/// Iterator over the version 2 batches in a buffer. It ends after the last byte or after its
/// first error; [`Batches::position`] then is where the faulty batch starts.
#[derive(Debug, Clone)]
pub struct Batches {
    bytes: Bytes,
    position: usize,
    crc: CrcCheck,
    failed: bool,
}

impl Batches {
    /// Walks over `bytes` from its start.
    pub fn new(bytes: Bytes, crc: CrcCheck) -> Self {
        Self { bytes, position: 0, crc, failed: false }
    }

    /// Bytes that good batches took so far.
    pub fn position(&self) -> usize {
        self.position
    }

    fn read(&self) -> Result<Batch, RecordError> {
        let batch = Batch::parse(&self.bytes.slice(self.position..))?;
        if self.crc == CrcCheck::Verify {
            batch.check_crc()?;
        }
        Ok(batch)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.position >= self.bytes.len() {
            return None;
        }
        let read = self.read();
        match &read {
            Ok(batch) => self.position += batch.bytes.len(),
            Err(_) => self.failed = true,
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LOG_OVERHEAD, MAGIC_OFFSET};

    fn batch(base_offset: i64, body: &[u8]) -> Vec<u8> {
        let mut header = BatchHeader {
            base_offset,
            batch_length: (BATCH_HEADER_SIZE - LOG_OVERHEAD + body.len()) as i32,
            ..BatchHeader::default()
        };
        let sum = crc32c(&[&header.encode()[CRC_START..], body].concat());
        header.crc = sum;
        [&header.encode()[..], body].concat()
    }

    fn scan(bytes: &[u8]) -> (Vec<i64>, usize, Option<RecordError>) {
        let mut batches = Batches::new(Bytes::copy_from_slice(bytes), CrcCheck::Verify);
        let mut offsets = Vec::new();
        let mut error = None;
        for b in &mut batches {
            match b {
                Ok(b) => offsets.push(b.header.base_offset),
                Err(e) => error = Some(e),
            }
        }
        (offsets, batches.position(), error)
    }

    #[test]
    fn yields_all_batches() {
        let bytes = [batch(0, b"a"), batch(5, b""), batch(9, &[7; 3000])].concat();
        assert_eq!(scan(&bytes), (vec![0, 5, 9], bytes.len(), None));
        assert_eq!(scan(&[]), (vec![], 0, None));
    }

    #[test]
    fn stops_at_the_first_fault_and_says_where() {
        let (first, second) = (batch(0, b"abc"), batch(1, b"defg"));
        let whole = [first.clone(), second.clone()].concat();
        for cut in first.len() + 1..whole.len() {
            let (offsets, position, error) = scan(&whole[..cut]);
            assert_eq!((offsets, position), (vec![0], first.len()));
            assert!(matches!(error, Some(RecordError::Truncated { .. })), "cut at {cut}");
        }
        let mut bad = whole.clone();
        *bad.last_mut().unwrap() ^= 1;
        let (offsets, position, error) = scan(&bad);
        assert_eq!((offsets, position), (vec![0], first.len()));
        assert!(matches!(error, Some(RecordError::WrongCrc { .. })));
        let skipped = Batches::new(bad.into(), CrcCheck::Skip).filter(Result::is_ok).count();
        assert_eq!(skipped, 2);
        let mut old = whole;
        old[MAGIC_OFFSET] = 1;
        assert_eq!(scan(&old), (vec![], 0, Some(RecordError::UnsupportedMagic(1))));
    }
}
