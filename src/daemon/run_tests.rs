//! The main loop, while the test takes the part of all other threads.

use super::super::test_agent::{End, OnStop, Outside, TestKeeper, TestSignals, agent};
use super::*;
use crate::agent::{AgentEventKind, EventFilter, NodeNames, ProgramOutcome, ReloadMode, ResultChange};
use crate::protocol::{CheckName, CheckResult, EventKind, Input, Node};
use crate::runtime::protocol_thread::mailbox::{Message, ThreadRequest};
use crate::types::{LinkFacts, MonoTime};

const SIGTERM: SignalRequest = SignalRequest::End("SIGTERM");

/// Makes the main loop process what was sent before: SIGTERM, which comes last, ends the loop.
async fn run_until_signal(
    (agent, signals, outside): &mut (RunningAgent<TestKeeper>, TestSignals, Outside),
) -> Result<(), RunError> {
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        tokio::join!(run(agent, signals), async {
            // Everything else that is ready is processed first: the loop has as many turns as there
            // are messages.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let _ = outside.signal.send(SIGTERM).await;
        })
        .0
    })
    .await
    .unwrap()
}

fn events(outside: &Outside) -> Vec<AgentEventKind> {
    let records = outside.event_log.last_of(10, &EventFilter::default());
    records.iter().map(|record| record.event.kind.clone()).collect()
}

#[tokio::test]
async fn sigterm_ends_it_and_sighup_asks_for_a_reload() {
    let mut all = agent(OnStop::Stops);
    all.2.signal.send(SignalRequest::Reload).await.unwrap();
    assert!(run_until_signal(&mut all).await.is_ok());
    let request = all.2.reloads.try_recv().unwrap();
    assert_eq!((request.mode, request.by.as_str()), (ReloadMode::Apply, "SIGHUP"));
    assert!(all.2.reloads.try_recv().is_err(), "once");
}

#[tokio::test]
async fn the_end_of_each_thread_and_task_ends_the_agent_with_its_reason() {
    let why = async |end: fn(Outside)| {
        let (mut agent, mut signals, outside) = agent(OnStop::Stops);
        end(outside);
        run(&mut agent, &mut signals).await.unwrap_err().to_string()
    };
    let protocol = |outside: Outside| {
        outside.protocol_ended.send("this is a bug".to_owned()).unwrap();
        std::mem::forget((outside.end_monitor, outside.end_reloader));
    };
    assert_eq!(why(protocol).await, "the vrrp-protocol thread ended: this is a bug");
    let monitor = |outside: Outside| {
        outside.end_monitor.send(Ok(())).unwrap();
        std::mem::forget((outside.protocol_ended, outside.end_reloader));
    };
    let bug = "any more (this is a bug, please report it)";
    assert_eq!(why(monitor).await, format!("the monitor thread ended: nothing receives its events {bug}"));
    let reloader = |outside: Outside| {
        outside.end_reloader.send(End::Returns).unwrap();
        std::mem::forget((outside.protocol_ended, outside.end_monitor));
    };
    assert_eq!(why(reloader).await, format!("the configuration thread ended: nothing sends to it {bug}"));
}

#[tokio::test]
async fn the_end_of_the_address_thread_ends_the_agent() {
    let (agent, mut signals, outside) = agent(OnStop::Stops);
    let (_, nobody_tells) = mpsc::channel(1);
    let mut agent = RunningAgent { inbox: Inbox { notices: nobody_tells, ..agent.inbox }, ..agent };
    let error = run(&mut agent, &mut signals).await.unwrap_err();
    assert_eq!(error.to_string(), "the vrrp-addresses thread ended: see the log lines above");
    drop(outside);
}

#[tokio::test]
async fn a_question_goes_to_the_protocol_thread_and_comes_back_with_what_the_main_thread_knows() {
    let mut all = agent(OnStop::Stops);
    let fe1 = "192.0.2.11".parse().unwrap();
    all.2.names.send_replace(NodeNames::from_iter([(fe1, "fe1")]));
    let (reply, answer) = oneshot::channel();
    all.2.requests.send(Request::Snapshot { reply }).await.unwrap();
    run_until_signal(&mut all).await.unwrap();
    let messages = all.2.messages();
    let Ok([Message::Request(ThreadRequest::Snapshot(reply))]) = <[_; 1]>::try_from(messages) else {
        panic!("one question")
    };
    reply.send(Node::new().snapshot(MonoTime::ZERO)).unwrap();
    let snapshot = answer.await.unwrap();
    assert_eq!(snapshot.node, "n1");
    assert_eq!(snapshot.names.of(fe1), Some("fe1"));
    assert!(snapshot.checks.contains_key(&CheckName("nginx".into())), "its checks are known here");
}

#[tokio::test]
async fn a_result_of_a_check_is_told_to_the_protocol_and_logged_unless_the_check_is_gone() {
    let mut all = agent(OnStop::Stops);
    let report = |check: &str| CheckReport {
        check: CheckName(check.into()),
        result: CheckResult::Failing,
        change: ResultChange::First,
        in_a_row: 1,
        outcome: ProgramOutcome::Passed,
    };
    for check in ["gone", "nginx"] {
        all.2.reports.send(report(check)).await.unwrap();
    }
    run_until_signal(&mut all).await.unwrap();
    let told = all.2.messages();
    let told: Vec<_> =
        told.iter().filter(|message| matches!(message, Message::Input(Input::CheckResult(..)))).collect();
    assert!(
        matches!(&told[..], [Message::Input(Input::CheckResult(name, CheckResult::Failing)), ..] if &*name.0 == "nginx"),
        "{told:?}"
    );
    assert!(matches!(&events(&all.2)[0], AgentEventKind::Check { check, .. } if &*check.0 == "nginx"));
}

#[tokio::test]
async fn an_interface_is_told_to_the_address_thread_and_to_the_protocol_thread_and_counts_as_looked_at() {
    let mut all = agent(OnStop::Stops);
    let eth0: crate::types::InterfaceName = "eth0".parse().unwrap();
    all.2.changes.send(MonitorEvent::Link(eth0, Some(LinkFacts::default()))).await.unwrap();
    all.2.changes.send(MonitorEvent::AddressesChanged).await.unwrap();
    run_until_signal(&mut all).await.unwrap();
    let log = all.2.log.lines();
    assert!(log[0].starts_with("keeper: Link"), "{log:?}");
    assert_eq!(log[1], "keeper: Reconcile");
    assert!(
        all.2
            .messages()
            .iter()
            .any(|m| matches!(m, Message::Input(Input::Link(name, Some(_))) if *name == eth0))
    );
    assert!(all.2.looked_at.borrow().contains(&eth0));
}

#[tokio::test]
async fn an_event_has_the_names_that_were_known_when_it_happened() {
    let (agent, _signals, outside) = agent(OnStop::Stops);
    let fe1 = "192.0.2.11".parse().unwrap();
    let taken_over = || EventKind::HandedOver { to: fe1, after: std::time::Duration::from_millis(18) };
    for names in [&[][..], &[(fe1, "fe1")], &[(fe1, "fe2")]] {
        outside.names.send_replace(names.iter().copied().collect());
        let event = AgentEvent::of_router("web".parse().unwrap(), taken_over().into());
        agent.dispatcher.on_event(event);
    }
    let records = outside.event_log.last_of(10, &EventFilter::default());
    let names: Vec<_> = records.iter().map(|record| record.event.names.of(fe1)).collect();
    assert_eq!(names, [None, Some("fe1"), Some("fe2")]);
}

#[tokio::test]
async fn events_are_logged_in_their_order_and_lost_ones_are_reported_once() {
    let mut all = agent(OnStop::Stops);
    for kind in [EventKind::Promoted, EventKind::SuccessorSilent] {
        let event = AgentEvent::of_router("web".parse().unwrap(), kind.into());
        all.2.events.send(event).await.unwrap();
    }
    all.0.dispatcher.lost.store(3, std::sync::atomic::Ordering::Relaxed);
    run_until_signal(&mut all).await.unwrap();
    assert_eq!(events(&all.2), [EventKind::Promoted, EventKind::SuccessorSilent].map(AgentEventKind::from));
    assert_eq!(all.0.dispatcher.reported.load(std::sync::atomic::Ordering::Relaxed), 3);
}
