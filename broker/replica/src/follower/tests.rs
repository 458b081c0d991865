use super::*;

/// A log of epochs alone.
struct Epochs {
    start: i64,
    end: i64,
    high_watermark: i64,
    epochs: Vec<(i32, i64)>,
}

impl LocalLog for Epochs {
    fn start_offset(&self) -> i64 {
        self.start
    }

    fn end_offset(&self) -> i64 {
        self.end
    }

    fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|(epoch, _)| *epoch)
    }

    fn end_of_epoch(&self, epoch: i32) -> Option<EpochEnd> {
        let latest = self.latest_epoch()?;
        if epoch == latest {
            return Some(EpochEnd { epoch, end: self.end });
        }
        let higher = self.epochs.iter().position(|(e, _)| *e > epoch)?;
        let floor = higher.checked_sub(1).map_or(epoch, |at| self.epochs[at].0);
        Some(EpochEnd { epoch: floor, end: self.epochs[higher].1 })
    }
}

const PATIENCE: Patience = Patience { first_ms: 10, most_ms: 1000 };

fn log(end: i64, epochs: &[(i32, i64)]) -> Epochs {
    Epochs { start: 0, end, high_watermark: 3, epochs: epochs.to_vec() }
}

fn answer(error: ErrorCode, diverging: Option<(i32, i64)>) -> FetchAnswer {
    let diverging = diverging.map(|(epoch, end)| EpochEnd { epoch, end });
    FetchAnswer { error, high_watermark: 5, start_offset: 0, diverging }
}

/// Asks, and says what follows from an answer.
fn next(
    follower: &mut Follower,
    log: &Epochs,
    error: ErrorCode,
    diverging: Option<(i32, i64)>,
) -> Next {
    let asked = follower.ask(log, Mono(0)).unwrap();
    follower.answered(&asked, &answer(error, diverging), log, Mono(0))
}

#[test]
fn it_asks_from_the_end_of_its_log_with_the_epoch_of_its_last_record() {
    let follower = Follower::new(9, PATIENCE);
    let asked = follower.ask(&log(7, &[(2, 0), (4, 5)]), Mono(0)).unwrap();
    assert_eq!(asked, FetchAsk { leader_epoch: 9, offset: 7, last_epoch: 4, start_offset: 0 });
    let empty = follower.ask(&log(0, &[]), Mono(0)).unwrap();
    assert_eq!((empty.offset, empty.last_epoch), (0, -1));
    assert_eq!(Follower::first_cut(&log(7, &[(2, 0)])), None);
    assert_eq!(Follower::first_cut(&log(7, &[])), Some(Cut::To(3)));
    assert_eq!(Follower::first_cut(&log(3, &[])), None);
}

#[test]
fn it_cuts_where_the_leader_says_that_the_logs_part_ways() {
    let mut follower = Follower::new(9, PATIENCE);
    let ours = log(10, &[(2, 0), (4, 6)]);
    let mut cut = |theirs| next(&mut follower, &ours, ErrorCode::NONE, Some(theirs));
    // The leader ended our last epoch earlier.
    assert_eq!(cut((4, 8)), Next::Cut(Cut::To(8)));
    // It does not know our last epoch, and has less of the one before, or more.
    assert_eq!(cut((2, 5)), Next::Cut(Cut::To(5)));
    assert_eq!(cut((2, 9)), Next::Cut(Cut::To(6)));
    // It names one that we do not know.
    assert_eq!(cut((3, 9)), Next::Cut(Cut::To(6)));
    assert_eq!(cut((1, 3)), Next::Cut(Cut::To(0)));
}

#[test]
fn what_was_asked_before_the_log_changed_is_ignored() {
    let mut follower = Follower::new(9, PATIENCE);
    let (before, after) = (log(10, &[(2, 0)]), log(12, &[(2, 0)]));
    let asked = follower.ask(&before, Mono(0)).unwrap();
    let fine = answer(ErrorCode::NONE, None);
    assert_eq!(follower.answered(&asked, &fine, &after, Mono(0)), Next::Nothing);
    assert_eq!(follower.answered(&asked, &fine, &before, Mono(0)), Next::Append);
    let other = FetchAsk { leader_epoch: 8, ..asked };
    assert_eq!(follower.answered(&other, &fine, &before, Mono(0)), Next::Nothing);
    // The last record is another one, although the end is the same.
    let recut = log(10, &[(2, 0), (3, 9)]);
    assert_eq!(follower.answered(&asked, &fine, &recut, Mono(0)), Next::Nothing);
}

#[test]
fn out_of_range_it_learns_the_leaders_ends_and_goes_there() {
    let ours = log(10, &[(2, 0)]);
    let learn = |start, end| {
        let mut follower = Follower::new(9, PATIENCE);
        assert_eq!(next(&mut follower, &ours, ErrorCode::OFFSET_OUT_OF_RANGE, None), Next::Ask);
        assert_eq!(follower.ask(&ours, Mono(99)), None, "it waits for what it asked");
        let cut = follower.learned(start, end, &ours, Mono(0));
        (cut, follower.rests_until())
    };
    assert_eq!(learn(20, 30), (Some(Cut::Anew(20)), None));
    assert_eq!(learn(0, 4), (Some(Cut::To(4)), None));
    assert_eq!(learn(5, 30), (None, Some(Mono(10))));
}

#[test]
fn it_rests_longer_after_each_failure_and_ends_with_its_epoch() {
    let mut follower = Follower::new(9, PATIENCE);
    let ours = log(10, &[(2, 0)]);
    let code = ErrorCode::UNKNOWN_LEADER_EPOCH;
    assert_eq!(next(&mut follower, &ours, code, None), Next::Nothing);
    assert_eq!(follower.rests_until(), Some(Mono(10)));
    assert_eq!(follower.ask(&ours, Mono(9)), None);
    assert!(follower.ask(&ours, Mono(10)).is_some());
    follower.failed(Mono(10));
    assert_eq!(follower.rests_until(), Some(Mono(30)));
    (0..80).for_each(|_| follower.failed(Mono(0)));
    assert_eq!(follower.rests_until(), Some(Mono(1000)));
    follower.fine();
    follower.failed(Mono(0));
    assert_eq!(follower.rests_until(), Some(Mono(10)));
    follower.fine();
    assert_eq!(next(&mut follower, &ours, ErrorCode::FENCED_LEADER_EPOCH, None), Next::Nothing);
    assert!(follower.is_over());
    follower.fine();
    follower.failed(Mono(0));
    assert_eq!(follower.ask(&ours, Mono(99_999)), None);
}
