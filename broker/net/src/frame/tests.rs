use std::future::poll_fn;

use super::*;
use crate::duplex::duplex;

const MAX: u32 = 100 << 20;

fn frame(body: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    all.extend_from_slice(body);
    all
}

#[tokio::test]
async fn frames_come_whole_wherever_the_stream_is_cut() {
    let bodies = [b"".to_vec(), b"a".to_vec(), vec![7; 5000], b"xyz".to_vec()];
    let stream: Vec<u8> = bodies.iter().flat_map(|b| frame(b)).collect();
    let cuts = (0..40).chain(stream.len() - 40..=stream.len());
    for cut in cuts {
        let (mut near, far) = duplex(1 << 20);
        let mut reader = FrameReader::new();
        let mut got = Vec::new();
        for half in [&stream[..cut], &stream[cut..]] {
            far.send(half).await.unwrap();
            loop {
                while let Some(body) = reader.next_frame(MAX).unwrap() {
                    got.push(body.to_vec());
                }
                let fill = poll_fn(|cx| Poll::Ready(reader.poll_fill(&mut near, cx))).await;
                if fill.is_pending() {
                    break;
                }
            }
        }
        assert_eq!(got, bodies, "cut at {cut}");
        assert!(!reader.in_frame());
        assert!(reader.buffer.is_none(), "an idle reader holds no buffer");
    }
}

#[tokio::test]
async fn one_byte_at_a_time_and_a_large_frame() {
    let body: Vec<u8> = (0..3_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
    let (mut near, far) = duplex(50_000);
    let send = async {
        for byte in frame(b"small") {
            far.send(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        far.send(&frame(&body)).await.unwrap();
        far.send(&frame(b"after")).await.unwrap();
        far.finish();
    };
    let receive = async {
        let mut reader = FrameReader::new();
        let mut got = Vec::new();
        while let Some(f) = poll_fn(|cx| reader.poll_frame(&mut near, MAX, cx)).await.unwrap() {
            got.push(f);
        }
        got
    };
    let ((), got) = tokio::join!(send, receive);
    assert_eq!(got.len(), 3);
    assert_eq!(&got[0][..], b"small");
    assert_eq!(&got[1][..], &body[..]);
    assert_eq!(&got[2][..], b"after");
}

#[tokio::test]
async fn a_lying_length_reserves_only_a_multiple_of_what_came() {
    let (mut near, far) = duplex(1 << 20);
    let mut reader = FrameReader::new();
    let mut sent = 4;
    far.send(&(90u32 << 20).to_be_bytes()).await.unwrap();
    for _ in 0..40 {
        let step = [1u8; 10_000];
        far.send(&step).await.unwrap();
        sent += step.len();
        loop {
            assert!(reader.next_frame(MAX).unwrap().is_none());
            let fill = poll_fn(|cx| Poll::Ready(reader.poll_fill(&mut near, cx))).await;
            if fill.is_pending() {
                break;
            }
        }
        let held = reader.buffer.as_ref().unwrap().capacity();
        assert!(held <= (sent * GROWTH).max(buffer::SMALL), "{held} bytes held for {sent}");
        if sent <= MAX_CARRIED {
            assert_eq!(held, sent, "while waiting no more is held than came");
        }
    }
}

#[tokio::test]
async fn strangers_and_liars_are_told_apart() {
    let cases: [(&[u8], FrameError); 6] = [
        (&(-1i32).to_be_bytes(), FrameError::Negative(-1)),
        (&i32::MIN.to_be_bytes(), FrameError::Negative(i32::MIN)),
        (&i32::MAX.to_be_bytes(), FrameError::TooLarge { size: 0x7fff_ffff, max: MAX }),
        (&(MAX + 1).to_be_bytes(), FrameError::TooLarge { size: MAX + 1, max: MAX }),
        (&[0x16, 0x03, 0x01, 0x02, 0x00], FrameError::Tls),
        (b"GET / HTTP/1.1\r\n", FrameError::Http("GET")),
    ];
    for (bytes, error) in cases {
        let (mut near, far) = duplex(100);
        far.send(bytes).await.unwrap();
        let mut reader = FrameReader::new();
        poll_fn(|cx| reader.poll_fill(&mut near, cx)).await.unwrap();
        assert_eq!(reader.next_frame(MAX).unwrap_err(), error);
    }
    // What looks like a verb is a length once the peer has shown that it speaks in frames.
    let (mut near, far) = duplex(100);
    far.send(&frame(b"x")).await.unwrap();
    far.send(b"GET ").await.unwrap();
    let mut reader = FrameReader::new();
    poll_fn(|cx| reader.poll_fill(&mut near, cx)).await.unwrap();
    assert!(reader.next_frame(MAX).unwrap().is_some());
    let error = reader.next_frame(MAX).unwrap_err();
    assert_eq!(error, FrameError::TooLarge { size: 0x4745_5420, max: MAX });
}

#[tokio::test]
async fn a_held_large_frame_is_not_overwritten() {
    let (mut near, far) = duplex(1 << 20);
    let mut reader = FrameReader::new();
    far.send(&frame(&vec![1; 20_000])).await.unwrap();
    let first = poll_fn(|cx| reader.poll_frame(&mut near, MAX, cx)).await.unwrap().unwrap();
    far.send(&frame(&vec![2; 20_000])).await.unwrap();
    let second = poll_fn(|cx| reader.poll_frame(&mut near, MAX, cx)).await.unwrap().unwrap();
    assert!(first.iter().all(|b| *b == 1));
    assert!(second.iter().all(|b| *b == 2));
}
