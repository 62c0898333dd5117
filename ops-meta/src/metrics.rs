//! What is counted, for /metrics. Names and units follow Prometheus' own advice (prometheus.io/docs/practices/naming).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

type Labels = Vec<(&'static str, &'static str)>;

/// Counted as it happens.
#[derive(Default)]
pub struct Metrics {
    pub heartbeats: Counter,
    pub heartbeats_refused: Counter,
    pub texts_left_out: Counter,
    flush_seconds: Counter<f64, AtomicU64>,
    flushed_hosts: Counter,
    flushes_failed: Counter,
    /// When all hosts were last counted, and what came of it.
    pub counted: Arc<Mutex<Option<(Instant, Hosts)>>>,
}

/// How many stand in which way.
pub type Hosts = Vec<(&'static str, u64)>;

/// Looked at when somebody asks.
pub struct Looked {
    pub hosts: Hosts,
    pub generation: u64,
    pub pending_bytes: u64,
    pub texts_bytes: u64,
}

impl Metrics {
    /// A batch of hosts was written, so many, or not.
    pub fn flushed(&self, took: Duration, hosts: Option<usize>) {
        self.flush_seconds.inc_by(took.as_secs_f64());
        match hosts {
            Some(hosts) => drop(self.flushed_hosts.inc_by(hosts as u64)),
            None => drop(self.flushes_failed.inc()),
        }
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self, looked: &Looked) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("ops_meta");
        registry.register("heartbeats", "Heartbeats that were taken", self.heartbeats.clone());
        let refused = self.heartbeats_refused.clone();
        registry.register("heartbeats_refused", "Heartbeats that were refused", refused);
        let left_out = self.texts_left_out.clone();
        registry.register("texts_left_out", "Heartbeats of which not all found room", left_out);
        let seconds = self.flush_seconds.clone();
        registry.register("flush_seconds", "Time spent writing what hosts said", seconds);
        let hosts = self.flushed_hosts.clone();
        registry.register("flushed_hosts", "Hosts that were written", hosts);
        let failed = self.flushes_failed.clone();
        registry.register("flushes_failed", "Batches of hosts that could not be written", failed);
        register_looked(&mut registry, looked);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn register_looked(registry: &mut Registry, looked: &Looked) {
    let hosts = Family::<Labels, Gauge>::default();
    for (state, count) in &looked.hosts {
        hosts.get_or_create(&vec![("state", *state)]).set(signed(*count));
    }
    registry.register("hosts", "Hosts by how they stand", hosts);
    registry.register("generation", "Of the answers that hosts get", gauge(looked.generation));
    let pending = gauge(looked.pending_bytes);
    registry.register("pending_bytes", "What hosts said and is not written yet", pending);
    let texts = gauge(looked.texts_bytes);
    registry.register("texts_bytes", "What hosts said of themselves and their agents, in memory", texts);
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(signed(value));
    gauge
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
