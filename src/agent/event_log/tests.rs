use super::*;
use crate::protocol::EventKind;

fn event(router: &str) -> AgentEvent {
    AgentEvent::of_router(router.parse().unwrap(), EventKind::Promoted.into())
}

fn all() -> EventFilter {
    EventFilter::default()
}

fn log_of(capacity: usize) -> Arc<EventLog> {
    Arc::new(EventLog::with_capacity(NonZeroUsize::new(capacity).unwrap()))
}

fn fill(log: &EventLog, count: usize) {
    for _ in 0..count {
        log.push(Timestamp::UNIX_EPOCH, event("a"));
    }
}

fn seqs(records: &[Arc<EventRecord>]) -> Vec<u64> {
    records.iter().map(|r| r.seq).collect()
}

/// Polls `next` once; `None` if it would wait.
fn poll_next(follower: &mut Follower) -> Option<Batch> {
    let mut future = std::pin::pin!(follower.next());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(batch) => Some(batch),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn keeps_the_newest_and_drops_the_oldest() {
    let log = log_of(3);
    assert!(log.last_of(10, &all()).is_empty());
    fill(&log, 5);
    assert_eq!(seqs(&log.last_of(10, &all())), [3, 4, 5]);
    assert_eq!(seqs(&log.last_of(2, &all())), [4, 5]);
    assert!(log.last_of(0, &all()).is_empty());
}

#[test]
fn finds_the_last_events_of_one_router() {
    let log = log_of(10);
    for router in ["a", "b", "a", "b", "a"] {
        log.push(Timestamp::UNIX_EPOCH, event(router));
    }
    let of_a = log.last_of(2, &EventFilter { routers: ["a".parse().unwrap()].into(), ..all() });
    assert_eq!(seqs(&of_a), [3, 5]);
}

#[test]
fn a_follower_continues_where_the_past_ended() {
    let log = log_of(10);
    fill(&log, 3);
    let (past, mut follower) = log.follow(2, all());
    assert_eq!(seqs(&past), [2, 3]);
    assert_eq!(poll_next(&mut follower), None, "nothing new");
    fill(&log, 2);
    let batch = poll_next(&mut follower).unwrap();
    assert_eq!((batch.lost, seqs(&batch.records)), (0, vec![4, 5]));
    assert_eq!(poll_next(&mut follower), None);
}

#[test]
fn a_follower_that_lags_learns_how_many_it_lost() {
    let log = log_of(4);
    let (_, mut follower) = log.follow(0, all());
    fill(&log, 10);
    let batch = poll_next(&mut follower).unwrap();
    assert_eq!((batch.lost, seqs(&batch.records)), (6, vec![7, 8, 9, 10]));
}

#[test]
fn a_batch_is_bounded_and_nothing_between_batches_is_lost() {
    let log = log_of(1000);
    let (_, mut follower) = log.follow(0, all());
    fill(&log, Follower::BATCH * 2 + 1);
    let mut seen = Vec::new();
    while let Some(batch) = poll_next(&mut follower) {
        assert_eq!(batch.lost, 0);
        assert!(batch.records.len() <= Follower::BATCH);
        seen.extend(seqs(&batch.records));
    }
    let all: Vec<u64> = (1..=Follower::BATCH as u64 * 2 + 1).collect();
    assert_eq!(seen, all);
}

#[test]
fn a_follower_sees_what_it_asked_for_and_nothing_else() {
    let log = log_of(10);
    let wanted = EventFilter { least: Some(Severity::Error), ..all() };
    let (_, mut follower) = log.follow(10, wanted);
    fill(&log, 2);
    assert_eq!(poll_next(&mut follower), None, "nothing of this severity");
    let kind = EventKind::NobodyTookOver { after: std::time::Duration::ZERO, released: true }.into();
    log.push(Timestamp::UNIX_EPOCH, AgentEvent { kind, ..event("a") });
    let batch = poll_next(&mut follower).unwrap();
    assert_eq!((batch.lost, seqs(&batch.records)), (0, vec![3]));
}

#[test]
fn events_are_found_by_severity_and_time() {
    let log = log_of(10);
    let at = |second| Timestamp::from_second(second).unwrap();
    for second in 1..=4 {
        log.push(at(second), event("a"));
    }
    assert_eq!(seqs(&log.last_of(10, &EventFilter { since: Some(at(3)), ..all() })), [3, 4]);
    assert!(log.last_of(10, &EventFilter { least: Some(Severity::Warning), ..all() }).is_empty());
}

#[tokio::test]
async fn a_waiting_follower_is_woken() {
    let log = log_of(4);
    let (_, mut follower) = log.follow(0, all());
    let waiting = tokio::spawn(async move { follower.next().await });
    tokio::task::yield_now().await;
    fill(&log, 1);
    assert_eq!(seqs(&waiting.await.unwrap().records), [1]);
}
