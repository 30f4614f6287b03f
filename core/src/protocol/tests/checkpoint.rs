//! The serialized form of a node. That a node goes on from it is shown by the simulation.

use super::*;

/// A checkpoint may be read by another version of this program. So its form is a file that one
/// compares: if it differs and the difference is meant, [`Checkpoint::LAYOUT`] grows, which begins
/// another file.
#[test]
fn the_layout_has_changed_only_if_its_number_has() {
    let mut rig = Rig::active(RouterSpec {
        instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)],
        tracks: vec![Track::weighted(Watched::Check(CheckName("nginx".into())), -60)],
        ..spec()
    });
    rig.feed(Input::CheckResult(CheckName("nginx".into()), CheckResult::Failing));
    let form = ron::ser::to_string_pretty(&Checkpoint::of(&rig.node), ron::ser::PrettyConfig::default());
    insta::assert_snapshot!(format!("layout_{}", Checkpoint::LAYOUT), form.unwrap());
}
