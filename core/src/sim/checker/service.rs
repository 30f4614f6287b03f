//! The rules about all stations together: which of them serve, and which hold the addresses.

use super::{Checker, Violation};
use crate::sim::clock::TrueTime;
use crate::sim::groups::Strangers;
use crate::sim::lan::Port;
use crate::sim::view::{StationView, in_family};
use crate::types::Preempt;

impl Checker {
    /// Checks the rules about the whole world.
    pub(in crate::sim) fn judge_world(
        &mut self,
        now: TrueTime,
        views: &[StationView],
    ) -> Result<(), Violation> {
        self.checks += 1;
        let displaced_wrongly = self.judge_displacement(now, views);
        // A station that sleeps keeps its state: to wake up as Active is not to become Active.
        for view in views.iter().filter(|view| view.awake) {
            let Some(record) = self.records.get_mut(view.port.0) else { continue };
            record.listening_since = view.is_backup().then(|| record.listening_since.unwrap_or(now));
            record.active_since = view.is_active().then(|| record.active_since.unwrap_or(now));
            for (active, last) in view.active.into_iter().zip(&mut record.last_active) {
                *last = active.then_some(now).or(*last);
            }
        }
        displaced_wrongly?;
        let Some(calm) = self.healthy_since else { return Ok(()) };
        self.judge_dual_active(now, calm, views)?;
        if self.judges_service(now, views) {
            self.judge_service(now, views)?;
        }
        Ok(())
    }

    /// Whether the rules about the service apply.
    ///
    /// Our routers move their families together, foreign routers do not. Where both serve two
    /// families, a foreign router may outrank ours in only one of them, and ours yield in both
    /// (docs/adr/0003).
    pub(in crate::sim) fn judges_service(&self, now: TrueTime, views: &[StationView]) -> bool {
        let coupled = self.families.len() == 1 || views.iter().all(|view| view.ours);
        let grouped = match self.strangers {
            Strangers::Apart | Strangers::OnTheLan => true,
            // A Backup that hears another Active as well does not take over from the first, and nobody
            // can know that of it. What holds at rest is judged then.
            Strangers::Tangled => false,
        };
        coupled && grouped && self.has_settled(now) && now >= self.gap_allowed_until
    }

    /// No station becomes Active beside a healthy Active that it must not displace: only the owner,
    /// or a higher priority with Preempt_Mode True, displaces an Active (RFC 9568 §6.4.2). A Backup
    /// can only know what has been true for an Active_Down_Interval. A station that has just
    /// started and has a shorter interval than the Active may fire before it hears anything (§6.4.1
    /// lets it begin with its own interval).
    fn judge_displacement(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        let one_advertisement = self.bounds.interval() * 2 + self.bounds.reaction();
        let informed =
            |since: Option<TrueTime>| since.is_none_or(|since| now.since(since) > one_advertisement);
        let fresh = |view: &&StationView| {
            let record = self.records.get(view.port.0);
            let became = || record.is_some_and(|r| r.active_since.is_none() && informed(r.listening_since));
            view.ours && view.awake && view.is_active() && became()
        };
        if !views.iter().any(|view| fresh(&view)) {
            return Ok(());
        }
        // A Backup that hears two Actives, because these do not hear each other, has learned the interval
        // of the one that it obeyed last (RFC 9568 §6.4.2). If that one is obeyed no more, or falls
        // silent, a longer interval of the other is not waited for.
        if self.strangers == Strangers::Tangled && !self.bounds.one_interval_for_all() {
            return Ok(());
        }
        let long = self.bounds.active_down() + self.bounds.dual_active();
        let lasted = |since: TrueTime| now.since(since) > long;
        if !self.healthy_since.is_some_and(lasted) {
            return Ok(());
        }
        // A Backup cannot know which router resigned: it takes over within its Skew_Time, unless it
        // hears the Active after the resignation. An answer may arrive sooner than the
        // advertisement that it answers.
        let skew = self.bounds.interval() + self.bounds.reaction();
        if self.last_resignation.is_some_and(|said| now.since(said) <= skew) {
            return Ok(());
        }
        for new in views.iter().filter(fresh) {
            let changed = self.records.get(new.port.0).map_or(now, |record| record.priority_changed);
            let displaced = views.iter().find(|other| {
                let steady = self.records.get(other.port.0).is_some_and(|record| {
                    record.active_since.is_some_and(lasted) && lasted(record.priority_changed)
                });
                let outranked = new.preempt == Preempt::Allow && new.priority > other.priority;
                let serves = other.awake && other.is_active() && !other.leaving;
                new.hears.contains(other.port) && serves && steady && !outranked
            });
            if let Some(displaced) = displaced.filter(|_| lasted(changed)) {
                let seen = format!("priority {} beside {displaced:?}", new.priority);
                return Err(Violation::by(new.port, now, "no healthy Active is displaced", seen));
            }
        }
        Ok(())
    }

    fn judge_dual_active(
        &mut self,
        now: TrueTime,
        calm: TrueTime,
        views: &[StationView],
    ) -> Result<(), Violation> {
        let serving =
            |view: &StationView, family| view.awake && in_family(view.active, family) && !view.leaving;
        let dual = self.families.iter().any(|family| {
            views.iter().enumerate().any(|(at, view)| {
                let mut others = views.iter().skip(at + 1).filter(|other| other.is_mutual(view));
                serving(view, *family) && others.any(|other| serving(other, *family))
            })
        });
        self.dual_since = dual.then(|| self.dual_since.unwrap_or(now));
        let Some(since) = self.dual_since else { return Ok(()) };
        let most = match self.strangers {
            Strangers::Apart | Strangers::OnTheLan => self.bounds.dual_active(),
            // One pair after the other may find out.
            Strangers::Tangled => self.bounds.dual_active() * self.stations(),
        };
        if now.since(since.max(calm)) <= most {
            return Ok(());
        }
        let seen = format!("since {since:?}, more than {most:?}: {views:?}");
        Err(Violation { at: now, port: None, rule: "two Actives find out soon", seen })
    }

    /// While any station in a component can serve, some station holds the addresses: not even a
    /// short gap is allowed.
    fn judge_service(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        for home in views.iter().filter(|view| view.component == view.port.0) {
            let instances = || views.iter().filter(|view| view.component == home.component);
            if !instances().any(|view| view.awake && view.eligible) {
                continue;
            }
            for family in &self.families {
                if !instances().any(|view| in_family(view.holds, *family)) {
                    let seen = format!("{family}: {:?}", instances().collect::<Vec<_>>());
                    return Err(Violation {
                        at: now,
                        port: None,
                        rule: "somebody holds the addresses",
                        seen,
                    });
                }
            }
        }
        Ok(())
    }

    /// At rest no two Actives hear each other, each station that can serve is Active or hears an Active
    /// that it need not displace, and only Actives hold the addresses. So where stations hear one
    /// another or do not at all, there is one Active for all of them.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn judge_quiescence(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        let fail = |rule, concerned: &StationView| {
            let seen: Vec<_> = views.iter().filter(|view| view.component == concerned.component).collect();
            Err(Violation { at: now, port: None, rule, seen: format!("{concerned:?} of {seen:?}") })
        };
        for family in &self.families {
            let serves = |view: &StationView| view.awake && in_family(view.active, *family);
            for view in views {
                let holds = in_family(view.holds, *family);
                if serves(view) {
                    if views.iter().any(|other| serves(other) && view.is_mutual(other)) {
                        return fail("at rest one router is Active", view);
                    }
                    if view.leaving {
                        return fail("at rest nobody who may displace the Active waits", view);
                    }
                    if !holds {
                        return fail("at rest the Active alone holds the addresses", view);
                    }
                    continue;
                }
                let beside = |other: &StationView| other.component == view.component && serves(other);
                if holds && views.iter().any(beside) {
                    return fail("at rest the Active alone holds the addresses", view);
                }
                if !view.awake || !view.eligible {
                    continue;
                }
                let heard = || views.iter().filter(|other| view.hears.contains(other.port));
                if !heard().any(serves) {
                    return fail("at rest one router is Active", view);
                }
                // Our routers displace in both families or in none; the foreign Actives may differ
                // by family.
                let highest = heard().filter(|v| v.awake && v.is_active()).map(|v| v.priority).max();
                if view.preempt == Preempt::Allow && Some(view.priority) > highest {
                    return fail("at rest nobody who may displace the Active waits", view);
                }
            }
        }
        Ok(())
    }

    /// Whether another station that hears the station at `port` would take over from it.
    #[must_use]
    pub fn has_successor(views: &[StationView], port: Port) -> bool {
        views.iter().any(|view| view.hears.contains(port) && view.is_willing())
    }
}
