//! Commands of operators that the core has not answered yet.

use crate::agent::CommandReply;
use crate::protocol::{Answer, Command, CommandId, Input};
use crate::runtime::state::WriterMessage;
use crate::types::RouterName;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Whom to answer. Bounded by the connections of the control socket, each of which waits for its
/// answer.
#[derive(Debug, Default)]
pub(super) struct PendingCommands {
    waiting: BTreeMap<CommandId, (RouterName, oneshot::Sender<CommandReply>)>,
    last_id: u64,
}

impl PendingCommands {
    /// Gives a command its number: the input for the core.
    pub(super) fn begin(&mut self, command: Command, reply: oneshot::Sender<CommandReply>) -> Input<'static> {
        self.last_id += 1;
        let id = CommandId(self.last_id);
        let (Command::Demote { router, .. } | Command::Promote { router }) = &command;
        self.waiting.insert(id, (router.clone(), reply));
        Input::Command(id, command)
    }

    /// The answer of the core, on its way to whoever asked: it goes out when what it changed is on
    /// the disk.
    pub(super) fn finish(&mut self, id: CommandId, answer: Answer) -> Option<WriterMessage> {
        let (router, reply) = self.waiting.remove(&id)?;
        Some(WriterMessage::Answer { router, answer, reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promote(router: &str) -> Command {
        Command::Promote { router: router.parse().unwrap() }
    }

    #[test]
    fn each_answer_finds_the_one_who_asked_and_no_other() {
        let mut commands = PendingCommands::default();
        let (first_in, mut first) = oneshot::channel();
        let (second_in, mut second) = oneshot::channel();
        let mut ids = Vec::new();
        for (router, reply) in [("a", first_in), ("b", second_in)] {
            let Input::Command(id, command) = commands.begin(promote(router), reply) else {
                panic!("no command")
            };
            assert_eq!(command, promote(router));
            ids.push(id);
        }
        let answer = Answer::Promoted { was_demoted: true };
        let message = commands.finish(ids[1], answer.clone());
        let Some(WriterMessage::Answer { router, answer: told, reply }) = message else {
            panic!("{message:?}")
        };
        assert_eq!((router.as_str(), &told), ("b", &answer));
        reply.send(CommandReply { answer: told, saved: Ok(()) }).unwrap();
        assert_eq!(second.try_recv().unwrap().answer, answer);
        assert!(first.try_recv().is_err());
        assert!(commands.finish(ids[1], answer).is_none(), "an answer is given once");
    }
}
