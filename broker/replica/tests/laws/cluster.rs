//! Three brokers, the messages between them, and what must hold.

use ottla_machine::Mono;
use ottla_replica::{
    AckWaits, Acks, Cut, EpochCheck, FetchAnswer, FetchAsk, Follower, FollowerFetch, IsrAnswer,
    IsrProposal, Leader, LeaderStart, LocalLog, Membership, Next, Patience, ReplicaError,
    StillWorld,
};
use ottla_wire::ErrorCode;

use crate::control::Control;
use crate::log::{Log, Record};

const BROKERS: i32 = 3;
const LAG_MS: u64 = 1000;
const PATIENCE: Patience = Patience { first_ms: 1, most_ms: 50 };

/// Records in one answer at most.
const AT_ONCE: usize = 3;

#[derive(Clone, Debug)]
pub(crate) enum Message {
    Fetch { from: usize, epoch: i64, ask: FetchAsk, to: usize },
    Answer { to: usize, epoch: i64, ask: FetchAsk, answer: FetchAnswer, records: Vec<Record> },
    Alter { from: usize, proposal: IsrProposal },
    Altered { to: usize, proposal: IsrProposal, answer: IsrAnswer },
}

#[derive(Debug)]
enum Role {
    Idle,
    Leader { leader: Box<Leader>, waits: AckWaits<i64>, proposal: Option<IsrProposal> },
    Follower { leader: usize, follower: Follower },
}

#[derive(Debug)]
pub(crate) struct Node {
    id: usize,
    /// The broker epoch of the process that runs.
    epoch: i64,
    log: Log,
    /// How much of the metadata it has heard.
    heard: usize,
    /// It takes roles only once it has heard of its own registration.
    registered: usize,
    /// It lost records once, which it may have had when it was counted.
    lossy: bool,
    role: Role,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) messages: Vec<Message>,
    pub(crate) acknowledged: usize,
    control: Control,
    min_in_sync: usize,
    now: Mono,
    next_value: u32,
    /// What was ever below a high watermark.
    committed: Vec<Record>,
}

impl Cluster {
    pub(crate) fn new(min_in_sync: usize) -> Self {
        let control = Control::new(BROKERS);
        let node = |id: i32| Node {
            id: usize::try_from(id).unwrap(),
            epoch: control.now().brokers[&id].0,
            log: Log::default(),
            heard: 0,
            registered: 0,
            lossy: false,
            role: Role::Idle,
        };
        let mut cluster = Self {
            nodes: (0..BROKERS).map(node).collect(),
            messages: Vec::new(),
            acknowledged: 0,
            control,
            min_in_sync,
            now: Mono(1),
            next_value: 0,
            committed: Vec::new(),
        };
        (0..cluster.nodes.len()).for_each(|at| cluster.take_role(at));
        cluster
    }

    /// The leader, as the controller sees it.
    pub(crate) fn leader(&self) -> Option<usize> {
        usize::try_from(self.control.now().leader).ok()
    }

    fn world(&self, at: usize) -> StillWorld {
        let brokers = self.control.history[self.nodes[at].heard].active();
        StillWorld { now: self.now, lag_ms: LAG_MS, brokers }
    }

    /// Becomes what the metadata say that it heard.
    fn take_role(&mut self, at: usize) {
        let world = self.world(at);
        let node = &mut self.nodes[at];
        let meta = &self.control.history[node.heard];
        let replicas: Vec<i32> = (0..BROKERS).collect();
        if node.heard < node.registered || meta.leader < 0 {
            node.role = Role::Idle;
            return;
        }
        if meta.leader != node.id as i32 {
            let same = matches!(&node.role, Role::Follower { follower, .. }
                if follower.epoch() == meta.leader_epoch);
            if !same {
                if let Some(cut) = Follower::first_cut(&node.log) {
                    node.log.cut(cut);
                }
                let leader = usize::try_from(meta.leader).unwrap();
                let follower = Follower::new(meta.leader_epoch, PATIENCE);
                node.role = Role::Follower { leader, follower };
            }
            return;
        }
        if let Role::Leader { leader, .. } = &mut node.role
            && leader.epoch() == meta.leader_epoch
        {
            let isr = meta.isr.clone();
            let now = Membership { partition_epoch: meta.partition_epoch, replicas, isr };
            let moved = leader.changed(&now, &world);
            return self.settle(at, moved);
        }
        node.log.begin_epoch(meta.leader_epoch);
        let start = LeaderStart {
            me: meta.leader,
            epoch: meta.leader_epoch,
            partition_epoch: meta.partition_epoch,
            replicas,
            isr: meta.isr.clone(),
            end_offset: node.log.end(),
            high_watermark: node.log.high_watermark,
            min_in_sync: self.min_in_sync,
        };
        let leader = Box::new(Leader::new(start, &world));
        let moved = Some(leader.high_watermark());
        node.role = Role::Leader { leader, waits: AckWaits::default(), proposal: None };
        self.settle(at, moved);
    }

    /// Lets acknowledgements go that a moved high watermark allows.
    fn settle(&mut self, at: usize, moved: Option<i64>) {
        let node = &mut self.nodes[at];
        let (Some(high_watermark), Role::Leader { waits, .. }) = (moved, &mut node.role) else {
            return;
        };
        assert!(high_watermark <= node.log.end());
        node.log.set_high_watermark(high_watermark);
        let reached: Vec<i64> = waits.reached(high_watermark).collect();
        for offset in reached {
            let record = self.nodes[at].log.get(offset);
            let has = |n: &&Node| n.lossy || n.log.get(offset) == record;
            let have = self.nodes.iter().filter(has).count();
            assert!(have >= self.min_in_sync, "acknowledged with {have} replicas");
            self.acknowledged += 1;
        }
    }

    pub(crate) fn produce(&mut self, at: usize, acks: Acks) {
        let world = self.world(at);
        let node = &mut self.nodes[at];
        let Role::Leader { leader, waits, .. } = &mut node.role else { return };
        if leader.check_append(acks).is_err() {
            return;
        }
        self.next_value += 1;
        let offset = node.log.end();
        node.log.append((leader.epoch(), self.next_value));
        let moved = leader.appended(node.log.end(), &world);
        if acks == Acks::All {
            waits.push(offset + 1, offset);
        }
        self.settle(at, moved);
    }

    /// A follower sends a Fetch.
    pub(crate) fn ask(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Role::Follower { leader, follower } = &node.role else { return };
        if let Some(ask) = follower.ask(&node.log, self.now) {
            let fetch = Message::Fetch { from: at, epoch: node.epoch, ask, to: *leader };
            self.messages.push(fetch);
        }
    }

    pub(crate) fn deliver(&mut self, message: Message) {
        match message {
            Message::Fetch { from, epoch, ask, to } => self.serve(from, epoch, ask, to),
            Message::Answer { to, epoch, ask, answer, records } => {
                // What was meant for a former process never arrives.
                if self.nodes[to].epoch == epoch {
                    self.take_answer(to, &ask, &answer, &records);
                }
            }
            Message::Alter { from, proposal } => {
                let answer = self.control.alter(from as i32, &proposal);
                self.messages.push(Message::Altered { to: from, proposal, answer });
            }
            Message::Altered { to, proposal, answer } => {
                let world = self.world(to);
                if let Role::Leader { leader, .. } = &mut self.nodes[to].role {
                    let moved = leader.isr_answered(&proposal, answer, &world);
                    self.settle(to, moved);
                }
            }
        }
    }

    pub(crate) fn deliver_all(&mut self) {
        while !self.messages.is_empty() {
            let message = self.messages.remove(0);
            self.deliver(message);
        }
    }

    fn serve(&mut self, from: usize, epoch: i64, ask: FetchAsk, to: usize) {
        let (answer, records) = match self.read(from, epoch, &ask, to) {
            Ok(found) => found,
            Err(error) => {
                let (high_watermark, start_offset) = (-1, -1);
                let answer = FetchAnswer { error, high_watermark, start_offset, diverging: None };
                (answer, Vec::new())
            }
        };
        self.messages.push(Message::Answer { to: from, epoch, ask, answer, records });
    }

    fn read(
        &mut self,
        from: usize,
        epoch: i64,
        ask: &FetchAsk,
        to: usize,
    ) -> Result<(FetchAnswer, Vec<Record>), ErrorCode> {
        let world = self.world(to);
        let Role::Leader { leader, .. } = &self.nodes[to].role else {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        };
        leader.check_epoch(EpochCheck::Is(ask.leader_epoch)).map_err(ReplicaError::code)?;
        let log = &self.nodes[to].log;
        if ask.offset < log.start {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let mut answer = FetchAnswer {
            error: ErrorCode::NONE,
            high_watermark: log.high_watermark,
            start_offset: log.start,
            diverging: None,
        };
        if ask.last_epoch >= 0 {
            let Some(end) = log.end_of_epoch(ask.last_epoch) else {
                return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
            };
            if end.epoch < ask.last_epoch || end.end < ask.offset {
                answer.diverging = Some(end);
                return Ok((answer, Vec::new()));
            }
        }
        if ask.offset > log.end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let fetch = FollowerFetch {
            replica: from as i32,
            broker_epoch: epoch,
            offset: ask.offset,
            start_offset: ask.start_offset,
        };
        let log_start = log.start;
        let Role::Leader { leader, .. } = &mut self.nodes[to].role else { unreachable!() };
        let moved = leader.fetched(&fetch, &world).map_err(ReplicaError::code)?;
        let wanted = leader.propose_join(from as i32, log_start, &world);
        if let Some(wanted) = wanted {
            self.propose(to, wanted);
        }
        self.settle(to, moved);
        let log = &self.nodes[to].log;
        answer.high_watermark = log.high_watermark;
        let records = (ask.offset..log.end()).take(AT_ONCE).filter_map(|o| log.get(o)).collect();
        Ok((answer, records))
    }

    fn propose(&mut self, at: usize, wanted: IsrProposal) {
        if let Role::Leader { proposal, .. } = &mut self.nodes[at].role {
            *proposal = Some(wanted.clone());
        }
        self.messages.push(Message::Alter { from: at, proposal: wanted });
    }

    /// Nobody answered: the same is proposed again.
    pub(crate) fn propose_again(&mut self, at: usize) {
        if let Role::Leader { leader, proposal: Some(proposal), .. } = &self.nodes[at].role
            && leader.isr_is_pending()
        {
            let again = Message::Alter { from: at, proposal: proposal.clone() };
            self.messages.push(again);
        }
    }

    fn take_answer(&mut self, at: usize, ask: &FetchAsk, answer: &FetchAnswer, got: &[Record]) {
        let now = self.now;
        let Role::Follower { leader, follower } = &mut self.nodes[at].role else { return };
        let leader = *leader;
        let mut follower = follower.clone();
        let log = &self.nodes[at].log;
        let cut = match follower.answered(ask, answer, log, now) {
            Next::Nothing => None,
            Next::Append => {
                let log = &mut self.nodes[at].log;
                got.iter().for_each(|record| log.append(*record));
                log.set_high_watermark(answer.high_watermark);
                log.set_start(answer.start_offset);
                follower.fine();
                None
            }
            Next::Cut(cut) => Some(cut),
            Next::Ask => match &self.nodes[leader].role {
                Role::Leader { leader: theirs, .. } if theirs.epoch() == ask.leader_epoch => {
                    let theirs = &self.nodes[leader].log;
                    follower.learned(theirs.start, theirs.end(), log, now)
                }
                _ => {
                    follower.failed(now);
                    None
                }
            },
        };
        let node = &mut self.nodes[at];
        if let Some(cut) = cut {
            let before = (node.log.end(), node.log.latest_epoch());
            node.log.cut(cut);
            let anew = matches!(cut, Cut::Anew(_));
            assert!(anew || (node.log.end(), node.log.latest_epoch()) < before, "no progress");
        }
        node.role = Role::Follower { leader, follower };
    }

    /// A broker hears of the next record of the metadata.
    pub(crate) fn hear(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.heard + 1 < self.control.history.len() {
            node.heard += 1;
            self.take_role(at);
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// A leader looks for followers that lag.
    pub(crate) fn check(&mut self, at: usize) {
        let world = self.world(at);
        let Role::Leader { leader, .. } = &mut self.nodes[at].role else { return };
        let wanted = leader.propose_leave(&world);
        let moved = leader.reconsider(&world);
        self.settle(at, moved);
        if let Some(wanted) = wanted {
            self.propose(at, wanted);
        }
    }

    /// A process ends, and starts again with what its log holds.
    pub(crate) fn kill(&mut self, at: usize) {
        let epoch = self.control.register(at as i32);
        let node = &mut self.nodes[at];
        node.epoch = epoch;
        node.registered = self.control.history.len() - 1;
        node.role = Role::Idle;
        let log = &mut node.log;
        log.high_watermark = i64::midpoint(log.start, log.high_watermark);
    }

    /// The same, and what was not flushed is gone. The last one in sync is spared: nobody could
    /// give back what it lost.
    pub(crate) fn lose_power(&mut self, at: usize, how: u16) {
        if self.control.now().isr == [at as i32] {
            return;
        }
        self.kill(at);
        self.nodes[at].lossy = true;
        let log = &mut self.nodes[at].log;
        let unflushed = log.end() - log.flushed.max(log.start);
        let kept = log.end() - i64::from(how) % (unflushed + 1);
        log.cut(Cut::To(kept));
    }

    pub(crate) fn flush(&mut self, at: usize) {
        let log = &mut self.nodes[at].log;
        log.flushed = log.end();
    }

    pub(crate) fn fence(&mut self, at: usize) {
        if self.control.now().brokers[&(at as i32)].1 {
            self.control.fence(at as i32);
        }
    }

    pub(crate) fn unfence(&mut self, at: usize) {
        let caught_up = self.nodes[at].heard >= self.nodes[at].registered;
        if caught_up && !self.control.now().brokers[&(at as i32)].1 {
            self.control.unfence(at as i32);
        }
    }

    /// Records are deleted, by a leader that may not be one any more.
    pub(crate) fn delete(&mut self, at: usize, how: u16) {
        let node = &mut self.nodes[at];
        if matches!(node.role, Role::Leader { .. }) {
            let log = &mut node.log;
            let to = log.start + i64::from(how) % (log.high_watermark - log.start + 1);
            log.set_start(to);
        }
    }

    /// What must hold at all times.
    pub(crate) fn verify(&mut self) {
        for node in &self.nodes {
            // What is deleted may differ: a follower need not have had what its leader deleted.
            for offset in node.log.start..node.log.high_watermark {
                let record = node.log.get(offset).expect("below the high watermark");
                let at = usize::try_from(offset).unwrap();
                match self.committed.get(at) {
                    Some(known) => assert_eq!(*known, record, "at {offset} of {}", node.id),
                    None if at == self.committed.len() => self.committed.push(record),
                    None => panic!("{offset} is committed, but nothing before it is known"),
                }
            }
        }
        let meta = self.control.now();
        for id in &meta.isr {
            let log = &self.nodes[usize::try_from(*id).unwrap()].log;
            for (at, record) in self.committed.iter().enumerate().skip(log.start as usize) {
                assert_eq!(log.get(at as i64), Some(*record), "lost at {at} in sync on {id}");
            }
        }
    }

    /// Ends the trouble. Returns after how many rounds all agree and are in sync.
    pub(crate) fn heal(&mut self, rounds: usize) -> Option<usize> {
        for round in 0..=rounds {
            if self.is_whole() {
                return Some(round);
            }
            for at in 0..self.nodes.len() {
                while self.nodes[at].heard + 1 < self.control.history.len() {
                    self.hear(at);
                }
                self.unfence(at);
                self.ask(at);
                self.check(at);
                self.propose_again(at);
            }
            self.deliver_all();
            self.verify();
            self.pass(200);
        }
        None
    }

    fn is_whole(&self) -> bool {
        let meta = self.control.now();
        let Ok(leader) = usize::try_from(meta.leader) else { return false };
        let ours = &self.nodes[leader].log;
        let same = |node: &Node| {
            let log = &node.log;
            log.end() == ours.end()
                && log.high_watermark == ours.end()
                // A deletion that the former leader alone knew of is one that nobody was told of.
                && log.start >= ours.start
                && (log.start..log.end()).all(|o| log.get(o) == ours.get(o))
        };
        meta.isr.len() == self.nodes.len() && self.nodes.iter().all(same)
    }
}
