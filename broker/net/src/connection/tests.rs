use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::duplex::{Duplex, DuplexPeer, duplex};
use crate::registry::{Clock, ReapLimits, Registry};

/// Answers by the frame's first byte: `e` at once, `w` and `x` (exclusive) when released, `n` never,
/// `c` closes, `b` with a megabyte, `m` mutes.
#[derive(Clone, Default)]
struct Toy {
    seen: Arc<Mutex<Vec<Bytes>>>,
    waiting: Arc<Mutex<BTreeMap<Bytes, oneshot::Sender<Reply>>>>,
}

impl Toy {
    fn wait(&self, frame: &Bytes) -> PendingReply {
        let (send, receive) = oneshot::channel();
        self.waiting.lock().unwrap().insert(frame.clone(), send);
        Box::pin(async move { receive.await.unwrap_or(Reply::NoResponse) })
    }

    fn release(&self, name: &str) {
        let name = Bytes::copy_from_slice(name.as_bytes());
        let sender = self.waiting.lock().unwrap().remove(&name).unwrap();
        let _ = sender.send(Reply::Response(Response::bytes(name)));
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Service for Toy {
    fn call(&mut self, frame: Bytes) -> Outcome {
        self.seen.lock().unwrap().push(frame.clone());
        match frame.first() {
            Some(b'w') => Outcome::Pending { reply: self.wait(&frame), holds: frame.len() },
            Some(b'x') => Outcome::Exclusive { reply: self.wait(&frame), holds: 0 },
            Some(b'n') => Outcome::NoResponse,
            Some(b'c') => Outcome::Close("as asked".into()),
            Some(b'b') => Outcome::Ready(Response::bytes(vec![b'b'; 1 << 20])),
            Some(b'm') => {
                let mute = Some(Duration::from_secs(5));
                Outcome::Ready(Response { mute, ..Response::bytes(frame) })
            }
            _ => Outcome::Ready(Response::bytes(frame)),
        }
    }
}

struct Rig {
    toy: Toy,
    far: DuplexPeer,
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    stats: Arc<NetStats>,
    limits: Arc<ConnectionLimits>,
    task: JoinHandle<End>,
}

/// Room for waiting requests, in bytes.
const ROOM: u64 = 1 << 20;

fn start(capacity: usize, memory: u64) -> Rig {
    start_with(capacity, memory, MAX_IN_FLIGHT)
}

fn start_with(capacity: usize, memory: u64, max_requests: usize) -> Rig {
    let (near, far): (Duplex, _) = duplex(capacity);
    let registry = Registry::new();
    let shared = registry.open(&Arc::from("A"), &Clock::new());
    let toy = Toy::default();
    let stats = Arc::new(NetStats::default());
    let limits = Arc::new(ConnectionLimits {
        max_frame: AtomicU32::new(10 << 20),
        max_requests,
        memory: MemoryPool::new(memory),
        waiting: WaitingRoom::new(ROOM),
    });
    let (l, s) = (Arc::clone(&limits), Arc::clone(&stats));
    let task = tokio::spawn(Connection::new(near, toy.clone(), Arc::clone(&shared), l, s));
    Rig { toy, far, registry, shared, stats, limits, task }
}

impl Rig {
    async fn ask(&self, body: &str) {
        self.far.send(&frame(body.as_bytes())).await.unwrap();
    }

    async fn answer(&self) -> String {
        String::from_utf8(self.far.receive_frame().await.unwrap()).unwrap()
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    all.extend_from_slice(body);
    all
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn answers_leave_in_order_though_later_requests_are_done_first() {
    let rig = start(1 << 20, 1 << 20);
    for body in ["w1", "e2", "w3", "n4", "e5"] {
        rig.ask(body).await;
    }
    settle().await;
    assert_eq!(rig.toy.seen(), 5, "later requests were worked on");
    assert_eq!(rig.far.waiting(), 0);
    rig.toy.release("w3");
    settle().await;
    assert_eq!(rig.far.waiting(), 0);
    rig.toy.release("w1");
    for body in ["w1", "e2", "w3", "e5"] {
        assert_eq!(rig.answer().await, body);
    }
    assert_eq!(rig.limits.memory.used(), 0);
}

#[tokio::test]
async fn pipelined_requests_take_one_read_and_one_write() {
    let rig = start(1 << 20, 1 << 20);
    let all: Vec<u8> = (0..100).flat_map(|i| frame(format!("e{i}").as_bytes())).collect();
    rig.far.send(&all).await.unwrap();
    for i in 0..100 {
        assert_eq!(rig.answer().await, format!("e{i}"));
    }
    assert_eq!(rig.far.writes(), 1);
    assert_eq!(rig.stats.frames.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn an_exclusive_request_holds_back_the_next() {
    let rig = start(1 << 20, 1 << 20);
    rig.ask("x1").await;
    rig.ask("e2").await;
    settle().await;
    assert_eq!(rig.toy.seen(), 1);
    rig.toy.release("x1");
    assert_eq!(rig.answer().await, "x1");
    assert_eq!(rig.answer().await, "e2");
}

#[tokio::test]
async fn closing_lets_earlier_answers_leave() {
    let rig = start(1 << 20, 1 << 20);
    for body in ["w1", "c2", "e3"] {
        rig.ask(body).await;
    }
    settle().await;
    rig.toy.release("w1");
    assert_eq!(rig.answer().await, "w1");
    assert!(rig.far.receive_frame().await.is_none());
    assert!(matches!(rig.task.await.unwrap(), End::Service(r) if r.0 == "as asked"));
    assert_eq!(rig.toy.seen(), 2);
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_being_read() {
    let rig = start(1 << 16, 1 << 20);
    for _ in 0..200 {
        rig.ask("b").await;
    }
    settle().await;
    let held = rig.toy.seen();
    assert!(held <= 2, "{held} megabytes are held for a peer that reads nothing");
    for _ in 0..200 {
        assert_eq!(rig.answer().await.len(), 1 << 20);
    }
    assert_eq!(rig.toy.seen(), 200);
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_go_on_when_answered() {
    for most in [MAX_IN_FLIGHT, 1, 3] {
        let rig = start_with(1 << 20, 1 << 20, most);
        for i in 0..most + 10 {
            rig.ask(&format!("w{i}")).await;
        }
        settle().await;
        assert_eq!(rig.toy.seen(), most);
        for i in 0..most + 10 {
            settle().await;
            rig.toy.release(&format!("w{i}"));
            assert_eq!(rig.answer().await, format!("w{i}"));
        }
    }
}

#[tokio::test]
async fn a_waiting_request_gives_its_frame_back_and_others_are_read() {
    let rig = start(1 << 20, 10_000);
    let body = format!("w{}", "z".repeat(300_000));
    rig.ask(&body).await;
    settle().await;
    assert_eq!(rig.limits.memory.used(), 0, "the frame is gone");
    assert!(rig.limits.waiting.used() >= body.len() as u64, "what it keeps is counted");
    let second = format!("e{}", "z".repeat(300_000));
    rig.ask(&second).await;
    settle().await;
    assert_eq!(rig.toy.seen(), 2, "a long poll stops nobody");
    rig.toy.release(&body);
    assert_eq!(rig.answer().await, body);
    assert_eq!(rig.answer().await, second);
    assert_eq!(rig.limits.waiting.used(), 0);
}

#[tokio::test]
async fn whoever_waits_with_more_than_its_share_is_closed() {
    let rig = start(1 << 20, 1 << 20);
    let body = format!("w{}", "z".repeat(700_000));
    rig.ask(&body).await;
    rig.ask(&format!("{body}2")).await;
    let end = rig.task.await.unwrap();
    assert!(matches!(end, End::NoRoom(_)), "{end}");
    assert_eq!(rig.limits.waiting.used(), 0);
}

#[tokio::test]
async fn large_frames_wait_for_memory_and_are_not_blamed_for_it() {
    let rig = start(1 << 20, 10_000);
    let taken = rig.limits.memory.charge(20_000);
    rig.ask("e1").await;
    assert_eq!(rig.answer().await, "e1", "what is small needs no place");
    let body = format!("e{}", "z".repeat(600_000));
    rig.ask(&body).await;
    settle().await;
    assert_eq!(rig.toy.seen(), 1);
    let limits = ReapLimits { idle_ms: Some(60_000), stalled_ms: Some(10_000) };
    assert_eq!(rig.registry.reap(1 << 40, limits), 0, "nobody reads it: it is not idle");
    drop(taken);
    assert_eq!(rig.answer().await, body);
    assert_eq!(rig.registry.reap(1 << 40, limits), 1, "now it is");
}

#[tokio::test]
async fn a_large_frame_is_charged_before_it_arrives() {
    let rig = start(1 << 20, 10_000);
    rig.far.send(&(5u32 << 20).to_be_bytes()).await.unwrap();
    settle().await;
    assert_eq!(rig.limits.memory.used(), (5 << 20) + 4);
    let body = vec![b'e'; 5 << 20];
    let send = async { rig.far.send(&body).await.unwrap() };
    let ((), answer) = tokio::join!(send, rig.far.receive_frame());
    assert!(answer.unwrap() == body);
    assert_eq!(rig.limits.memory.used(), 0);
}

#[tokio::test]
async fn a_bad_frame_ends_the_connection() {
    let rig = start(1 << 20, 1 << 20);
    rig.ask("e1").await;
    assert_eq!(rig.answer().await, "e1");
    rig.far.send(&i32::MAX.to_be_bytes()).await.unwrap();
    let end = rig.task.await.unwrap();
    assert!(matches!(end, End::Frame(FrameError::TooLarge { .. })), "{end}");
}

#[tokio::test]
async fn kill_and_drain() {
    let rig = start(1 << 20, 1 << 20);
    rig.ask("w1").await;
    settle().await;
    rig.shared.kill(Why::Idle);
    assert!(matches!(rig.task.await.unwrap(), End::Killed(Why::Idle)));

    let rig = start(1 << 20, 1 << 20);
    rig.ask("w1").await;
    settle().await;
    rig.shared.drain();
    settle().await;
    rig.ask("e2").await;
    settle().await;
    assert_eq!(rig.toy.seen(), 1, "no new request is taken");
    rig.toy.release("w1");
    assert_eq!(rig.answer().await, "w1");
    assert!(matches!(rig.task.await.unwrap(), End::Drained));
}

#[tokio::test]
async fn a_peer_that_sends_nothing_more_gets_all_its_answers() {
    let rig = start(1 << 20, 1 << 20);
    for body in ["w1", "e2", "w3"] {
        rig.ask(body).await;
    }
    rig.far.send(&[0, 0, 0]).await.unwrap();
    rig.far.finish();
    settle().await;
    rig.toy.release("w3");
    rig.toy.release("w1");
    for body in ["w1", "e2", "w3"] {
        assert_eq!(rig.answer().await, body);
    }
    assert!(matches!(rig.task.await.unwrap(), End::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_ends_it_and_drops_what_waits() {
    let rig = start(1 << 20, 1 << 20);
    let start = tokio::time::Instant::now();
    rig.ask("w1").await;
    settle().await;
    rig.far.finish();
    assert!(matches!(rig.task.await.unwrap(), End::Peer));
    assert_eq!(start.elapsed(), LINGER);
    let waiting = rig.toy.waiting.lock().unwrap();
    assert!(waiting.values().all(oneshot::Sender::is_closed));
}

#[tokio::test]
async fn a_peer_that_left_without_waiting_ends_it_at_once() {
    let rig = start(1 << 20, 1 << 20);
    rig.ask("e1").await;
    assert_eq!(rig.answer().await, "e1");
    rig.far.finish();
    assert!(matches!(rig.task.await.unwrap(), End::Peer));

    let rig = start(1 << 20, 1 << 20);
    rig.ask("w1").await;
    settle().await;
    drop(rig.far);
    settle().await;
    let name = Bytes::from_static(b"w1");
    let sender = rig.toy.waiting.lock().unwrap().remove(&name).unwrap();
    let _ = sender.send(Reply::Response(Response::bytes(name)));
    assert!(matches!(rig.task.await.unwrap(), End::Io(_)), "its answer cannot be told");
}

#[tokio::test(start_paused = true)]
async fn a_muted_connection_is_not_read_until_the_time_is_over() {
    let rig = start(1 << 20, 1 << 20);
    let start = tokio::time::Instant::now();
    rig.ask("m1").await;
    rig.ask("e2").await;
    assert_eq!(rig.answer().await, "m1");
    settle().await;
    assert_eq!(rig.toy.seen(), 1);
    assert_eq!(rig.answer().await, "e2");
    assert_eq!(start.elapsed().as_secs(), 5);
}
