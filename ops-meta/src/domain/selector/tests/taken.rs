//! Texts that are selectors or filters, and what they say.

use super::*;

fn host() -> Host {
    let labels = [
        ("env", "prod"),
        ("role", "web"),
        ("blank", ""),
        ("os", "label"),
        ("my key", "a b"),
        ("k.io/v", "1"),
    ];
    let agent = |[name, version, status, error]: [&str; 4]| [name, version, status, error].map(str::to_owned);
    Host {
        hostname: "bj-web01".to_owned(),
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        ip: "10.2.0.7".to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        agents: vec![
            agent(["falcon-agent", "3.1.10", "started", ""]),
            agent(["dinp", "2.0~rc1", "stoped", "start_failed"]),
            agent(["new", "", "stoped", ""]),
        ],
        state: State::Late,
        current: Conformity::Failed,
    }
}

#[test]
fn a_selector_says_which_hosts() {
    let host = host();
    for (text, expected, canonical) in [
        ("all", true, "all"),
        ("not all", false, "not all"),
        (" ALL ", true, "all"),
        (
            "env=prod and host~\"^bj-\" and not ip in 10.3.0.0/16",
            true,
            "env=prod and hostname~\"^bj-\" and not ip in 10.3.0.0/16",
        ),
        ("hostname=bj-web01", true, "hostname=bj-web01"),
        ("Host = bj-web*", true, "hostname=bj-web*"),
        ("hostname=BJ-web*", false, "hostname=BJ-web*"),
        ("hostname!=bj-web0?", false, "hostname!=bj-web0?"),
        ("hostname~\"web\\d+$\"", true, "hostname~\"web\\d+$\""),
        ("hostname~\"web\\\\d+$\"", true, "hostname~\"web\\d+$\""),
        ("hostname!~^bj", false, ""),
        ("hostname!~bj", false, "hostname!~\"bj\""),
        ("hostname in (bj-web01,sh-web01 , bj-web01)", true, "hostname in (bj-web01, sh-web01)"),
        ("not hostname in (sh-web01)", true, "not hostname in (sh-web01)"),
        ("hostname in @edge", true, "hostname in @edge"),
        ("hostname IN @ none", false, "hostname in @none"),
        ("os=linux AND arch=x86*", true, "os=linux and arch=x86*"),
        ("OS in (linux, windows)", true, "os in (linux, windows)"),
        ("os!=linux or arch=x86_64", true, "os!=linux or arch=x86_64"),
        ("env=prod or env=test and os=windows", true, "env=prod or env=test and os=windows"),
        ("(env=prod or env=test) and os=windows", false, "(env=prod or env=test) and os=windows"),
        ("((env=prod and (os=linux and (all))))", true, "env=prod and os=linux and all"),
        ("not env=test and os=linux", true, "env!=test and os=linux"),
        ("not (env=prod and os=linux)", false, "not (env=prod and os=linux)"),
        ("not not not env=prod", false, "env!=prod"),
        ("not (not (env=prod or all))", true, "env=prod or all"),
        ("not env!=prod", true, "env=prod"),
        ("label(env)=prod", true, "env=prod"),
        ("label(os)=label", true, "label(os)=label"),
        ("label(ALL)=1", false, "label(ALL)=1"),
        ("label(statuss)!=1", true, "label(statuss)!=1"),
        ("label(\"my key\")=\"a b\"", true, "label(\"my key\")=\"a b\""),
        ("k.io/v=1", true, "k.io/v=1"),
        ("env=*", true, "env=*"),
        ("zone=*", false, "zone=*"),
        ("zone!=a", true, "zone!=a"),
        ("zone~\"\"", false, "zone~\"\""),
        ("blank=\"\"", true, "blank=\"\""),
        ("zone=\"\"", false, "zone=\"\""),
        ("blank!=*", false, "blank!=*"),
        ("zone=\"and\"", false, "zone=\"and\""),
        ("zone=\"~1\" or zone=1~", false, "zone=\"~1\" or zone=1~"),
        ("zone=\"\\\"\\\\\"", false, "zone=\"\\\"\\\\\""),
        ("zone=北京 or hostname=bj?web01", true, "zone=北京 or hostname=bj?web01"),
        ("has(env)", true, "has(env)"),
        ("has( zone )", false, "has(zone)"),
        ("not has(blank)", false, "not has(blank)"),
        ("ip=10.2.0.7", true, "ip in 10.2.0.7"),
        ("ip!=10.2.0.7", false, "not ip in 10.2.0.7"),
        ("ip in 10.2.0.7/32", true, "ip in 10.2.0.7"),
        ("ip in (fe80::/10, 10.2.0.0/24)", true, "ip in (10.2.0.0/24, fe80::/10)"),
        ("ip in ::ffff:10.2.0.0/120", true, "ip in 10.2.0.0/24"),
        ("ip = ::1", false, "ip in ::1"),
        ("env=prod\n\tand os=linux\n", true, "env=prod and os=linux"),
        ("env=prod and(os=linux)or(all)", true, "env=prod and os=linux or all"),
    ] {
        let Ok(selector) = selector(text) else {
            assert_eq!(canonical, "", "{text}: {}", selector(text).unwrap_err());
            continue;
        };
        assert_eq!(selector.matches(&host.facts()), expected, "{text}");
        assert_eq!(selector.to_string(), canonical, "{text}");
        assert_eq!(super::selector(canonical).as_ref(), Ok(&selector), "{text}");
        assert_eq!(filter(text).unwrap().to_string(), canonical, "{text}");
    }
}

#[test]
fn a_filter_asks_what_runs_too() {
    let host = host();
    for (text, expected, canonical) in [
        ("version(falcon-agent)<3.2", true, "version(falcon-agent)<3.2"),
        ("version(falcon-agent) < 3.1.9", false, "version(falcon-agent)<3.1.9"),
        ("version(falcon-agent)<=3.1.10", true, "version(falcon-agent)<=3.1.10"),
        ("version(falcon-agent)>3.1.10", false, "version(falcon-agent)>3.1.10"),
        ("not version(falcon-agent)>=3.1.10", false, "not version(falcon-agent)>=3.1.10"),
        ("version(falcon-agent)=3.1.*", true, "version(falcon-agent)=3.1.*"),
        ("version(falcon-agent)!=3.1.10", false, "version(falcon-agent)!=3.1.10"),
        ("version(falcon-agent) in (3.1.10, 3.2)", true, "version(falcon-agent) in (3.1.10, 3.2)"),
        ("version(dinp)<2.0", true, "version(dinp)<2.0"),
        ("version(dinp)>=2.0~rc1", true, "version(dinp)>=2.0~rc1"),
        (
            "version(new)=* or version(new)<9 or version(gone)<9",
            false,
            "version(new)=* or version(new)<9 or version(gone)<9",
        ),
        ("version(gone)!=1", true, "version(gone)!=1"),
        ("status(falcon-agent)=started", true, "status(falcon-agent)=started"),
        ("status(dinp)=stopped", true, "status(dinp)=stoped"),
        ("status(dinp) in (stopped, started)", true, "status(dinp) in (started, stoped)"),
        ("status(gone)=stopped", false, "status(gone)=stoped"),
        ("error=start_failed", true, "error=start_failed"),
        ("error=*", true, "error=*"),
        ("error(dinp)=*", true, "error(dinp)=*"),
        ("error (falcon-agent) = *", false, "error(falcon-agent)=*"),
        ("error!=start_failed", false, "error!=start_failed"),
        ("error in (held, start_failed)", true, "error in (held, start_failed)"),
        ("state=late", true, "state=late"),
        ("state!=late", false, "state!=late"),
        ("state in (new, alive)", false, "state in (new, alive)"),
        ("not state in (gone, late, gone)", false, "not state in (late, gone)"),
        ("current=failed and env=prod", true, "current=failed and env=prod"),
        ("current in (yes)", false, "current=yes"),
        ("reboot=yes", true, "reboot=yes"),
        ("reboot=no", false, "reboot=no"),
        ("reboot!=no", true, "reboot=yes"),
        ("not reboot=yes", false, "reboot=no"),
    ] {
        let filter = filter(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(filter.matches(&host.facts(), &host), expected, "{text}");
        assert_eq!(filter.to_string(), canonical, "{text}");
        assert_eq!(super::filter(canonical).as_ref(), Ok(&filter), "{text}");
    }
}

#[test]
fn what_decided_is_told_in_words() {
    let host = host();
    for (text, expected) in [
        ("all", &[][..]),
        (
            "env=prod and os=linux",
            &["`env=prod` holds: label env is \"prod\"", "`os=linux` holds: os is \"linux\""],
        ),
        ("env=prod and os=bsd", &["`os=bsd` does not hold: os is \"linux\""]),
        ("zone=a or has(env)", &["`has(env)` holds: label env is \"prod\""]),
        (
            "not (zone=a or hostname in @none)",
            &[
                "`zone=a` does not hold: the host has no label zone",
                "`hostname in @none` does not hold: hostname is \"bj-web01\"",
            ],
        ),
        ("ip in 10.3.0.0/16", &["`ip in 10.3.0.0/16` does not hold: ip is 10.2.0.7"]),
        ("version(new)<3", &["`version(new)<3` does not hold: the host has no new"]),
        ("version(dinp)<3", &["`version(dinp)<3` holds: dinp is at version \"2.0~rc1\""]),
        ("status(x)!=started", &["`status(x)=started` does not hold: the host reports no x"]),
        ("error=*", &["`error=*` holds: the host reports \"start_failed\""]),
        ("error(new)=*", &["`error(new)=*` does not hold: the host reports no error of new"]),
        ("state=late", &["`state=late` holds: the host is late"]),
        ("current=yes", &["`current=yes` does not hold: whether the host runs what it should: failed"]),
        ("reboot=no", &["`reboot=yes` holds: the host needs a reboot"]),
    ] {
        let reasons = filter(text).unwrap().explain(&host.facts(), &host);
        let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(reasons, expected, "{text}");
    }
}

#[test]
fn a_reason_is_one_line_whatever_a_host_calls_itself() {
    let mut host = host();
    host.labels.insert("zone".to_owned(), "a\nb\u{202e}".repeat(1000));
    let reasons = selector("zone=a*").unwrap().explain(&host.facts());
    let text = reasons[0].to_string();
    assert!(text.len() < 1000 && !text.contains(['\n', '\u{202e}']), "{text}");
}

#[test]
fn what_stands_at_the_limits_is_taken() {
    let host = host();
    let deep = format!("{}all{}", "(".repeat(200), ")".repeat(200));
    let nots = format!("{}all", "not ".repeat(200));
    let wide = vec!["os=linux"; 5000].join(" and ");
    let names = (0..9998).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let long = format!("zone={}", "x".repeat(1024));
    for (text, expected) in
        [(deep, true), (nots, true), (wide, true), (format!("host in ({names})"), false), (long, false)]
    {
        let selector = selector(&text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(selector.matches(&host.facts()), expected);
        assert_eq!(super::selector(&selector.to_string()), Ok(selector));
    }
}
