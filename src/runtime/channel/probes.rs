//! Which sockets for probe frames are open, and why others are not. Pure: what a socket is, and how
//! one is opened, is the caller's.

use crate::channel::ChannelLink;
use std::collections::BTreeMap;

/// Whether this node keeps open connections, so that paths between the nodes have to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbesWanted {
    Yes,
    No,
}

/// The sockets for probe frames, by link.
#[derive(Debug)]
pub(super) struct ProbeSockets<S> {
    /// Each with the index that its interface had. An interface that is created again has another.
    open: BTreeMap<ChannelLink, (u32, S)>,
    /// Why a socket cannot be opened.
    problems: BTreeMap<ChannelLink, String>,
}

impl<S> ProbeSockets<S> {
    pub(super) const fn new() -> Self {
        Self { open: BTreeMap::new(), problems: BTreeMap::new() }
    }

    /// Opens what is missing on these links, each with the index of its interface, and closes what is
    /// not needed. What cannot be opened is tried again at the next call. Returns the problems that
    /// begin now.
    pub(super) fn update(
        &mut self,
        links: &BTreeMap<ChannelLink, u32>,
        mut open: impl FnMut(ChannelLink, u32) -> Result<S, String>,
    ) -> Vec<(ChannelLink, String)> {
        self.open.retain(|link, (index, _)| links.get(link) == Some(index));
        self.problems.retain(|link, _| links.contains_key(link));
        let mut news = Vec::new();
        for (link, index) in links {
            if self.open.contains_key(link) {
                continue;
            }
            match open(*link, *index) {
                Ok(socket) => {
                    self.open.insert(*link, (*index, socket));
                    self.problems.remove(link);
                }
                Err(why) => {
                    if self.problems.insert(*link, why.clone()).as_ref() != Some(&why) {
                        news.push((*link, why));
                    }
                }
            }
        }
        news
    }

    pub(super) fn get(&self, link: ChannelLink) -> Option<&S> {
        self.open.get(&link).map(|(_, socket)| socket)
    }

    /// Why sockets are not open.
    pub(super) fn problems(&self) -> impl Iterator<Item = (ChannelLink, &str)> {
        self.problems.iter().map(|(link, why)| (*link, why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Family;

    fn link(interface: &str) -> ChannelLink {
        ChannelLink { interface: interface.parse().unwrap(), family: Family::Ipv4 }
    }

    fn links(links: &[(&str, u32)]) -> BTreeMap<ChannelLink, u32> {
        links.iter().map(|(interface, index)| (link(interface), *index)).collect()
    }

    /// Opens everything, and returns what was opened.
    fn opened(sockets: &mut ProbeSockets<u32>, wanted: &[(&str, u32)]) -> Vec<u32> {
        let mut opened = Vec::new();
        sockets.update(&links(wanted), |_, index| {
            opened.push(index);
            Ok(index)
        });
        opened
    }

    #[test]
    fn a_socket_that_cannot_be_opened_is_tried_again_and_told_until_it_can() {
        let mut sockets = ProbeSockets::new();
        let both = links(&[("eth0", 2), ("eth1", 3)]);
        let refuse = |link: ChannelLink, index: u32| match link.interface.as_str() {
            "eth0" => Err("not permitted".to_owned()),
            _ => Ok(index),
        };
        let trouble = || vec![(link("eth0"), "not permitted".to_owned())];
        assert_eq!(sockets.update(&both, refuse), trouble());
        assert_eq!(sockets.update(&both, refuse), [], "it is told once");
        assert_eq!(sockets.problems().collect::<Vec<_>>(), [(link("eth0"), "not permitted")]);
        assert_eq!((sockets.get(link("eth0")), sockets.get(link("eth1"))), (None, Some(&3)));
        assert_eq!(opened(&mut sockets, &[("eth0", 2), ("eth1", 3)]), [2]);
        assert_eq!(sockets.problems().count(), 0);
        sockets.update(&links(&[]), refuse);
        assert_eq!(sockets.update(&both, refuse), trouble(), "it begins again");
    }

    #[test]
    fn what_is_not_wanted_is_closed_and_an_interface_that_comes_back_has_another_socket() {
        let mut sockets = ProbeSockets::new();
        assert_eq!(opened(&mut sockets, &[("eth0", 2), ("eth1", 3)]), [2, 3]);
        assert_eq!(opened(&mut sockets, &[("eth0", 9)]), [9]);
        assert_eq!((sockets.get(link("eth0")), sockets.get(link("eth1"))), (Some(&9), None));
        assert_eq!(opened(&mut sockets, &[]), [0_u32; 0]);
        assert_eq!(sockets.get(link("eth0")), None);
    }
}
