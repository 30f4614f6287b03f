//! A node that is written to text and read again goes on as if nothing had happened.

use vrrpd_core::protocol::{Checkpoint, Node};
use vrrpd_core::sim::lone_node::run_replacing;

const SEEDS: u64 = 12;

fn through_text(node: &Node) -> Node {
    let text = ron::to_string(&Checkpoint::of(node)).unwrap();
    ron::from_str::<Checkpoint>(&text).unwrap().restore().unwrap()
}

/// The reference predicts each effect and each deadline of a node that was replaced before every
/// seventh input, in every state that the inputs of [`run_replacing`] cause.
#[test]
fn a_node_that_was_read_again_does_what_the_reference_predicts() {
    let mut replaced = 0;
    for seed in 0..SEEDS {
        let mut inputs = 0_u32;
        let outcome = run_replacing(seed, &mut |node| {
            inputs += 1;
            let now = inputs.is_multiple_of(7);
            replaced += u32::from(now);
            now.then(|| through_text(node))
        });
        if let Err(failure) = outcome {
            panic!("seed {seed}: {:?}\n{}", failure.difference, failure.trace);
        }
    }
    assert!(replaced > 40 * 12, "too few to prove anything: {replaced}");
}

#[test]
fn another_layout_is_refused() {
    let text = ron::to_string(&Checkpoint::of(&Node::new())).unwrap();
    let other = text.replace("layout:1,", "layout:2,");
    assert_ne!(text, other);
    let error = ron::from_str::<Checkpoint>(&other).unwrap().restore().unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint has layout 2, and this program reads layout 1 only");
}
