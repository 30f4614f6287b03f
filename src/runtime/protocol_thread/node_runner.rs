//! The core as the protocol thread runs it: every input enters it here.

use crate::protocol::{Effect, Effects, Input, Node};
use crate::types::MonoTime;

/// The core, and the effects of what it was fed that were not carried out yet.
#[derive(Debug, Default)]
pub(super) struct NodeRunner {
    node: Node,
    effects: Effects,
}

impl NodeRunner {
    /// The one way for an input to enter the core.
    pub(super) fn feed(&mut self, now: MonoTime, input: Input<'_>) {
        self.node.handle(now, input, &mut self.effects);
    }

    /// The core, to be read.
    pub(super) const fn node(&self) -> &Node {
        &self.node
    }

    /// The effects that wait, to be carried out in their order. Their room is given back with
    /// [`Self::reuse`].
    pub(super) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Takes the room of effects that were carried out, so that a steady state allocates nothing.
    /// What was fed while they were carried out has had effects too: these wait for the next turn.
    pub(super) fn reuse(&mut self, mut room: Vec<Effect>) {
        room.clear();
        room.append(&mut self.effects);
        self.effects = room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_that_come_while_others_are_carried_out_wait_and_the_room_is_used_again() {
        let mut runner = NodeRunner::default();
        runner.feed(MonoTime::ZERO, Input::Shutdown);
        let effects = runner.take_effects();
        let room = effects.as_ptr();
        assert_eq!(effects, [Effect::Stopped]);
        runner.effects.push(Effect::Stopped);
        runner.reuse(effects);
        assert_eq!(runner.effects, [Effect::Stopped], "only what came meanwhile is left");
        assert_eq!(runner.effects.as_ptr(), room);
    }
}
