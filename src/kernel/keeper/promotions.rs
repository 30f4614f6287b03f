//! Sets `promote_secondaries` on the interfaces on which we add IPv4 addresses, and restores it
//! afterwards.

use super::message::Promoter;
use crate::kernel::sysctl::{Promotion, Setting};
use crate::types::InterfaceName;
use std::collections::BTreeMap;

/// The result of setting `promote_secondaries`, for each interface as long as a router of ours is
/// on it.
#[derive(Debug, Default)]
pub(super) struct Promotions(BTreeMap<InterfaceName, PromotedInterface>);

#[derive(Debug)]
struct PromotedInterface {
    index: u32,
    /// `None` if the value cannot be set.
    setting: Option<Setting>,
}

impl Promotions {
    /// Sets the value on `wanted`, the interfaces that have IPv4 routers now, and restores it on
    /// others. Returns the interfaces on which it cannot be set, each once, and why.
    pub(super) fn update(
        &mut self,
        wanted: &BTreeMap<InterfaceName, u32>,
        promoter: &mut Promoter,
    ) -> Vec<(InterfaceName, String)> {
        self.0.retain(|name, promoted| {
            let stays = wanted.get(name) == Some(&promoted.index);
            // An interface that was created again has a new setting, which must not be restored.
            if !stays && promoted.setting == Some(Setting::Changed) && !wanted.contains_key(name) {
                let _best_effort = promoter(*name, Promotion::Off);
            }
            stays
        });
        let mut troubles = Vec::new();
        for (name, index) in wanted {
            if self.0.contains_key(name) {
                continue;
            }
            let setting = match promoter(*name, Promotion::On) {
                Ok(setting) => Some(setting),
                Err(error) => {
                    troubles.push((*name, error.to_string()));
                    None
                }
            };
            self.0.insert(*name, PromotedInterface { index: *index, setting });
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    type Calls = Arc<Mutex<Vec<String>>>;

    fn promoter(answer: fn() -> io::Result<Setting>) -> (Promoter, Calls) {
        let calls = Calls::default();
        let record = Arc::clone(&calls);
        let promoter = move |name: InterfaceName, promotion| {
            record.lock().unwrap().push(format!("{name} {promotion:?}"));
            answer()
        };
        (Box::new(promoter), calls)
    }

    fn on(list: &[(&str, u32)]) -> BTreeMap<InterfaceName, u32> {
        list.iter().map(|(name, index)| (name.parse().unwrap(), *index)).collect()
    }

    #[test]
    fn what_we_set_is_given_back_with_the_last_router_of_the_interface() {
        let (mut promoter, calls) = promoter(|| Ok(Setting::Changed));
        let mut promotions = Promotions::default();
        for wanted in [on(&[("eth0", 2)]), on(&[("eth0", 2), ("eth1", 3)]), on(&[("eth1", 7)]), on(&[])] {
            assert_eq!(promotions.update(&wanted, &mut promoter), []);
        }
        // eth1 was created again in the meantime.
        assert_eq!(*calls.lock().unwrap(), ["eth0 On", "eth1 On", "eth0 Off", "eth1 On", "eth1 Off"]);
    }

    #[test]
    fn what_was_set_before_stays() {
        let (mut promoter, calls) = promoter(|| Ok(Setting::Unchanged));
        let mut promotions = Promotions::default();
        promotions.update(&on(&[("eth0", 2)]), &mut promoter);
        promotions.update(&on(&[]), &mut promoter);
        assert_eq!(*calls.lock().unwrap(), ["eth0 On"]);
    }

    #[test]
    fn an_interface_where_it_cannot_be_set_is_reported_once() {
        let (mut promoter, calls) = promoter(|| Err(io::Error::from_raw_os_error(30)));
        let mut promotions = Promotions::default();
        let told = promotions.update(&on(&[("eth0", 2)]), &mut promoter);
        assert_eq!(told, [("eth0".parse().unwrap(), "Read-only file system (os error 30)".to_owned())]);
        assert_eq!(promotions.update(&on(&[("eth0", 2)]), &mut promoter), []);
        promotions.update(&on(&[]), &mut promoter);
        assert_eq!(*calls.lock().unwrap(), ["eth0 On"]);
    }
}
