//! Which hosts somebody means.

use serde_json::{Map, Value, json};

#[derive(clap::Args)]
pub struct MeantHosts {
    /// Hosts, and lists as @NAME, which count as they are now
    #[arg(value_name = "HOST", required_unless_present = "select")]
    hosts: Vec<String>,
    /// Also the hosts that are selected now, by what is stable of them
    #[arg(long, value_name = "SELECTOR")]
    select: Option<String>,
    /// Also hosts that were never heard of: they are told once they come
    #[arg(long)]
    allow_unknown: bool,
}

impl MeantHosts {
    /// As the server takes it.
    pub fn written(&self) -> Map<String, Value> {
        let fields = [
            ("hosts", json!(self.hosts)),
            ("select", json!(self.select.clone().unwrap_or_default())),
            ("allowUnknown", json!(self.allow_unknown)),
        ];
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
