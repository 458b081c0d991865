//! How much memory a message would need, found out without taking it apart.
//!
//! A protobuf message of two bytes on the wire can become one of 200 in memory, and a megabyte of
//! them a fifth of a gigabyte. So the pieces are counted before anything is decoded.

use crate::error::PayloadError;

/// Most messages and texts that one push may be made of: a client of a thousand metrics has some
/// twenty thousand.
pub(crate) const MAX_PIECES: usize = 200_000;

/// Most messages in one another.
const MAX_DEPTH: u8 = 32;

/// Which fields of a message are messages that can have many pieces themselves.
struct Kind(&'static [(u64, &'static Kind)]);

static ANY_VALUE: Kind = Kind(&[(5, &ARRAY), (6, &KEY_VALUES)]);
static ARRAY: Kind = Kind(&[(1, &ANY_VALUE)]);
static KEY_VALUES: Kind = Kind(&[(1, &KEY_VALUE)]);
static KEY_VALUE: Kind = Kind(&[(2, &ANY_VALUE)]);
static ENTITY: Kind = Kind(&[]);
static RESOURCE: Kind = Kind(&[(1, &KEY_VALUE), (3, &ENTITY)]);
static SCOPE: Kind = Kind(&[(3, &KEY_VALUE)]);
static EXEMPLAR: Kind = Kind(&[(7, &KEY_VALUE)]);
static NUMBER: Kind = Kind(&[(7, &KEY_VALUE), (5, &EXEMPLAR)]);
static HISTOGRAM_POINT: Kind = Kind(&[(9, &KEY_VALUE), (8, &EXEMPLAR)]);
static EXPONENTIAL_POINT: Kind = Kind(&[(1, &KEY_VALUE), (11, &EXEMPLAR)]);
static SUMMARY_POINT: Kind = Kind(&[(7, &KEY_VALUE)]);
static NUMBERS: Kind = Kind(&[(1, &NUMBER)]);
static HISTOGRAM: Kind = Kind(&[(1, &HISTOGRAM_POINT)]);
static EXPONENTIAL: Kind = Kind(&[(1, &EXPONENTIAL_POINT)]);
static SUMMARY: Kind = Kind(&[(1, &SUMMARY_POINT)]);
static METRIC: Kind = Kind(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAM),
    (10, &EXPONENTIAL),
    (11, &SUMMARY),
    (12, &KEY_VALUE),
]);
static SCOPE_METRICS: Kind = Kind(&[(1, &SCOPE), (2, &METRIC)]);
static RESOURCE_METRICS: Kind = Kind(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static METRICS_DATA: Kind = Kind(&[(1, &RESOURCE_METRICS)]);

/// Refuses metrics of more than [`MAX_PIECES`] pieces, and what is no protobuf message.
pub(crate) fn weigh(metrics: &[u8]) -> Result<(), PayloadError> {
    let mut left = MAX_PIECES;
    count(metrics, &METRICS_DATA, MAX_DEPTH, &mut left)
}

fn count(mut rest: &[u8], kind: &Kind, depth: u8, left: &mut usize) -> Result<(), PayloadError> {
    let cut = PayloadError::Malformed("a message is cut off");
    let Some(depth) = depth.checked_sub(1) else {
        return Err(PayloadError::Malformed("messages lie in one another too deep"));
    };
    while !rest.is_empty() {
        let tag = prost::encoding::decode_varint(&mut rest)?;
        let skipped = match tag & 7 {
            0 => prost::encoding::decode_varint(&mut rest).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(prost::encoding::decode_varint(&mut rest)?).unwrap_or(usize::MAX),
            5 => 4,
            _ => return Err(PayloadError::Malformed("a field is of no kind that OTLP has")),
        };
        let Some((inside, behind)) = rest.split_at_checked(skipped) else { return Err(cut) };
        rest = behind;
        if tag & 7 == 2 {
            *left = left.checked_sub(1).ok_or(PayloadError::TooMany { limit: MAX_PIECES })?;
            if let Some((_, kind)) = kind.0.iter().find(|(field, _)| *field == tag >> 3) {
                count(inside, kind, depth, left)?;
            }
        }
    }
    Ok(())
}
