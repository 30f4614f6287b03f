//! Carries out the request of another node to hand over to it.

use crate::agent::CommandReply;
use crate::channel::Afterwards;
use crate::protocol::{Answer, Command, DemoteOutcome, Demotion, Force, InstanceResult, LastResort};
use crate::runtime::clock;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::types::RouterName;
use crate::wire::channel::TakeAnswer;
use crate::words::{Stamp, span};
use std::time::Duration;
use tokio::sync::oneshot;

/// Hands over as for `vrrpctl demote --last-resort`, which never leaves the addresses without a
/// holder, and promotes again unless this node would take over at once. A router that an operator
/// has demoted already, and that serves as the last resort, stays demoted as it is.
pub(super) async fn hand_over(
    mail: &Sender,
    router: RouterName,
    by: String,
    afterwards: Afterwards,
) -> TakeAnswer {
    let before = demotion_of(mail, &router).await;
    let is_demoted = before.is_some();
    let demotion = before.unwrap_or_else(|| Demotion {
        since: Stamp(clock::wall()).to_string(),
        until: None,
        last_resort: LastResort::Yes,
        reason: "another node asked for it (vrrpctl take)".to_owned(),
        by,
    });
    let afterwards = if is_demoted { Afterwards::LastResort } else { afterwards };
    let demote = Command::Demote { router: router.clone(), demotion, force: Force::No, drain: None };
    let Some(Answer::Demoted(results)) = command(mail, demote).await else {
        return TakeAnswer::refusal("vrrpd is stopping there");
    };
    let answer = answer(&results, afterwards);
    let is_undone = matches!(answer, TakeAnswer::Refused { .. }) || afterwards == Afterwards::Backup;
    if is_undone && !is_demoted {
        let _ = command(mail, Command::Promote { router }).await;
    }
    answer
}

/// The demotion of the router, if it is demoted.
async fn demotion_of(mail: &Sender, router: &RouterName) -> Option<Demotion> {
    let (reply, snapshot) = oneshot::channel();
    mail.send(ThreadRequest::Snapshot(reply)).ok()?;
    let routers = snapshot.await.ok()?.routers;
    routers.into_iter().find(|one| one.spec.name == *router)?.demoted
}

async fn command(mail: &Sender, command: Command) -> Option<Answer> {
    let (reply_in, reply) = oneshot::channel();
    mail.send(ThreadRequest::Command(command, reply_in)).ok()?;
    let CommandReply { answer, saved: _ } = reply.await.ok()?;
    Some(answer)
}

/// What became of it: the slowest family counts, and one refusal is a refusal. A family that another
/// node served already has not been in the way.
fn answer(results: &[InstanceResult], afterwards: Afterwards) -> TakeAnswer {
    let mut longest = Duration::ZERO;
    let was_idle = |outcome| matches!(outcome, DemoteOutcome::WasBackup | DemoteOutcome::AlreadyDemoted);
    if results.iter().all(|result| was_idle(result.outcome)) {
        return TakeAnswer::refusal("it does not serve this virtual router any more");
    }
    for InstanceResult { outcome, .. } in results {
        match outcome {
            DemoteOutcome::HandedOver { to: _, after, kept: _ } => longest = longest.max(*after),
            DemoteOutcome::WasBackup | DemoteOutcome::AlreadyDemoted => {}
            DemoteOutcome::Refused { after }
            | DemoteOutcome::LastResort { after }
            | DemoteOutcome::Forced { after } => {
                let why = format!("no node took over within {}, so that it goes on serving", span(*after));
                return TakeAnswer::refusal(&why);
            }
        }
    }
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    let demoted = match afterwards {
        Afterwards::LastResort => true,
        Afterwards::Backup => false,
    };
    TakeAnswer::HandedOver { micros, demoted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Input, Node};
    use crate::runtime::protocol_thread::mailbox::{Mailbox, Message};
    use crate::types::{Family, MonoTime};

    fn web() -> RouterName {
        "web".parse().unwrap()
    }

    fn demotion(by: &str) -> Demotion {
        let (since, reason) = ("2026-11-29T03:00:00Z".to_owned(), "kernel update".to_owned());
        Demotion { since, until: None, last_resort: LastResort::Yes, reason, by: by.to_owned() }
    }

    /// Hands over, with a protocol thread that is demoted like this and hands over like this. Returns
    /// the answer and the commands.
    async fn handed_over(
        before: Option<Demotion>,
        outcome: DemoteOutcome,
        afterwards: Afterwards,
    ) -> (TakeAnswer, Vec<Command>) {
        let text = "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                    addresses = [\"192.0.2.50/24\"]\n";
        let (mut node, mut out) = (Node::new(), Vec::new());
        let config = crate::config::resolve(text, "test.toml").unwrap().config;
        if let Some(before) = before {
            node.handle(MonoTime::ZERO, Input::SavedDemotion(web(), before), &mut out);
        }
        node.handle(MonoTime::ZERO, Input::Configure(config.routers), &mut out);
        let (mail, mailbox) = Mailbox::open().unwrap();
        let task =
            tokio::spawn(async move { hand_over(&mail, web(), "bob on fe1".to_owned(), afterwards).await });
        let mut commands = Vec::new();
        while !task.is_finished() {
            match mailbox.next() {
                Some(Message::Request(ThreadRequest::Snapshot(reply))) => {
                    reply.send(node.snapshot(MonoTime::ZERO)).unwrap();
                }
                Some(Message::Request(ThreadRequest::Command(command, reply))) => {
                    let result = InstanceResult { name: web(), family: Family::Ipv4, outcome };
                    let answer = match &command {
                        Command::Demote { .. } => Answer::Demoted(vec![result]),
                        Command::Promote { .. } => Answer::Promoted { was_demoted: true },
                    };
                    commands.push(command);
                    reply.send(CommandReply { answer, saved: Ok(()) }).unwrap();
                }
                Some(other @ (Message::Input(_) | Message::Request(_))) => panic!("{other:?}"),
                None => tokio::task::yield_now().await,
            }
        }
        (task.await.unwrap(), commands)
    }

    fn done() -> DemoteOutcome {
        DemoteOutcome::HandedOver {
            to: "192.0.2.11".parse().unwrap(),
            after: Duration::from_millis(12),
            kept: None,
        }
    }

    #[test]
    fn a_family_that_another_node_served_already_is_no_refusal() {
        let result = |family, outcome| InstanceResult { name: web(), family, outcome };
        let was = |family| result(family, DemoteOutcome::WasBackup);
        let split = [result(Family::Ipv4, done()), was(Family::Ipv6)];
        let handed_over = TakeAnswer::HandedOver { micros: 12_000, demoted: false };
        assert_eq!(answer(&split, Afterwards::Backup), handed_over);
        for idle in [DemoteOutcome::WasBackup, DemoteOutcome::AlreadyDemoted] {
            let neither = answer(&[was(Family::Ipv4), result(Family::Ipv6, idle)], Afterwards::Backup);
            assert!(matches!(neither, TakeAnswer::Refused { .. }), "{neither:?}");
        }
    }

    fn demoted_by(command: &Command) -> (&str, &str) {
        match command {
            Command::Demote { demotion, force: Force::No, .. } => (&demotion.by, &demotion.reason),
            Command::Demote { .. } | Command::Promote { .. } => panic!("{command:?}"),
        }
    }

    #[tokio::test]
    async fn a_router_that_would_take_over_again_stays_demoted_and_another_does_not() {
        let (answer, commands) = handed_over(None, done(), Afterwards::LastResort).await;
        assert_eq!(answer, TakeAnswer::HandedOver { micros: 12_000, demoted: true });
        assert_eq!(demoted_by(&commands[0]).0, "bob on fe1");
        assert_eq!(commands.len(), 1);
        let (answer, commands) = handed_over(None, done(), Afterwards::Backup).await;
        assert_eq!(answer, TakeAnswer::HandedOver { micros: 12_000, demoted: false });
        assert_eq!(commands[1..], [Command::Promote { router: web() }]);
    }

    #[tokio::test]
    async fn the_demotion_of_an_operator_outlives_the_request_of_a_node() {
        for afterwards in [Afterwards::LastResort, Afterwards::Backup] {
            let (answer, commands) = handed_over(Some(demotion("alice")), done(), afterwards).await;
            assert_eq!(answer, TakeAnswer::HandedOver { micros: 12_000, demoted: true });
            assert_eq!((demoted_by(&commands[0]), commands.len()), (("alice", "kernel update"), 1));
        }
    }

    #[tokio::test]
    async fn without_a_successor_nothing_is_left_of_the_request() {
        let after = Duration::from_millis(3_000);
        for outcome in [DemoteOutcome::LastResort { after }, DemoteOutcome::Refused { after }] {
            let (answer, commands) = handed_over(None, outcome, Afterwards::LastResort).await;
            let why = "no node took over within 3 s, so that it goes on serving".to_owned();
            assert_eq!(answer, TakeAnswer::Refused { why });
            assert_eq!(commands[1..], [Command::Promote { router: web() }]);
        }
        let (answer, _) = handed_over(None, DemoteOutcome::WasBackup, Afterwards::Backup).await;
        assert!(matches!(answer, TakeAnswer::Refused { .. }), "{answer:?}");
    }
}
