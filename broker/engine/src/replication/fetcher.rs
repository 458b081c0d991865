//! One fetcher: it asks one leader for many partitions, again and again, and appends what comes.
//!
//! A request names only what changed since the one before. While one waits at the leader for
//! records and there is more to ask for, a second one goes out behind it: the leader ends the first
//! at once, so that a partition that is new here need not wait until the others have news.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ottla_config::keys;
use ottla_machine::Mono;
use ottla_replica::Patience;
use ottla_wire::ErrorCode;
use ottla_wire::api::fetch::FetchResponse;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::Shared;
use super::followed::{Before, Followed};
use super::inbox::{Change, Inbox};
use super::peers::{Lane, PeerError, PeerFuture};
use super::request::{Draft, EARLIEST, LATEST, Session, ends, found};
use crate::dirs::LogDir;
use crate::ids::PartitionId;

/// Requests under way at a time.
const MOST_UNDERWAY: usize = 2;

/// The rest of a partition after its first failure, in milliseconds; later ones are longer, up to
/// `replica.fetch.backoff.ms`.
const FIRST_REST_MS: u64 = 20;

/// After so many milliseconds it is looked again whether a partition that is fetched too fast still
/// has to wait.
const MOST_LIMITED_MS: u64 = 500;

/// The rest while this broker has no epoch.
const NO_EPOCH_REST: Duration = Duration::from_millis(10);

/// A request under way.
struct Underway {
    serial: u64,
    generation: u64,
    answer: PeerFuture<FetchResponse>,
    /// The answer, when it came before that to an earlier request.
    done: Option<Result<FetchResponse, PeerError>>,
}

pub(super) struct Fetcher {
    shared: Arc<Shared>,
    lane: Lane,
    inbox: Arc<Inbox>,
    partitions: BTreeMap<PartitionId, Followed>,
    /// Those whose next request differs from what the leader knows.
    changed: BTreeSet<PartitionId>,
    /// Those that the leader's session has, and that are not followed any more.
    forgotten: BTreeSet<PartitionId>,
    /// Those that rest, by when they have rested.
    resting: BTreeSet<(Mono, PartitionId)>,
    /// Those that wait to learn where the leader's log begins and ends.
    asking: BTreeSet<PartitionId>,
    /// How many are in the leader's session, or will be with the next request.
    asked: usize,
    session: Session,
    serial: u64,
    underway: VecDeque<Underway>,
    /// There is more to ask for than what was asked.
    urgent: bool,
    /// Failures of the connection in a row, and until when it rests.
    failures: u32,
    rests_until: Option<Mono>,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>, lane: Lane, inbox: Arc<Inbox>) -> Self {
        Self {
            shared,
            lane,
            inbox,
            partitions: BTreeMap::new(),
            changed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            resting: BTreeSet::new(),
            asking: BTreeSet::new(),
            asked: 0,
            session: Session::new(),
            serial: 0,
            underway: VecDeque::new(),
            urgent: false,
            failures: 0,
            rests_until: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.take_changes().await;
            if self.is_over() {
                debug!(lane = ?self.lane, "a fetcher ends");
                return;
            }
            self.wake_rested();
            if self.underway.is_empty() && !self.asking.is_empty() {
                self.ask_ends().await;
            }
            self.send();
            self.wait().await;
        }
    }

    fn now(&self) -> Mono {
        self.shared.start.core.clock().mono()
    }

    fn patience(&self) -> Patience {
        let most = self.shared.start.config.load().get(keys::REPLICA_FETCH_BACKOFF_MS);
        let most_ms = u64::try_from(most).unwrap_or(0);
        Patience { first_ms: FIRST_REST_MS.min(most_ms), most_ms }
    }

    fn is_over(&mut self) -> bool {
        let idle = self.inbox.is_stopped() || self.partitions.is_empty();
        if !idle {
            return false;
        }
        // Before it ends: another one may begin on the lane as soon as it has.
        self.shared.start.peers.close(self.lane);
        self.begin_anew();
        self.shared.end(self.lane, &self.inbox)
    }

    async fn take_changes(&mut self) {
        let mut before = Before::default();
        for change in self.inbox.take() {
            self.urgent = true;
            match change {
                Change::Add(partition, epoch) => {
                    let id = partition.id();
                    let known = self.partitions.remove(&id).and_then(|old| old.asked);
                    let patience = self.patience();
                    let followed = Followed::new(partition, epoch, patience, known, &mut before);
                    self.partitions.insert(id, followed);
                    self.asking.remove(&id);
                    self.changed.insert(id);
                    // Other metadata: perhaps the leader can be reached now.
                    self.rests_until = None;
                }
                Change::Remove(id) => {
                    if let Some(old) = self.partitions.remove(&id)
                        && old.asked.is_some()
                    {
                        self.asked -= 1;
                        self.forgotten.insert(id);
                    }
                    self.asking.remove(&id);
                    self.changed.remove(&id);
                }
            }
        }
        self.settle(before).await;
    }

    /// Those that have rested are asked for again.
    fn wake_rested(&mut self) {
        let now = self.now();
        while let Some((until, id)) = self.resting.first().copied()
            && until <= now
        {
            self.resting.pop_first();
            self.changed.insert(id);
            self.urgent = true;
        }
    }

    /// Sends a request, if there is something to ask for and not too much under way.
    fn send(&mut self) {
        if self.rests_until.is_some_and(|until| until > self.now()) {
            return;
        }
        self.rests_until = None;
        let behind = self.underway.len();
        let may = behind == 0
            || (behind < MOST_UNDERWAY
                && self.urgent
                && self.session.goes_on()
                && self.asking.is_empty());
        let epoch = (self.shared.start.broker_epoch)();
        if !may || epoch < 0 {
            return;
        }
        let config = self.shared.start.config.load_full();
        let draft = self.draft(config.get(keys::REPLICA_FETCH_MAX_BYTES));
        // A session without partitions would end.
        let Some(draft) = draft else { return };
        let me = self.shared.start.me;
        let request = draft.finish(&mut self.session, me, epoch, &config);
        let peers = Arc::clone(&self.shared.start.peers);
        let answer = peers.fetch(self.lane, request);
        let limit = config.get(keys::REPLICA_SOCKET_TIMEOUT_MS);
        let limit = Duration::from_millis(u64::try_from(limit).unwrap_or(0));
        let answer: PeerFuture<FetchResponse> = Box::pin(async move {
            let late = |_| Err(PeerError(format!("no answer within {} ms", limit.as_millis())));
            timeout(limit, answer).await.unwrap_or_else(late)
        });
        let (serial, generation) = (self.serial, self.session.generation);
        self.underway.push_back(Underway { serial, generation, answer, done: None });
    }

    /// What to ask for; `None` if there is nothing.
    fn draft(&mut self, max_bytes: i32) -> Option<Draft> {
        let now = self.now();
        self.urgent = false;
        self.serial += 1;
        if !self.session.goes_on() {
            self.changed.extend(self.partitions.keys().copied());
            self.forgotten.clear();
        }
        let cluster = self.shared.start.core.cluster();
        let mut draft = Draft::default();
        for id in std::mem::take(&mut self.changed) {
            let Some(followed) = self.partitions.get_mut(&id) else { continue };
            let limited = followed.has_to_wait(cluster, now);
            match followed.ask(now).filter(|_| limited.is_none()) {
                Some(ask) => {
                    draft.ask(id, &ask, max_bytes);
                    self.asked += usize::from(followed.asked.is_none());
                    followed.asked = Some((self.serial, ask));
                    self.forgotten.remove(&id);
                }
                None => {
                    if followed.asked.take().is_some() {
                        self.asked -= 1;
                        self.forgotten.insert(id);
                    }
                    let limited = limited.map(|ms| now.plus_ms(ms.min(MOST_LIMITED_MS)));
                    if let Some(until) = followed.follower.rests_until().or(limited) {
                        self.resting.insert((until, id));
                    }
                }
            }
        }
        if self.asked == 0 {
            return None;
        }
        if self.session.goes_on() {
            std::mem::take(&mut self.forgotten).into_iter().for_each(|id| draft.forget(id));
        }
        Some(draft)
    }

    /// Waits for the next answer, or for something to do.
    async fn wait(&mut self) {
        let now = self.now();
        let no_epoch = (self.shared.start.broker_epoch)() < 0;
        let rested = match (self.rests_until, self.resting.first()) {
            // While the connection rests, it matters not who else does.
            (Some(until), _) => Some(until),
            (None, Some((until, _))) => Some(*until),
            (None, None) => None,
        };
        let rest = match rested {
            _ if no_epoch => Some(NO_EPOCH_REST),
            Some(until) => Some(Duration::from_millis(until.since(now).max(1))),
            None => None,
        };
        let Self { underway, inbox, .. } = self;
        tokio::select! {
            (at, answer) = next_answer(underway) => self.answered(at, answer).await,
            () = inbox.changed() => {}
            () = sleep(rest) => {}
        }
    }

    async fn answered(&mut self, request: Underway, answer: Result<FetchResponse, PeerError>) {
        if request.generation != self.session.generation {
            return;
        }
        match answer {
            Ok(response) if response.error_code.is_none() => {
                self.failures = 0;
                let known = self.session.answered(&response);
                self.take(request.serial, response).await;
                if !known {
                    self.begin_anew();
                }
            }
            Ok(response) => match response.error_code {
                // Displaced, or the leader started again: everything is asked anew.
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND
                | ErrorCode::INVALID_FETCH_SESSION_EPOCH
                | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR => {
                    debug!(lane = ?self.lane, error = %response.error_code, "the session ended");
                    let lost_at_once = self.failures > 0;
                    self.failures += 1;
                    self.begin_anew();
                    if response.error_code == ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                        self.session.forget();
                    }
                    if lost_at_once {
                        self.rest();
                    }
                }
                other => self.broken(&PeerError(format!("the leader answers {other}"))),
            },
            Err(error) => self.broken(&error),
        }
    }

    /// Takes in what the leader sent.
    async fn take(&mut self, serial: u64, response: FetchResponse) {
        let mut before = Before::default();
        let now = self.now();
        for topic in response.responses {
            for data in topic.partitions {
                let id = PartitionId::new(topic.topic_id, data.partition_index);
                let Some(followed) = self.partitions.get_mut(&id) else { continue };
                if followed.answered(serial, data, now, &mut before) {
                    self.asking.insert(id);
                }
                if followed.ask(now) != followed.asked.map(|(_, asked)| asked) {
                    self.changed.insert(id);
                }
            }
        }
        self.settle(before).await;
    }

    /// Waits for what must be done before the leader is asked for more.
    async fn settle(&mut self, before: Before) {
        for flush in before.flushes {
            // A failed flush takes the directory out of service, and the partition with it.
            let _ = flush.await;
        }
        if !before.dirs.is_empty() {
            let (done, written) = oneshot::channel();
            self.shared.start.core.disk().spawn(move || {
                before.dirs.iter().for_each(write_recovery_points);
                // The fetcher may have been told to end.
                let _ = done.send(());
            });
            let _ = written.await;
        }
    }

    /// Asks the leader where the logs of some partitions begin and end.
    async fn ask_ends(&mut self) {
        let asking = std::mem::take(&mut self.asking);
        let me = self.shared.start.me;
        let partitions = |timestamp| {
            let some = asking.iter().filter_map(|id| self.partitions.get(id));
            ends(me, timestamp, some.map(|f| (&*f.partition, f.follower.epoch())))
        };
        let peers = &self.shared.start.peers;
        let latest = peers.list_offsets(self.lane, partitions(LATEST));
        let earliest = peers.list_offsets(self.lane, partitions(EARLIEST));
        let limit = self.shared.start.config.load().get(keys::REPLICA_SOCKET_TIMEOUT_MS);
        let limit = Duration::from_millis(u64::try_from(limit).unwrap_or(0));
        let both = async { tokio::join!(latest, earliest) };
        let inbox = Arc::clone(&self.inbox);
        let answer = tokio::select! {
            answer = timeout(limit, both) => answer,
            // Other changes wait as long.
            () = inbox.until_stopped() => return,
        };
        let found = match answer {
            Ok((Ok(latest), Ok(earliest))) => Ok((found(latest), found(earliest))),
            Ok((Err(error), _) | (_, Err(error))) => Err(error),
            Err(_) => Err(PeerError(format!("no answer within {} ms", limit.as_millis()))),
        };
        let (now, mut before) = (self.now(), Before::default());
        for id in asking {
            let Some(followed) = self.partitions.get_mut(&id) else { continue };
            let key = (followed.partition.topic().to_string(), id.partition);
            let known = found
                .as_ref()
                .ok()
                .and_then(|(latest, earliest)| Some((*earliest.get(&key)?, *latest.get(&key)?)));
            match known {
                Some((start, end)) => followed.learned(start, end, now, &mut before),
                None => followed.follower.failed(now),
            }
            self.changed.insert(id);
        }
        self.settle(before).await;
        if let Err(error) = found {
            self.broken(&error);
        }
    }

    /// The connection failed: everything is asked anew, after a rest.
    fn broken(&mut self, error: &PeerError) {
        let leader = self.lane.leader;
        if self.failures == 0 {
            warn!(leader, lane = self.lane.number, %error, "cannot fetch from a leader");
        } else {
            debug!(leader, lane = self.lane.number, %error, "cannot fetch from a leader");
        }
        self.shared.start.peers.close(self.lane);
        self.failures = self.failures.saturating_add(1);
        self.begin_anew();
        self.rest();
    }

    fn rest(&mut self) {
        let rest = self.patience().after(self.failures);
        self.rests_until = Some(self.now().plus_ms(rest));
    }

    fn begin_anew(&mut self) {
        self.session.reset();
        self.underway.clear();
        self.forgotten.clear();
        self.partitions.values_mut().for_each(|followed| followed.asked = None);
        self.asked = 0;
    }
}

fn write_recovery_points(dir: &Arc<LogDir>) {
    if let Err(error) = dir.files().write_recovery_points() {
        warn!(dir = %dir.path().display(), %error, "cannot write recovery points");
        dir.judge(&error);
    }
}

/// The next answer, in the order of the requests. Never, while nothing is under way.
async fn next_answer(
    underway: &mut VecDeque<Underway>,
) -> (Underway, Result<FetchResponse, PeerError>) {
    poll_fn(|cx| {
        // All are polled, since the first poll sends.
        for one in underway.iter_mut().filter(|one| one.done.is_none()) {
            if let Poll::Ready(answer) = one.answer.as_mut().poll(cx) {
                one.done = Some(answer);
            }
        }
        let Some(answer) = underway.front_mut().and_then(|one| one.done.take()) else {
            return Poll::Pending;
        };
        match underway.pop_front() {
            Some(request) => Poll::Ready((request, answer)),
            None => Poll::Pending,
        }
    })
    .await
}

async fn sleep(rest: Option<Duration>) {
    match rest {
        Some(rest) => tokio::time::sleep(rest).await,
        None => std::future::pending().await,
    }
}
