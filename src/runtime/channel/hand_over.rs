//! Carries out the request of another node to hand over to it.

use crate::agent::CommandReply;
use crate::channel::Afterwards;
use crate::protocol::{Answer, Command, DemoteOutcome, Demotion, Force, InstanceResult, LastResort};
use crate::runtime::clock;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::types::RouterName;
use crate::wire::channel::TakeAnswer;
use crate::words::span;
use std::time::Duration;
use tokio::sync::oneshot;

/// Hands over as for `vrrpctl demote --last-resort`, which never leaves the addresses without a
/// holder, and promotes again unless this node would take over at once.
pub(super) async fn hand_over(
    mail: &Sender,
    router: RouterName,
    by: String,
    afterwards: Afterwards,
) -> TakeAnswer {
    let since = clock::wall().to_string();
    let reason = "another node asked for it (vrrpctl take)".to_owned();
    let demotion = Demotion { since, until: None, last_resort: LastResort::Yes, reason, by };
    let demote = Command::Demote { router: router.clone(), demotion, force: Force::No };
    let Some(Answer::Demoted(results)) = command(mail, demote).await else {
        return TakeAnswer::refusal("vrrpd is stopping there");
    };
    let answer = answer(&results, afterwards);
    let is_undone = matches!(answer, TakeAnswer::Refused { .. }) || afterwards == Afterwards::Backup;
    if is_undone {
        let _ = command(mail, Command::Promote { router }).await;
    }
    answer
}

async fn command(mail: &Sender, command: Command) -> Option<Answer> {
    let (reply_in, reply) = oneshot::channel();
    mail.send(ThreadRequest::Command(command, reply_in)).ok()?;
    let CommandReply { answer, saved: _ } = reply.await.ok()?;
    Some(answer)
}

/// What became of it: the slowest family counts, and one refusal is a refusal.
fn answer(results: &[InstanceResult], afterwards: Afterwards) -> TakeAnswer {
    let mut longest = Duration::ZERO;
    for InstanceResult { outcome, .. } in results {
        match outcome {
            DemoteOutcome::HandedOver { to: _, after } => longest = longest.max(*after),
            DemoteOutcome::WasBackup => {
                return TakeAnswer::refusal("it does not serve this virtual router any more");
            }
            DemoteOutcome::AlreadyDemoted => {}
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
