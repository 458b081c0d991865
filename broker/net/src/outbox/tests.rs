use std::future::poll_fn;
use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::duplex::duplex;

fn file(bytes: &[u8]) -> Arc<std::fs::File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

fn slice(file: &Arc<std::fs::File>, offset: u64, len: u32) -> Part {
    Part::File(FileSlice { file: Arc::clone(file) as _, offset, len })
}

#[tokio::test]
async fn small_answers_and_small_slices_leave_in_one_write() {
    let (mut near, far) = duplex(1 << 20);
    let mut outbox = Outbox::new();
    let file = file(b"0123456789");
    outbox.push(Response::bytes("one")).unwrap();
    let mut two = Response::bytes("two");
    two.push(slice(&file, 2, 5));
    two.push(Part::Bytes(Bytes::from_static(b"end")));
    outbox.push(two).unwrap();
    poll_fn(|cx| outbox.poll_flush(&mut near, cx)).await.unwrap();
    assert_eq!(far.writes(), 1);
    assert_eq!(far.receive_frame().await.unwrap(), b"one");
    assert_eq!(far.receive_frame().await.unwrap(), b"two23456end");
    assert!(outbox.is_empty());
    assert_eq!(outbox.memory(), 0);
}

#[tokio::test]
async fn all_sizes_of_parts_through_a_narrow_pipe() {
    let content: Vec<u8> = (0..300_000u32).map(|i| i.to_le_bytes()[1]).collect();
    let file = file(&content);
    let (mut near, far) = duplex(777);
    let mut outbox = Outbox::new();
    let mut expected = Vec::new();
    for i in 0..40u32 {
        let big = Bytes::from(vec![i.to_le_bytes()[0]; 9_000]);
        let mut response = Response::bytes(big.clone());
        response.push(slice(&file, u64::from(i), 200_000 * (i % 2) + 1_000));
        response.push(Part::Bytes(Bytes::from_static(b"tail")));
        let to = (200_000 * (i % 2) + 1_000 + i) as usize;
        expected.push([&big[..], &content[i as usize..to], b"tail"].concat());
        outbox.push(response).unwrap();
    }
    let write = async { poll_fn(|cx| outbox.poll_flush(&mut near, cx)).await.unwrap() };
    let read = async {
        for (i, body) in expected.iter().enumerate() {
            assert!(far.receive_frame().await.unwrap() == *body, "response {i}");
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_file_that_became_shorter_is_an_error() {
    let (mut near, _far) = duplex(10 << 20);
    let file = file(&[0; 50_000]);
    let mut outbox = Outbox::new();
    let mut small = Response::default();
    small.push(slice(&file, 49_995, 10));
    assert_eq!(outbox.push(small).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let mut outbox = Outbox::new();
    let mut large = Response::default();
    large.push(slice(&file, 0, 50_001));
    outbox.push(large).unwrap();
    let error = poll_fn(|cx| outbox.poll_flush(&mut near, cx)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn many_small_slices_are_not_all_held_in_memory() {
    let content: Vec<u8> = (0..40_000u32).map(|i| i.to_le_bytes()[1]).collect();
    let file = file(&content);
    let mut response = Response::bytes("head");
    let mut expected = b"head".to_vec();
    for i in 0..2_000u32 {
        response.push(slice(&file, u64::from(i), 32 << 10));
        expected.extend_from_slice(&content[i as usize..][..32 << 10]);
    }
    let mut outbox = Outbox::new();
    outbox.push(response).unwrap();
    assert!(outbox.memory() < 1 << 20, "{} bytes are held", outbox.memory());
    let (mut near, far) = duplex(100_000);
    let write = async { poll_fn(|cx| outbox.poll_flush(&mut near, cx)).await.unwrap() };
    let (answer, ()) = tokio::join!(far.receive_frame(), write);
    assert!(answer.unwrap() == expected);
}
