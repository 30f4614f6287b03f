//! The end of the agent, while the test takes the part of all other threads. Time is virtual:
//! limits pass at once.

use super::super::error::died;
use super::super::signals::SignalRequest;
use super::super::test_agent::{End, OnStop, Outside, TestKeeper, TestSignals, agent};
use super::*;
use crate::agent::{AgentEvent, EventFilter, Request};
use crate::protocol::EventKind;
use crate::runtime::protocol_thread::mailbox::{Message, ThreadRequest};
use tokio::time::Instant;

type All = (RunningAgent<TestKeeper>, TestSignals, Outside);

/// Ends the agent while `meanwhile` takes the part of the other threads. Returns how long the end
/// took, and what was done.
async fn end(
    (agent, mut signals, outside): All,
    outcome: Result<(), RunError>,
    meanwhile: impl AsyncFnOnce(Outside) -> Outside,
) -> (Duration, Vec<String>, Outside) {
    let (began, log) = (Instant::now(), outside.log.clone());
    let replace = async |config: &Config, _: &TestKeeper| {
        log.write(format!("replaced the protocol thread, for {} router", config.routers.len()));
    };
    let ending = stop(agent, &outcome, &mut signals, replace);
    let (took, outside) = tokio::join!(
        async {
            ending.await;
            began.elapsed()
        },
        meanwhile(outside)
    );
    (took, log.lines(), outside)
}

const REST: [&str; 3] = ["configuration: ended", "keeper: Stop(Keep)", "writer: finished"];

/// Waits until the protocol thread is told to end. Returns whether it was told.
async fn until_shutdown(outside: &Outside) {
    while !outside.messages().iter().any(|message| matches!(message, Message::Input(Input::Shutdown))) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn routers_hand_over_before_addresses_are_released_and_the_disk_comes_last() {
    let meanwhile = async |outside: Outside| {
        until_shutdown(&outside).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!outside.log.lines().contains(&"keeper: Stop(Keep)".to_owned()), "the hand-over goes on");
        outside.log.write("handed over");
        let Outside { stopped, .. } = outside;
        stopped.send(()).unwrap();
        Outside { stopped: oneshot::channel().0, ..outside }
    };
    let (took, log, outside) = end(agent(OnStop::Stops), Ok(()), meanwhile).await;
    assert_eq!(
        log.iter().filter(|line| *line != "configuration: ended").collect::<Vec<_>>(),
        ["handed over", "keeper: Stop(Keep)", "writer: finished"]
    );
    assert!(log.contains(&REST[0].to_owned()));
    assert!(outside.requests.is_closed(), "who asks from now on is told so");
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_that_hangs_is_given_up_after_its_limit() {
    let (took, log, _) = end(agent(OnStop::Stops), Ok(()), async |outside| outside).await;
    assert_eq!(log, REST);
    assert!(took >= HANDOVER_LIMIT && took < HANDOVER_LIMIT + Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_sigterm_ends_the_hand_over_and_sighup_does_not() {
    let signalled = async |signals: &[SignalRequest]| {
        let all = agent(OnStop::Stops);
        for signal in signals {
            all.2.signal.send(*signal).await.unwrap();
        }
        end(all, Ok(()), async |outside| outside).await
    };
    let (took, log, _) = signalled(&[SignalRequest::Reload, SignalRequest::End("SIGTERM")]).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!(log, REST, "addresses are released all the same");
    let (took, _, mut outside) = signalled(&[SignalRequest::Reload]).await;
    assert!(took >= HANDOVER_LIMIT, "{took:?}");
    assert!(outside.reloads.try_recv().is_err(), "nothing is reloaded");
}

#[tokio::test(start_paused = true)]
async fn while_it_hands_over_events_are_logged_and_questions_are_passed_on() {
    let meanwhile = async |outside: Outside| {
        until_shutdown(&outside).await;
        let event = AgentEvent::of_router("web".parse().unwrap(), EventKind::Promoted.into());
        outside.events.send(event).await.unwrap();
        let (reply, _asker) = oneshot::channel();
        outside.requests.send(Request::Snapshot { reply }).await.unwrap();
        loop {
            let asked = |m: &Message| matches!(m, Message::Request(ThreadRequest::Snapshot(_)));
            if outside.messages().iter().any(asked) {
                return outside;
            }
            tokio::task::yield_now().await;
        }
    };
    let (_, _, outside) = end(agent(OnStop::Stops), Ok(()), meanwhile).await;
    assert_eq!(outside.event_log.last_of(9, &EventFilter::default()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_thread_that_died_is_replaced_before_addresses_are_released() {
    let (agent, signals, outside) = agent(OnStop::Stops);
    let Outside { mailbox, .. } = outside;
    drop(mailbox);
    let (_, mailbox) = crate::runtime::protocol_thread::mailbox::Mailbox::open().unwrap();
    let outside = Outside { mailbox, ..outside };
    let died = Err(died(PROTOCOL, "this is a bug".to_owned()));
    let (took, log, _) = end((agent, signals, outside), died, async |outside| outside).await;
    assert!(took < Duration::from_millis(100), "nobody can be waited for: {took:?}");
    assert_eq!(log, [REST[0], "replaced the protocol thread, for 1 router", REST[1], REST[2]]);
}

#[tokio::test(start_paused = true)]
async fn without_the_task_of_the_configuration_addresses_are_released_all_the_same() {
    let (mut agent, signals, outside) = agent(OnStop::Stops);
    let Outside { end_reloader, .. } = outside;
    end_reloader.send(End::Panics).unwrap();
    let ended = (&mut agent.tasks.reloader).await;
    assert!(ended.unwrap_err().is_panic());
    let outside = Outside { end_reloader: oneshot::channel().0, ..outside };
    let died = Err(died(RELOADER, "it panicked".to_owned()));
    let (_, log, _) = end((agent, signals, outside), died, async |outside| outside).await;
    assert_eq!(log, REST[1..]);
}

#[tokio::test(start_paused = true)]
async fn an_address_thread_that_does_not_answer_is_given_up_and_the_disk_still_gets_its_demotions() {
    for (on_stop, least) in
        [(OnStop::Hangs, KEEPER_LIMIT), (OnStop::IsFull, KEEPER_LIMIT), (OnStop::HasEnded, Duration::ZERO)]
    {
        let (took, log, _) = end(agent(on_stop), Ok(()), async |outside| outside).await;
        let took = took - HANDOVER_LIMIT;
        assert!(took >= least && took < least + Duration::from_secs(1), "{on_stop:?}: {took:?}");
        assert_eq!(log.last().map(String::as_str), Some("writer: finished"), "{on_stop:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_come_with_the_end_are_logged() {
    let (agent, signals, outside) = agent(OnStop::Stops);
    outside.signal.send(SignalRequest::End("SIGTERM")).await.unwrap();
    for _ in 0..5 {
        let event = AgentEvent::of_router("web".parse().unwrap(), EventKind::Promoted.into());
        outside.events.send(event).await.unwrap();
    }
    let (_, _, outside) = end((agent, signals, outside), Ok(()), async |outside| outside).await;
    assert_eq!(outside.event_log.last_of(9, &EventFilter::default()).len(), 5);
}

#[test]
fn the_service_manager_is_told_the_sum_of_all_limits() {
    let parts = [HANDOVER_LIMIT, KILL_LIMIT, KEEPER_LIMIT, HOOKS_LIMIT, hooks::KILLING, WRITER_LIMIT];
    assert_eq!(limit(), parts.into_iter().sum::<Duration>() + printer::PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_not_the_end_of_the_address_thread() {
    let tries = std::cell::Cell::new(0);
    let full_twice = |command| {
        tries.set(tries.get() + 1);
        if tries.get() > 2 { Ok(()) } else { Err(CommandRefused::Full(command)) }
    };
    assert_eq!(tell_to_stop(DrainsAtStop::End, full_twice).await, Ok(()));
    assert_eq!(tries.get(), 3);
    assert_eq!(
        tell_to_stop(DrainsAtStop::End, |command| Err(CommandRefused::Ended(command))).await,
        Err(KeeperEnded)
    );
}
