//! `ops-meta host`
