/// What an agent can be sick of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sick {
    HungStatus,
    FloodingStatus,
    /// `status` leaves a process behind that keeps its output open.
    StatusKeepsPipe,
    /// `status` leaves processes behind in its group.
    StatusForks,
    /// `start` leaves the daemon its own output.
    StartKeepsPipe,
    SaysNotStarted,
    /// The correct spelling.
    SaysStopped,
    StartFails,
    DiesAtOnce,
    /// Is started, and ends 2 seconds later.
    DiesSoon,
    /// `stop` does nothing; the daemon can be killed.
    IgnoresStop,
    /// `stop` does nothing, and the daemon executes a file from elsewhere, so that nobody may kill it.
    CannotBeStopped,
    /// `stop` stops the daemon and then kills whoever called it, once.
    StopKillsCaller,
}

/// The script of an agent that does as it should.
pub fn agent_script() -> String {
    script(&[])
}

/// A script with these faults.
pub fn script(sick: &[Sick]) -> String {
    let has = |it: Sick| sick.contains(&it);
    let program = if has(Sick::CannotBeStopped) { "/bin/sleep" } else { "./agent" };
    let life = if has(Sick::DiesAtOnce) {
        "0"
    } else if has(Sick::DiesSoon) {
        "2"
    } else {
        "100000"
    };
    let quiet = if has(Sick::StartKeepsPipe) { "" } else { "</dev/null >/dev/null 2>&1" };
    let start = if has(Sick::StartFails) {
        "echo no licence on this host; exit 3".to_owned()
    } else {
        format!("runs && exit 0\n    setsid {program} {life} {quiet} &\n    echo $! >agent.pid")
    };
    let stop = if has(Sick::IgnoresStop) || has(Sick::CannotBeStopped) {
        ":"
    } else if has(Sick::StopKillsCaller) {
        "runs || exit 0\n    kill $pid\n    while runs; do sleep 0.02; done\n    [ -e killed ] && exit 0\n    : >killed\n    kill -9 $PPID"
    } else {
        "runs || exit 0\n    kill $pid\n    while runs; do sleep 0.02; done"
    };
    let stopped = if has(Sick::SaysStopped) { "stopped" } else { "stoped" };
    let status = if has(Sick::HungStatus) {
        "sleep 1000".to_owned()
    } else if has(Sick::FloodingStatus) {
        "exec yes started".to_owned()
    } else if has(Sick::SaysNotStarted) {
        "echo not started".to_owned()
    } else if has(Sick::StatusForks) {
        format!("sleep 1000 & sleep 1000 &\n    if runs; then echo started; else echo {stopped}; fi")
    } else if has(Sick::StatusKeepsPipe) {
        format!("setsid sleep 30 &\n    if runs; then echo started; else echo {stopped}; fi")
    } else {
        format!("if runs; then echo started; else echo {stopped}; fi")
    };
    let is_ours =
        if has(Sick::CannotBeStopped) { "*/sleep|*/coreutils|*/busybox" } else { "\"$here/agent\"" };
    format!(
        "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
here=$(pwd -P)
runs() {{
    pid=$(cat agent.pid 2>/dev/null) || return 1
    case $(readlink \"/proc/$pid/exe\") in {is_ours}) return 0 ;; esac
    return 1
}}
case \"$1\" in
start)
    {start}
    ;;
stop)
    {stop}
    ;;
status)
    {status}
    ;;
*)
    echo \"usage: control start|stop|status\"
    exit 1
    ;;
esac
"
    )
}
