//! What a rule would have fired in the last seven days, by the peaks of minutes: the same alert goes through them that goes
//! through the seconds.

use crate::{
    alert::{Alert, AlertRule, Phase, RuleBook, Subject, state::Sample},
    history::LimitInForce,
    model::{
        Flags, Minute, Now, Target, Tick,
        time::{MINUTES_PER_WEEK, SECONDS_PER_MINUTE},
    },
    query::{Detail, Queries, Result, Window},
};

/// Most crossings of a preview, the newest.
const MOST_CROSSINGS: usize = 1_000;
/// Most meters and pools that a preview looks at.
const MOST_TARGETS: usize = 200;

/// What a rule would have fired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    pub crossings: Vec<Crossing>,
    /// Meters and pools that the rule is of.
    pub targets: usize,
}

/// One time that it would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    pub target: Target,
    pub fired: Tick,
    /// `None` when it would fire still.
    pub resolved: Option<Tick>,
    pub peak: u32,
}

impl Queries {
    /// What a rule of levels would have fired. Reads the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn preview(&self, rule: AlertRule, now: Now) -> Result<Preview> {
        let project = rule.project.clone();
        // Alone, so that no other rule tells in its place.
        let others = AlertRule::defaults(&project).into_iter().map(|rule| AlertRule { enabled: false, ..rule });
        let rule = AlertRule { enabled: true, ..rule };
        let mut book = RuleBook::new(others.chain([rule.clone()]));
        let end = self.service.live.tick(now).minute().next();
        let start = Minute(end.0.saturating_sub(MINUTES_PER_WEEK));
        let Ok(window) = Window::new(start..end, 1) else { return Ok(Preview::default()) };
        let tallies = self.service.live.registry.of_project(&project);
        let mut preview = Preview::default();
        for tally in tallies.iter().filter(|tally| rule.scope.holds(&tally.key.target)) {
            preview.targets += 1;
            if preview.targets > MOST_TARGETS {
                continue;
            }
            let history = self.history(tally.id, &window, Detail::Peaks)?;
            let limits = self.service.limits.of(tally.id);
            let mut in_force = LimitInForce::new(&limits);
            let mut ladder = (None, book.ladder(&tally.key, None));
            let mut alert = Alert::new(Subject::Level(tally.id), start.first_tick());
            let mut open: Option<Crossing> = None;
            for (minute, (peak, flags)) in (start.0..).map(Minute).zip(history.peaks.iter().zip(&history.flags)) {
                let limit = in_force.at(minute.first_tick().start());
                if ladder.0 != limit {
                    ladder = (limit, book.ladder(&tally.key, limit));
                }
                let known = !Flags(*flags).has(Flags::GAP);
                let is_idle = alert.phase == Phase::Inactive && ladder.1.iter().all(|rung| *peak < rung.up);
                if !known || is_idle {
                    continue;
                }
                for second in 0..SECONDS_PER_MINUTE {
                    let at = Tick(minute.first_tick().0 + second);
                    let was = alert.phase;
                    alert.step(&ladder.1, Sample { level: *peak, known, limit }, at);
                    match (was == Phase::Firing, alert.phase == Phase::Firing) {
                        (false, true) => {
                            let target = tally.key.target.clone();
                            open = Some(Crossing { target, fired: at, resolved: None, peak: *peak });
                        }
                        (true, false) => {
                            preview.crossings.extend(open.take().map(|open| Crossing { resolved: Some(at), ..open }));
                        }
                        _ => {}
                    }
                }
                if let Some(open) = &mut open {
                    open.peak = open.peak.max(*peak);
                }
            }
            preview.crossings.extend(open);
        }
        preview.crossings.sort_by_key(|crossing| crossing.fired);
        preview.crossings.drain(..preview.crossings.len().saturating_sub(MOST_CROSSINGS));
        Ok(preview)
    }
}
