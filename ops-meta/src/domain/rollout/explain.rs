//! Why a rollout tells a host what it tells, in a sentence.

use super::{Active, Bar, Rollout, Shut, Stand, State};

/// Where a host stands in a rollout.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub position: u64,
    /// Bit `n`: wave `n` selects it.
    pub selected: u32,
    pub stand: Stand,
    /// It looks as if it had it, whoever told it.
    pub is_as_wanted: bool,
    pub bar: Option<Bar>,
    /// What keeps it from beginning.
    pub shut: Option<Shut<'a>>,
}

impl Standing<'_> {
    /// `Rollout 3 changes the policy of group prod to version 2: wave "10 %" admits this host, so it is told.`
    pub fn sentence(&self, active: &Active) -> String {
        let rollout = &active.rollout;
        let to = [
            rollout.plan.target.version.as_ref().map(|version| format!("version {version}")),
            rollout.plan.target.cmd.as_ref().map(|cmd| cmd.as_str().to_owned()),
        ];
        let to: Vec<_> = to.into_iter().flatten().collect();
        format!(
            "Rollout {} changes the policy of {} to {}: {}; {}.",
            rollout.id,
            rollout.plan.whose,
            to.join(", "),
            self.admitted(rollout),
            self.told(rollout)
        )
    }

    /// Which wave admits it, or why none does.
    fn admitted(&self, rollout: &Rollout) -> String {
        let progress = &rollout.progress;
        if let Some(wave) = progress.waves.admitting(self.position, self.selected) {
            return format!("{} admits this host", name(rollout, wave));
        }
        let selects = |wave: &usize| super::admission::is_selected(self.selected, *wave);
        let begun = (0..progress.waves.len()).rev().find(selects);
        let waits = begun.and_then(|wave| Some((wave, progress.waves.threshold(wave)?)));
        match (waits, (0..rollout.plan.waves.len()).find(selects)) {
            (Some((wave, threshold)), _) => format!(
                "{} does not admit this host, whose position {} is not below {}",
                name(rollout, wave),
                percent(self.position),
                percent(threshold)
            ),
            (None, Some(first)) => {
                format!("its first wave for this host is {}, which has not begun", name(rollout, first))
            }
            (None, None) => "no wave is for this host".to_owned(),
        }
    }

    fn told(&self, rollout: &Rollout) -> String {
        let tells = rollout.tells(self.position, self.selected, self.stand);
        if let (true, Some(shut)) = (tells, self.shut) {
            return format!("it may not begin yet, since {shut}");
        }
        let told = match (rollout.progress.state, tells, self.stand, self.bar) {
            (_, true, _, Some(Bar::Excluded)) => {
                "there is no package for it, so it is told nothing of the agent"
            }
            (_, true, _, Some(Bar::Unmet)) => {
                "what the package requires is not ordered for it, so it is told nothing of the agent"
            }
            (_, true, _, Some(_)) => "it waits for what the package requires",
            (_, true, Stand::There, _) => "it has the change, and keeps it",
            (_, true, ..) => "it is told so",
            (State::Paused, false, ..) => "the rollout is paused, so it does not begin here",
            (State::Stopped, false, ..) => "the rollout was stopped, so it does not begin here",
            (State::RollingBack, false, ..) => "it is taken back, and the host is told what the policy says",
            (_, false, ..) => "until then it is told what the policy says",
        };
        told.to_owned()
    }
}

fn name(rollout: &Rollout, wave: usize) -> String {
    let name = rollout.plan.waves.get(wave).map_or("", |it| &it.name);
    format!("wave {} ({name})", wave + 1)
}

/// Of all positions.
fn percent(position: u64) -> String {
    format!("{:.2} %", 100.0 * position as f64 / u64::MAX as f64)
}
