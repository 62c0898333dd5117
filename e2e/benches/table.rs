//! The table that `make bench` prints: a machine, and figures beside their baselines.

use std::process::Command;

/// Prints the head of the table; gives what of `names` is chosen by words after `--`, each a name or what stands before
/// a name's dash. `None`: nothing.
pub fn begin<'a>(names: &[&'a str]) -> Option<Vec<&'a str>> {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_of = |name: &str, word: &str| {
        name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let is_chosen = |name: &&str| words.is_empty() || words.iter().any(|it| is_of(name, it));
    let chosen: Vec<&str> = names.iter().copied().filter(is_chosen).collect();
    if chosen.is_empty() {
        return None;
    }
    println!("{}", machine());
    println!(
        "{:<46} {:>12} {:>12} {:>20}  {:<10}",
        "figure (medians; in brackets: of the best runs)", "measured", "baseline", "ratio", "target"
    );
    Some(chosen)
}

fn machine() -> String {
    let line = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let temporary = std::env::temp_dir();
    format!(
        "{} cores, load {}, {}, Linux {}, {} on {}",
        line("nproc"),
        line("cut -d ' ' -f 1-3 /proc/loadavg"),
        line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
        line("uname -r"),
        temporary.display(),
        line(&format!("stat -f -c %T {}", temporary.display()))
    )
}

/// One line of the table. `met`: the target is; `None`: there is none.
pub fn row(figure: &str, measured: &str, baseline: &str, ratio: &str, target: &str, met: Option<bool>) {
    let verdict = match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    };
    println!("{figure:<46} {measured:>12} {baseline:>12} {ratio:>20}  {target:<10} {verdict}");
}

/// Runs of two sides that took turns.
#[derive(Debug, Default)]
pub struct Sides {
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
}

impl Sides {
    /// The median of the ratios within each round, and the ratio of the best runs.
    pub fn row(&self, figure: &str, unit: &str, most: f64) {
        let ratio = median(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs));
        let best = |of: &[f64]| of.iter().copied().fold(f64::INFINITY, f64::min);
        row(
            figure,
            &format!("{:.2} {unit}", median(self.ours.iter().copied())),
            &format!("{:.2} {unit}", median(self.theirs.iter().copied())),
            &format!("{ratio:.2} ({:.2})", best(&self.ours) / best(&self.theirs)),
            &format!("<= {most}"),
            Some(ratio <= most),
        );
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
