//! The real binary over real sockets, by what it must do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may stop where it stands"
)]

mod backup;
mod bounds;
mod cli;
mod cli_completion;
mod cli_events;
mod cli_fleet;
mod cli_gates;
mod cli_groups;
mod cli_hosts;
mod cli_jobs;
mod cli_pack;
mod cli_package;
mod cli_packages;
mod cli_push;
mod cli_rollouts;
mod cli_wait;
mod connections;
mod database_away;
mod desired;
mod faults_of_2015;
mod first_start;
mod gates;
mod heartbeat;
mod host_lists;
mod hosts;
mod jobs;
mod kills;
mod last_admin;
mod legacy;
mod openapi;
mod packages;
mod paths;
mod precedence;
mod rollouts;
mod schemas;
mod start_and_stop;
mod support;
mod tarballs;
mod tls;
mod tokens;
